"""uvicorn, with our protocols and without what is ours to do: signals, logs, headers, and how it stops.

uvicorn's own stop closes every connection on which no request is being answered: also the one that was accepted a moment
ago, whose request lies unread in its buffer. Its visitor would get a reset instead of a redirect.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import uvicorn

from daemon.connections import PRIVATE_IDLE_SECONDS, Connections, Limits
from daemon.edge import CappedProtocol
from domain.clock import SystemClock
from domain.observations import Silent

STOP_SECONDS = 10
INSIDE, INSIDE_PER_ADDRESS = 1024, 256
LINGER_SECONDS = 1.0
POLL_SECONDS = 0.02


class Server(uvicorn.Server):
    """A server that answers whatever had reached it before it stopped.

    `kept`: somebody else holds the listening sockets too and answers what waits in their queues.
    """

    def __init__(self, config: uvicorn.Config, *, kept: bool = False) -> None:
        super().__init__(config)
        self._kept = kept

    async def until_started(self, running: asyncio.Task[None]) -> None:
        """Until it answers; `running` is its task, which may fail instead."""
        while not self.started and not running.done():  # noqa: ASYNC110  uvicorn has a flag, no event
            await asyncio.sleep(POLL_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more; answer what was accepted, each connection once more, with `connection: close`.

        A connection that says nothing for LINGER_SECONDS is closed; a request has STOP_SECONDS.
        """
        queues = [] if self._kept else [listening.dup() for listening in sockets or []]
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        for queue in queues:
            await self._accept_the_rest(queue)
        for connection in self._connections():
            connection.shutdown()
        await self._wait(lambda: not self.server_state.connections, LINGER_SECONDS)
        for connection in self._connections():
            if connection.idle:
                connection.transport.close()
        await self._wait(lambda: not (self.server_state.connections or self.server_state.tasks), STOP_SECONDS)
        for connection in self._connections():
            connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()

    def _connections(self) -> list[CappedProtocol]:
        return [cast("CappedProtocol", connection) for connection in self.server_state.connections]

    async def _accept_the_rest(self, queue: socket.socket) -> None:
        """What the kernel has accepted for us and nobody would answer: closing the last descriptor resets it."""
        loop = asyncio.get_running_loop()
        with queue:
            queue.setblocking(False)  # noqa: FBT003  the standard library's own signature
            while True:
                try:
                    accepted, _ = queue.accept()
                except OSError:
                    return
                accepted.setblocking(False)  # noqa: FBT003  likewise
                await loop.connect_accepted_socket(self._protocol, accepted)

    def _protocol(self) -> Any:
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # its stub is of another protocol
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @staticmethod
    async def _wait(over: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not over() and loop.time() < deadline:  # noqa: ASYNC110  uvicorn keeps sets, no event
            await asyncio.sleep(POLL_SECONDS)


def make_server(
    app: Any,
    protocol: type[CappedProtocol],
    connections: Connections | None = None,
    *,
    kept: bool = False,
) -> Server:
    """A server for one of our sockets; `kept` as the listener says. Without `connections`, with the limits of a listener for a few."""
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
    return Server(config, kept=kept)
