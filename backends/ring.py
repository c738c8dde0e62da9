"""Ring: a bounded waiting room, in memory, for clicks that no store could take."""

from itertools import islice
from uuid import UUID

from domain.click import Click
from domain.observations import Observer


class Ring:
    """At `limit` the oldest click gives way: data are lost there, and `trilha_ring_dropped_total` counts it."""

    def __init__(self, limit: int, observer: Observer) -> None:
        self._limit = limit
        self._observer = observer
        self._clicks: dict[UUID, Click] = {}

    def add(self, click: Click) -> None:
        """Let a click wait."""
        self._clicks[click.id] = click
        dropped = len(self._clicks) > self._limit
        if dropped:
            del self._clicks[next(iter(self._clicks))]
        self._observer.ring(len(self._clicks), int(dropped))

    def get(self, click_id: UUID) -> Click | None:
        """The click, while it waits."""
        return self._clicks.get(click_id)

    def oldest(self, limit: int) -> list[Click]:
        """Up to `limit` clicks, those that have waited longest."""
        return list(islice(self._clicks.values(), limit))

    def remove(self, click_id: UUID) -> None:
        """The click is kept elsewhere now."""
        if self._clicks.pop(click_id, None) is not None:
            self._observer.ring(len(self._clicks), 0)

    def __len__(self) -> int:
        """How many wait."""
        return len(self._clicks)
