"""A longer way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from chaos.proxy.toxics.noop import Parcel


class Latency:
    """Every parcel arrives `seconds` later, plus a share of `jitter` seconds; many are on their way at once."""

    def __init__(self, seconds: float, jitter: float = 0.0) -> None:
        self._seconds = seconds
        self._jitter = jitter
        self._last = 0.0

    def treat(self, parcels: Iterable[Parcel]) -> Iterator[Parcel]:
        for due, data in parcels:
            # A stream has an order: who would overtake waits.
            self._last = max(self._last, due + self._seconds + random.uniform(0.0, self._jitter))
            yield Parcel(self._last, data)
