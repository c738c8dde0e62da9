"""Import: another tracker's rows -> clicks and starts -> SQL, a batch at a time. Repeating it changes nothing (ADR 0039)."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from backends.sql.import_source import Key, SourceRow
from daemon.enrich.enricher import Enricher
from daemon.history import History, Past, Refusal
from domain.batch_size import BatchSize
from domain.clock import Clock
from domain.errors import RecordRejected
from domain.ports import Ledger

TARGET_SECONDS = 0.25
MOST_SHOWN = 20


class Pages(Protocol):
    """Gives rows in the order of their ids. Raises StoreUnavailable."""

    async def page(self, after: Key | None, limit: int) -> list[SourceRow]: ...


@dataclass(slots=True)
class Tally:
    """What became of the rows that were read. `new`: clicks that were not there before. `shown`: which rows were refused, at
    most MOST_SHOWN of each reason, by their ids.
    """

    rows: int = 0
    clicks: int = 0
    new: int = 0
    starts: int = 0
    sealed: int = 0
    visitors: int = 0
    refused: Counter[str] = field(default_factory=Counter[str])
    notes: Counter[str] = field(default_factory=Counter[str])
    shown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def refuse(self, reason: Refusal, row: str) -> None:
        """Count one that was not taken."""
        self.refused[reason] += 1
        rows = self.shown.setdefault(reason, [])
        if len(rows) < MOST_SHOWN:
            rows.append(row)


class Importer:
    """Reads, settles, and says after each batch how far it is. `ledger` None: nothing is written (a dry run).

    `there` counts which of these clicks have a row. `hide_ids`: rows are named by their place, as their ids are people's.
    """

    def __init__(
        self,
        *,
        pages: Pages,
        history: History,
        enricher: Enricher,
        ledger: Ledger | None,
        there: Callable[[Sequence[UUID]], Awaitable[int]],
        clock: Clock,
        batch: int,
        hide_ids: bool,
    ) -> None:
        self._pages = pages
        self._history = history
        self._enricher = enricher
        self._ledger = ledger
        self._there = there
        self._clock = clock
        self._size = BatchSize(batch, TARGET_SECONDS)
        self._hide_ids = hide_ids
        self.tally = Tally()

    async def run(self, after: Key | None, done: Callable[[Key, int], None]) -> None:
        """All rows beyond that id. `done` is called after each batch's COMMIT with its last id and how many rows it had.

        Raises StoreUnavailable; what was done stays.
        """
        while rows := await self._pages.page(after, self._size.now):
            began = self._clock.monotonic()
            await self._batch(rows)
            self._size.took(len(rows), self._clock.monotonic() - began)
            after = rows[-1].key
            done(after, len(rows))

    async def _batch(self, rows: Sequence[SourceRow]) -> None:
        taken: list[tuple[str, Past]] = []
        for row in rows:
            self.tally.rows += 1
            name = f"row {self.tally.rows}" if self._hide_ids else str(row.key)[:40]
            match self._history.of(row):
                case Past() as past:
                    taken.append((name, past))
                case refusal:
                    self.tally.refuse(refusal, name)
        if not taken:
            return
        try:
            await self._settle([past for _, past in taken])
        except RecordRejected:
            await self._one_by_one(taken)

    async def _one_by_one(self, taken: Sequence[tuple[str, Past]]) -> None:
        """SQL refused the batch: each row alone, so that one holds up no other."""
        for name, past in taken:
            try:
                await self._settle([past])
            except RecordRejected:
                self.tally.refuse("SQL refused it", name)

    async def _settle(self, pasts: Sequence[Past]) -> None:
        clicks = [past.click for past in pasts]
        starts = [past.start for past in pasts if past.start is not None]
        there = await self._there([click.id for click in clicks])
        if self._ledger is not None:
            added = {past.click.id: self._enricher.past(past.click, past.original) for past in pasts}
            await self._ledger.settle(clicks, starts, [], (), added)
        self.tally.clicks += len(clicks)
        self.tally.new += len(clicks) - there
        self.tally.starts += len(starts)
        self.tally.sealed += sum(click.sealed is not None for click in clicks)
        self.tally.visitors += sum(click.visitor_key is not None for click in clicks)
        for past in pasts:
            self.tally.notes.update(past.notes)
