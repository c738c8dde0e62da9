"""Ring: a bounded waiting room, in memory, for clicks that no store could take."""

from collections.abc import Iterable
from itertools import islice
from uuid import UUID

from backends.codec import Packed
from domain.click import Click
from domain.observations import Observer


class Ring:
    """At `limit` the oldest click gives way: data are lost there, and `trilha_ring_dropped_total` counts it."""

    def __init__(self, limit: int, observer: Observer) -> None:
        self._limit = limit
        self._observer = observer
        self._clicks: dict[UUID, Packed] = {}

    def add(self, batch: Iterable[Packed]) -> None:
        """Let clicks wait."""
        for packed in batch:
            self._clicks[packed.click.id] = packed
        dropped = max(0, len(self._clicks) - self._limit)
        for oldest in list(islice(self._clicks, dropped)):
            del self._clicks[oldest]
        self._observer.ring(len(self._clicks), dropped)

    @property
    def full(self) -> bool:
        """One more would push out another."""
        return len(self._clicks) >= self._limit

    def get(self, click_id: UUID) -> Click | None:
        """The click, while it waits."""
        packed = self._clicks.get(click_id)
        return None if packed is None else packed.click

    def oldest(self, limit: int) -> list[Packed]:
        """Up to `limit` clicks, those that have waited longest."""
        return list(islice(self._clicks.values(), limit))

    def remove(self, clicks: Iterable[UUID]) -> None:
        """The clicks are kept elsewhere now."""
        for click_id in clicks:
            self._clicks.pop(click_id, None)
        self._observer.ring(len(self._clicks), 0)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._clicks)
