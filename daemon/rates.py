"""Token buckets: how many in a second, for each of many."""

from domain.clock import Clock

MOST = 4096


class Rates:
    """`rate` a second for each name, and up to `burst` at once. At most 4096 names are held: the latest."""

    def __init__(self, *, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._now = clock.monotonic
        self._levels: dict[str, tuple[float, float]] = {}

    def wait(self, name: str) -> float:
        """0.0: there is one left for this name, and now it is taken. Else the seconds until there will be."""
        now = self._now()
        level, since = self._levels.pop(name, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        taken = level >= 1
        self._levels[name] = (level - 1 if taken else level, now)
        if len(self._levels) > MOST:
            del self._levels[next(iter(self._levels))]
        return 0.0 if taken else (1 - level) / self._rate
