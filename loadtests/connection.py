"""One kept-alive client connection, and what is read from an HTTP/1.1 answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol, cast

_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, as far as a load generator cares."""

    status: int
    location: str
    closes: bool


class Owner(Protocol):
    """Whoever sends requests over connections."""

    def answered(self, connection: Connection, number: int, answer: Answer) -> None: ...
    def closed(self, connection: Connection) -> None: ...


class Connection(asyncio.Protocol):
    """At most one request is under way on it; `number` says which."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self.number: int | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, number: int, request: bytes) -> None:
        """Send the request of that number."""
        self.number = number
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        """Close it; the owner hears of it as of any other closing."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(_END)
        if not end:
            return
        try:
            answer, length = parse_head(head)
        except ValueError:
            self.close()
            return
        if len(body) >= length and self.number is not None:
            self._buffer = body[length:]
            number, self.number = self.number, None
            self._owner.answered(self, number, answer)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  why it went does not matter
        self.lost = True
        self._owner.closed(self)


def parse_head(head: bytes) -> tuple[Answer, int]:
    """Status, Location, and how many bytes of body follow. ValueError for what is not HTTP/1.1."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if not first.startswith("HTTP/1.1 ") or "transfer-encoding" in fields:
        raise ValueError("not an answer that is understood here")
    answer = Answer(
        status=int(first[9:12]),
        location=fields.get("location", ""),
        closes=fields.get("connection", "").lower() == "close",
    )
    return answer, int(fields.get("content-length", "0"))
