"""Scores after settling: a click whose start came, or that SQL had taken before anybody could look at it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol
from uuid import UUID

from domain.click import Click
from domain.clock import Clock
from domain.enrichment import Enrichment, TrafficClass
from domain.ids import first_uuid7
from domain.outcomes import Counts, Scorable

BATCH = 200
# Who has not started a day after the click is counted as not starting; who does it all the same is scored again.
START_WAIT_MS = 86_400_000

Enrich = Callable[[Click, Counts, Enrichment | None], Enrichment]


class ScoreList(Protocol):
    """Clicks that can be scored, and where scores are written. Raises StoreUnavailable."""

    async def due(self, limit: int, waited_for: UUID) -> list[Scorable]: ...
    async def after(self, last: UUID, limit: int) -> list[Scorable]: ...
    async def write(self, scored: list[tuple[Scorable, Enrichment]], at_ms: int) -> None: ...


@dataclass(slots=True)
class Rescored:
    """What scoring again came to. `moved`: how many clicks went from one class to another."""

    clicks: int = 0
    changed: int = 0
    moved: dict[tuple[TrafficClass | None, TrafficClass], int] = field(default_factory=dict)

    def add(self, before: Enrichment | None, after: Enrichment) -> None:
        """Count one."""
        self.clicks += 1
        self.changed += before != after
        was = before.traffic.kind if before else None
        if was != after.traffic.kind:
            move = (was, after.traffic.kind)
            self.moved[move] = self.moved.get(move, 0) + 1


class Scoring:
    """Scores what is due, and on demand everything."""

    def __init__(self, waiting: ScoreList, enrich: Enrich, clock: Clock) -> None:
        self._list = waiting
        self._enrich = enrich
        self._clock = clock

    async def due(self) -> int:
        """Work the list off; how many clicks were scored. Raises StoreUnavailable; the rest stays on the list."""
        total = 0
        while batch := await self._list.due(BATCH, first_uuid7(self._clock.now_ms() - START_WAIT_MS)):
            await self._score(batch)
            total += len(batch)
            if len(batch) < BATCH:
                break
        return total

    async def again(self, since_ms: int, told: Callable[[Rescored], None]) -> Rescored:
        """Score every click since then anew; `told` hears how far it is after each batch. Raises StoreUnavailable.

        Stopped half-way it leaves some clicks with new scores and the others with theirs; running it again mends that.
        """
        done = Rescored()
        last = first_uuid7(since_ms)
        while batch := await self._list.after(last, BATCH):
            for item, enrichment in await self._score(batch):
                done.add(item.kept, enrichment)
            last = batch[-1].click.id
            told(done)
        return done

    async def _score(self, batch: list[Scorable]) -> list[tuple[Scorable, Enrichment]]:
        now = self._clock.now_ms()
        known = [replace(item, counts=_started_or_not(item, now)) for item in batch]
        scored = [(item, self._enrich(item.click, item.counts, item.kept)) for item in known]
        await self._list.write(scored, now)
        return scored


def _started_or_not(item: Scorable, now_ms: int) -> Counts:
    if item.counts.started_at_ms is not None:
        return replace(item.counts, started=True)
    over = item.click.at_ms < now_ms - START_WAIT_MS
    return replace(item.counts, started=False) if over else item.counts
