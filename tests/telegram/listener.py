"""The listening socket: opened and closed at once, always on one port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

BACKLOG = 128


class Listener:
    """Hands every accepted socket to `welcome`."""

    def __init__(self, host: str, port: int, welcome: Callable[[socket.socket], None]) -> None:
        self.host = host
        self.port = port
        self._welcome = welcome
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connections are accepted. Port 0 becomes the one that it is from now on."""
        if self._socket is None:
            self._socket = socket.create_server((self.host, self.port), backlog=BACKLOG)
            self._socket.setblocking(False)
            self.port = self._socket.getsockname()[1]
            asyncio.get_running_loop().add_reader(self._socket, self._accept, self._socket)

    def close(self) -> None:
        """Connections are refused. Those that are open stay."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _accept(self, listening: socket.socket) -> None:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return  # the client is gone already
        self._welcome(accepted)
