"""A private listener for processes that answer no clicks: whether they live, whether they work, their metrics."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from daemon.answers import JsonAnswer
from daemon.edge import CappedProtocol
from daemon.listeners import Listener
from daemon.server import make_server

Status = Callable[[], Mapping[str, Any]]


def status_app(status: Status, metrics: Callable[[], bytes]) -> Starlette:
    """`/healthz`: the process answers. `/readyz`: 200 if `ready` is true in what `status` says, which it shows. `/metrics`."""

    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        said = dict(status())
        return JsonAnswer(said, status_code=200 if said["ready"] else 503)

    async def render(_request: Request) -> Response:
        return Response(metrics(), media_type="text/plain; version=0.0.4")

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", render)])


async def serve_status(
    at: Listener, stop: asyncio.Event, *, status: Status, metrics: Callable[[], bytes]
) -> None:
    """Answer until `stop`."""
    server = make_server(status_app(status, metrics), CappedProtocol, kept=at.kept)
    running = asyncio.create_task(server._serve([*at.sockets]))  # noqa: SLF001  without its signal handlers
    await stop.wait()
    server.should_exit = True
    await running
