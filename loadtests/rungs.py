"""The small servers that Trilha is compared with. Each is what people write, and does less from rung to rung upwards.

`raw`: an ASGI callable. `bare`: a Starlette route. `naive`: the usual tracker, one awaited Redis SET for each click.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from loadtests.plan import REDIS_URL

TARGET = "https://t.me/ladder_bot?start="
TTL_MS = 180_000
Message = MutableMapping[str, Any]


async def raw(
    scope: Message, _receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The least that ASGI can do."""
    if scope["type"] != "http":
        return
    headers = [(b"location", TARGET.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 302, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _redirect(_request: Request) -> RedirectResponse:
    return RedirectResponse(TARGET, status_code=302)


async def _track(request: Request) -> RedirectResponse:
    token = uuid.uuid4().hex
    click = {
        "params": dict(request.query_params),
        "user_agent": request.headers.get("user-agent"),
        "ip": request.headers.get("x-forwarded-for"),
    }
    redis: Redis = request.app.state.redis
    await redis.set(f"click:{token}", json.dumps(click), px=TTL_MS)
    return RedirectResponse(TARGET + token, status_code=302)


def naive() -> Starlette:
    """The usual tracker, on the Redis that LADDER_REDIS_URL names."""
    app = Starlette(routes=[Route("/go/{slug}", _track)])
    app.state.redis = Redis.from_url(os.environ[REDIS_URL])
    return app


bare = Starlette(routes=[Route("/go/{slug}", _redirect)])
