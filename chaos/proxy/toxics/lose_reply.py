"""Applied, and nobody is told: the store did it, and the connection is cut instead of saying so."""

from __future__ import annotations

from chaos.proxy.trouble import Trouble


class Losses:
    """Which replies are lost: every n-th of those to the named commands, over all connections, up to a limit."""

    def __init__(self, trouble: Trouble) -> None:
        self._names = frozenset(name.upper() for name in trouble.lose_reply)
        self._every = trouble.lose_every
        self._left = trouble.lose_count
        self._seen = 0

    def loses(self, command: str) -> bool:
        """Count one reply of the store, and say whether it is lost."""
        if command not in self._names or self._left == 0:
            return False
        self._seen += 1
        if self._seen % self._every:
            return False
        if self._left is not None:
            self._left -= 1
        return True
