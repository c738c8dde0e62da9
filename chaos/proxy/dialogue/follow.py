"""Both directions of a connection, followed from its first byte, so that a trouble may name a command at any time."""

from __future__ import annotations

from collections.abc import Iterator

from chaos.proxy.dialogue.cursor import Applied, Cursor
from chaos.proxy.dialogue.postgres import Postgres
from chaos.proxy.dialogue.resp import Resp


class Reader:
    """A cursor and who reads it. What cannot be followed any further is no longer listened to."""

    def __init__(self, cursor: Cursor, steps: Iterator[Applied | None]) -> None:
        self._cursor = cursor
        self._steps = steps
        self._deaf = False

    def hear(self, data: bytes) -> list[Applied]:
        """Read on; what was said to be applied."""
        if self._deaf:
            return []
        self._cursor.feed(data)
        found: list[Applied] = []
        try:
            while (applied := next(self._steps)) is not None:
                found.append(applied)
        except (StopIteration, ValueError, IndexError):
            self._deaf = True
        return found


class Dialogue:
    """What a client and a store say to each other, in the protocol that the client's first byte is of."""

    def __init__(self) -> None:
        self._up: Reader | None = None
        self._down: Reader | None = None

    def asked(self, data: bytes) -> None:
        """The client has said this."""
        if self._up is None:
            self._begin(data)
        assert self._up is not None
        self._up.hear(data)

    def answered(self, data: bytes) -> list[Applied]:
        """The store has said this; what of it says that a command was applied."""
        return self._down.hear(data) if self._down else []

    def _begin(self, data: bytes) -> None:
        up, down = Cursor(), Cursor()
        # PostgreSQL's first message begins with its length in four bytes, of which the first is always 0.
        tongue = Postgres(up, down) if data[:1] == b"\0" else Resp(up, down)
        self._up, self._down = Reader(up, tongue.commands()), Reader(down, tongue.replies())
