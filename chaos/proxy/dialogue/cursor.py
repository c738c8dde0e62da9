"""Bytes as the network cuts them, read as the protocol cuts them."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple


class Applied(NamedTuple):
    """A reply that says that a command was applied, and where in the newest bytes it begins (0 if before them)."""

    at: int
    command: str


Steps = Generator[Applied | None, None, None]
"""Reading that yields what it finds, and None when it needs more bytes."""
Reading = Generator[None, None, bytes]


KEPT_LIMIT = 65_536  # bytes of a line or a name; longer ones are of no protocol that is read here


class Cursor:
    """What has come and is not read yet. Its readers raise ValueError at lengths that cannot be meant."""

    def __init__(self) -> None:
        self._data = b""
        self._at = 0
        self._gone = 0
        self._newest = 0

    def feed(self, data: bytes) -> None:
        """More has come; whoever waits for it may be resumed."""
        self._gone += self._at
        self._data = self._data[self._at :] + data
        self._newest = self._gone + len(self._data) - len(data)
        self._at = 0

    @property
    def position(self) -> int:
        """Where the cursor stands in the whole stream."""
        return self._gone + self._at

    def applied(self, position: int, command: str) -> Applied:
        """The reply to the command begins there in the whole stream."""
        return Applied(max(0, position - self._newest), command)

    def peek(self) -> Reading:
        """The next byte, which stays."""
        while self._at >= len(self._data):
            yield
        return self._data[self._at : self._at + 1]

    def take(self, size: int) -> Reading:
        """So many bytes."""
        if not 0 <= size <= KEPT_LIMIT:
            raise ValueError(size)
        while len(self._data) - self._at < size:
            yield
        self._at += size
        return self._data[self._at - size : self._at]

    def line(self) -> Reading:
        """Up to the next CRLF, without it."""
        while (end := self._data.find(b"\r\n", self._at)) < 0:
            if len(self._data) - self._at > KEPT_LIMIT:
                raise ValueError("no line")
            yield
        start, self._at = self._at, end + 2
        return self._data[start:end]

    def skip(self, size: int) -> Generator[None, None, None]:
        """Pass over so many bytes, keeping none."""
        if size < 0:
            raise ValueError(size)
        while size > (there := len(self._data) - self._at):
            size -= there
            self._at += there
            yield
        self._at += size
