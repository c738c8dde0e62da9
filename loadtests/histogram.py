"""Latencies in buckets that grow by 2 in 100: a run of any length fits, and a percentile is at most that much too high."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

GROWTH = 1.02
SMALLEST_MS = 0.01


class Histogram:
    """Counts of latencies in milliseconds."""

    __slots__ = ("_counts", "count", "largest")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.largest = 0.0

    def add(self, ms: float) -> None:
        """One more; what is below 0.01 ms counts as 0.01."""
        self._counts[bucket(ms)] += 1
        self.count += 1
        self.largest = max(self.largest, ms)

    def percentile(self, share: float) -> float:
        """The upper bound of the bucket of that rank, never above the largest that was measured; nan when empty."""
        rank = min(self.count, int(self.count * share) + 1)
        seen = 0
        for number in sorted(self._counts):
            seen += self._counts[number]
            if seen >= rank:
                return min(self.largest, upper_bound(number))
        return math.nan

    def take_in(self, other: Histogram) -> None:
        """All of another one."""
        for number, count in other.counts():
            self._counts[number] += count
        self.count += other.count
        self.largest = max(self.largest, other.largest)

    def counts(self) -> Iterable[tuple[int, int]]:
        """How many are in each bucket that has any."""
        return self._counts.items()

    @classmethod
    def together(cls, parts: Iterable[Histogram]) -> Histogram:
        """All of several."""
        whole = cls()
        for part in parts:
            whole.take_in(part)
        return whole


def bucket(ms: float) -> int:
    """The number of the bucket that a latency falls into."""
    return max(0, math.ceil(math.log(max(ms, SMALLEST_MS) / SMALLEST_MS, GROWTH)))


def upper_bound(number: int) -> float:
    """The largest latency of a bucket, in milliseconds."""
    return SMALLEST_MS * GROWTH**number
