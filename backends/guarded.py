"""A ledger that is left alone while it does not answer, so that nobody who presses START waits for it in vain."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from backends.breaker import Breaker, State
from domain.attribution import Start
from domain.books import BookEntry
from domain.click import Click
from domain.clock import Clock
from domain.enrichment import Enrichment
from domain.errors import StoreUnavailable
from domain.observations import Observer
from domain.outcomes import LedgerRow
from domain.ports import NOTHING_ADDED, Ledger

PROBE_SECONDS = 2.0


class Prober(Protocol):
    """Writes something real, or raises StoreUnavailable."""

    async def probe(self) -> None: ...


class GuardedLedger:
    """A Ledger over another one. `record_start` is guarded by a breaker; the rest is not asked while a person waits.

    prober: what tells that the store writes again; called by `probe`, in the background.
    """

    def __init__(
        self, ledger: Ledger, prober: Prober, *, breaker: Breaker, clock: Clock, observer: Observer
    ) -> None:
        self._ledger = ledger
        self._prober = prober
        self._breaker = breaker
        self._clock = clock
        self._observer = observer

    @property
    def state(self) -> State:
        """Of the breaker."""
        return self._breaker.state

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None:
        """As the ledger; StoreUnavailable at once while the breaker is open. Being cancelled in time is a failure too."""
        ticket = self._breaker.admit(self._clock.monotonic())
        if ticket is None:
            raise StoreUnavailable("SQL does not answer; it is asked again in the background")
        try:
            row = await self._ledger.record_start(start, click)
        except (StoreUnavailable, asyncio.CancelledError) as error:
            refused = isinstance(error.__cause__, ConnectionError)
            self._breaker.failed(ticket, self._clock.monotonic(), refused=refused)
            raise
        self._breaker.succeeded(ticket, self._clock.monotonic())
        return row

    async def row(self, click_id: UUID) -> LedgerRow | None:
        """As the ledger."""
        return await self._ledger.row(click_id)

    async def settle(
        self,
        clicks: Sequence[Click],
        starts: Sequence[Start],
        books: Sequence[BookEntry],
        erased: Sequence[UUID] = (),
        enrichments: Mapping[UUID, Enrichment] = NOTHING_ADDED,
    ) -> None:
        """As the ledger."""
        await self._ledger.settle(clicks, starts, books, erased, enrichments)

    async def probe(self) -> None:
        """Try a real write, if the breaker says that it is time."""
        ticket = self._breaker.probe(self._clock.monotonic())
        if ticket is None:
            return
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._prober.probe()
        except (StoreUnavailable, TimeoutError):
            self._breaker.failed(ticket, self._clock.monotonic())
        else:
            self._breaker.succeeded(ticket, self._clock.monotonic())
        self._observer.breaker("sql", self.state)
