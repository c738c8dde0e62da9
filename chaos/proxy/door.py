"""The port where clients come in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from chaos.proxy.toxics.blackhole import restore, swallow

HOST = "127.0.0.1"
BACKLOG = 1024


class Door:
    """Open, shut (connection refused) or swallowing (connecting hangs)."""

    def __init__(self, port: int, welcome: Callable[[], asyncio.Protocol]) -> None:
        self._port = port
        self._welcome = welcome
        self._listener: socket.socket | None = None
        self._server: asyncio.Server | None = None

    async def be(self, *, shut: bool, swallowing: bool) -> None:
        """Return when it is so."""
        if shut:
            self._shut()
            return
        if self._listener is None:
            await self._open()
        assert self._listener is not None
        (swallow if swallowing else restore)(self._listener)

    async def _open(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, self._port))
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._welcome, sock=listener, backlog=BACKLOG)
        self._listener = listener

    def _shut(self) -> None:
        """Who is in stays in."""
        if self._server is not None:
            self._server.close()
        self._server = self._listener = None
