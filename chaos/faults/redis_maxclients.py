"""Redis has no room for another client: connections are cut, and every new one is greeted with an error and closed."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass, field

from chaos.servers import HOST
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisMaxclients:
    """The one client that it has room for is the fault itself."""

    says: str = "Redis has too many clients"
    _held: list[socket.socket] = field(default_factory=list, init=False, repr=False)

    def begin(self, stage: Stage) -> None:
        """Returns when everybody else is out."""
        self._held.append(socket.create_connection((HOST, stage.valkey.port), 2.0))
        self._ask("CONFIG SET maxclients 1", "CLIENT KILL TYPE normal")

    def end(self, stage: Stage) -> None:  # noqa: ARG002
        """Returns when there is room."""
        if not self._held:
            return
        with suppress(OSError):  # a server that was restarted has room
            self._ask("CONFIG SET maxclients 10000")
        self._held.pop().close()

    def _ask(self, *lines: str) -> None:
        self._held[0].sendall("".join(f"{line}\r\n" for line in lines).encode())
        answers = self._held[0].makefile("rb")
        for _ in lines:
            answers.readline()
