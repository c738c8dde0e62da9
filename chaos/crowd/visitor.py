"""One kept-alive HTTP/1.1 connection that is asked one thing at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

HOST = "127.0.0.1"
Headers = dict[str, str]


class Visitor:
    """A connection to one port; opened when first used."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> tuple[int, Headers, bytes]:
        """Status, headers by lower-case name, and body. OSError, EOFError or ValueError: there was no answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self.port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        status, headers = parse(head)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            await self.leave()
        return status, headers, body

    async def leave(self) -> None:
        """Close it; a later question opens a new one."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with suppress(OSError):
                await streams[1].wait_closed()


def parse(head: bytes) -> tuple[int, Headers]:
    """Status and headers of an answer's head. ValueError for what is not HTTP/1.1."""
    first, *lines = head.decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 "):
        raise ValueError("not an HTTP/1.1 answer")
    fields = (line.partition(":") for line in lines if line)
    return int(first[9:12]), {name.lower(): value.strip() for name, _, value in fields}


def trouble_of(error: BaseException) -> str:
    """In one word, why there was no answer."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError | EOFError):
        return "reset"
    return "garbled"


NO_ANSWER = (OSError, EOFError, ValueError, asyncio.LimitOverrunError)
"""What `ask` raises when there was no answer (TimeoutError is an OSError)."""
