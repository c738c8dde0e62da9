"""Up to where the updates of a bot are done. Pure.

Telegram numbers what happens to a bot (its `pts`, and `qts` for a few kinds), and keeps it for whoever asks again from a
number on. An update that is `count` numbers wide and ends at `pts` stands for the numbers above `pts - count`.
"""

from heapq import heappop, heappush


class Progress:
    """Two marks over one sequence: what has come without a hole, and what is done without a hole.

    Only `done` may be kept for the next start of the worker: what lies above it comes again then, and none is lost.
    """

    def __init__(self, start: int) -> None:
        self._seen = _Mark(start)
        self._done = _Mark(start)

    @property
    def seen(self) -> int:
        """Every number up to this one has come."""
        return self._seen.at

    @property
    def done(self) -> int:
        """Every number up to this one has come and is dealt with."""
        return self._done.at

    @property
    def hole(self) -> bool:
        """True when something has come above a number that has not: it is late, or lost."""
        return self._seen.waits

    def begin(self, end: int, count: int) -> None:
        """An update has come."""
        self._seen.cover(end - count, end)

    def finish(self, end: int, count: int) -> None:
        """It is dealt with."""
        self._done.cover(end - count, end)


class _Mark:
    """The end of what is covered without a hole, whatever the order in which it is covered."""

    def __init__(self, at: int) -> None:
        self.at = at
        self._above: list[tuple[int, int]] = []

    @property
    def waits(self) -> bool:
        """True when something above a hole is covered."""
        return bool(self._above)

    def cover(self, start: int, end: int) -> None:
        """The numbers above `start`, up to `end`."""
        heappush(self._above, (start, end))
        while self._above and self._above[0][0] <= self.at:
            self.at = max(self.at, heappop(self._above)[1])
