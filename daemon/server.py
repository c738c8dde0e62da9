"""uvicorn, with our protocols and without what is ours to do: signals, logs, headers."""

from typing import Any

import uvicorn

from daemon.edge import CappedProtocol

STOP_SECONDS = 10


def make_server(app: Any, protocol: type[CappedProtocol]) -> uvicorn.Server:
    """A server for one of our sockets."""
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        access_log=False,
        log_config=None,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=2048,
    )
    return uvicorn.Server(config)
