"""A narrow way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chaos.proxy.toxics.noop import Parcel

SLICES_PER_SECOND = 50


class Bandwidth:
    """So many bytes per second get through, in slices, so that they trickle."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._slice = max(1, int(bytes_per_second / SLICES_PER_SECOND))
        self._free = 0.0

    def treat(self, parcels: Iterable[Parcel]) -> Iterator[Parcel]:
        for due, data in parcels:
            for at in range(0, len(data) or 1, self._slice):
                piece = data[at : at + self._slice]
                self._free = max(self._free, due) + len(piece) / self._rate
                yield Parcel(self._free, piece)
