"""Redis: commands and replies come in one order, so the n-th reply is that of the n-th command.

https://redis.io/docs/latest/develop/reference/protocol-spec/, versions 2 and 3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

from chaos.proxy.dialogue.cursor import Cursor, Reading, Steps

_BLOBS, _LISTS = b"$!=", b"*~>"
_ERRORS = (b"-", b"!")
_PUSH = b">"
_CHANGES_THE_ORDER = {"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR", "SYNC", "PSYNC"}


class Resp:
    """The commands that wait for their reply. Who subscribes or replicates is not followed any further."""

    def __init__(self, up: Cursor, down: Cursor) -> None:
        self._up = up
        self._down = down
        self._waiting: deque[str] = deque()
        self._queueing = False

    def commands(self) -> Steps:
        while True:
            line = yield from self._up.line()
            name = (yield from self._array(int(line[1:]))) if line[:1] == b"*" else _first_word(line)
            if name:
                self._said(name.decode("latin-1").upper())

    def _array(self, size: int) -> Reading:
        """The command's name; its arguments are passed over."""
        name = b""
        for index in range(size):
            length = int((yield from self._up.line())[1:])
            if index == 0:
                name = yield from self._up.take(length)
                length = 0
            yield from self._up.skip(length + 2)
        return name

    def _said(self, name: str) -> None:
        if name in _CHANGES_THE_ORDER:
            raise ValueError(name)
        if name in {"EXEC", "DISCARD"}:
            self._queueing = False
        # Between MULTI and EXEC a reply says QUEUED: nothing is applied yet.
        self._waiting.append("" if self._queueing else name)
        self._queueing = self._queueing or name == "MULTI"

    def replies(self) -> Steps:
        while True:
            kind = yield from self._down.peek()
            start = self._down.position
            if kind != _PUSH:
                name = self._waiting.popleft() if self._waiting else ""
                if name and kind not in _ERRORS:
                    yield self._down.applied(start, name)
            yield from self._value()

    def _value(self) -> Generator[None, None, None]:
        """Pass over one value with all that it holds."""
        left = 1
        while left:
            line = yield from self._down.line()
            kind, rest = line[:1], line[1:]
            left -= 1
            if kind in _BLOBS and rest != b"-1":
                yield from self._down.skip(int(rest) + 2)
            elif kind in _LISTS:
                left += max(0, int(rest))
            elif kind == b"%":
                left += 2 * int(rest)
            elif kind == b"|":  # attributes of the value that follows them
                left += 2 * int(rest) + 1


def _first_word(line: bytes) -> bytes:
    words = line.split(None, 1)
    return words[0] if words else b""
