"""PostgreSQL: what the server completed it names itself, by the tag of CommandComplete.

So a COMMIT is known by its answer, however it was asked for (simple query or prepared, "commit" or "END"), and a COMMIT
that rolled back is none: its tag is ROLLBACK. https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct

from chaos.proxy.dialogue.cursor import Cursor, Steps

_ASKS_FOR_ENCRYPTION = {80877103, 80877104}  # SSLRequest, GSSENCRequest
_NOT_ENCRYPTED = b"N"
_COMMAND_COMPLETE = b"C"


class Postgres:
    """Follows a connection that is not encrypted; one that is cannot be read."""

    def __init__(self, up: Cursor, down: Cursor) -> None:
        self._up = up
        self._down = down
        self._letters = 0

    def commands(self) -> Steps:
        """The start only: each request for encryption is answered by a letter that is no message."""
        code = 0
        while True:
            size, code = struct.unpack("!ii", (yield from self._up.take(8)))
            if code not in _ASKS_FOR_ENCRYPTION:
                return
            self._letters += 1
            yield from self._up.skip(size - 8)

    def replies(self) -> Steps:
        while True:
            yield from self._down.peek()
            if not self._letters:
                break
            self._letters -= 1
            if (yield from self._down.take(1)) != _NOT_ENCRYPTED:
                return
        while True:
            yield from self._message()

    def _message(self) -> Steps:
        start = self._down.position
        kind, size = struct.unpack("!ci", (yield from self._down.take(5)))
        if kind != _COMMAND_COMPLETE:
            yield from self._down.skip(size - 4)
            return
        tag = (yield from self._down.take(size - 4)).rstrip(b"\0")
        yield self._down.applied(start, tag.decode("latin-1").partition(" ")[0])
