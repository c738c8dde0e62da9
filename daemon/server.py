"""uvicorn, with our protocols and without what is ours to do: signals, logs, headers, deadlines."""

from functools import partial
from typing import Any

import uvicorn

from daemon.connections import PRIVATE_IDLE_SECONDS, Connections, Limits
from daemon.edge import CappedProtocol
from domain.clock import SystemClock
from domain.observations import Silent

STOP_SECONDS = 10
INSIDE, INSIDE_PER_ADDRESS = 1024, 256


def make_server(
    app: Any, protocol: type[CappedProtocol], connections: Connections | None = None
) -> uvicorn.Server:
    """A server for one of our sockets. Without `connections`, with the limits of a listener for a few."""
    counted = connections or Connections(
        Limits.of("private", INSIDE, INSIDE_PER_ADDRESS), clock=SystemClock(), observer=Silent()
    )
    config = uvicorn.Config(
        app,
        http=partial(protocol, connections=counted),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=int(PRIVATE_IDLE_SECONDS),
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=2048,
    )
    return uvicorn.Server(config)
