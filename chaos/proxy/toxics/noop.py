"""Nothing: what every toxic is before it does something."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Parcel(NamedTuple):
    """Bytes on their way through one direction, and the time of the loop's clock before which they may not leave.

    No bytes at all are the end of the stream.
    """

    due: float
    data: bytes


class Toxic(Protocol):
    """What one trouble does to one direction of one connection, which it alone belongs to."""

    def treat(self, parcels: Iterable[Parcel]) -> Iterable[Parcel]:
        """The parcels as they go on: later, in pieces or not at all, and never in another order."""
        ...


class Noop:
    """Everything goes on as it came."""

    def treat(self, parcels: Iterable[Parcel]) -> Iterable[Parcel]:
        return parcels
