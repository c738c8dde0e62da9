"""Tier: one store with its deadline and its breaker."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from backends.breaker import Breaker, State
from domain.click import Click
from domain.clock import Clock
from domain.errors import RecordRejected, StoreUnavailable
from domain.observations import Observer
from domain.outcomes import UNKNOWN, Lookup, Receipt, Unknown
from runtime.logs import get_logger

T = TypeVar("T")
PROBE_SECONDS = 2.0
_log = get_logger("trilha.tier")


class TierStore(Protocol):
    """A ClickStore that can also be probed with its real write. `probe` raises StoreUnavailable."""

    async def put(self, click: Click) -> Receipt: ...
    async def find(self, click_id: UUID) -> Lookup: ...
    async def discard(self, click_id: UUID) -> None: ...
    async def probe(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Asks its store only while the breaker lets it, and never waits longer than `patience` seconds for a put."""

    name: str
    store: TierStore
    breaker: Breaker
    patience: float
    clock: Clock
    observer: Observer

    @property
    def state(self) -> State:
        """Of the breaker."""
        return self.breaker.state

    async def put(self, click: Click, deadline: float) -> Receipt | None:
        """The store's receipt; None when it does not have the click, or has not said so in time.

        Raises RecordRejected: the record is at fault, another store would not take it either.
        """
        ticket = self.breaker.admit(self.clock.monotonic())
        if ticket is None:
            self.observer.tier(self.name, "put", "skipped")
            return None
        limit = min(deadline - self.clock.monotonic(), self.patience)
        return await self._watched("put", ticket, self.store.put(click), limit)

    async def find(self, click_id: UUID, seconds: float) -> Lookup:
        """The store's answer, or Unknown: its breaker is open, it failed, or it took longer than `seconds`."""
        ticket = self.breaker.admit(self.clock.monotonic())
        if ticket is None:
            return UNKNOWN
        try:
            async with asyncio.timeout(seconds):
                lookup = await self.store.find(click_id)
        except TimeoutError:
            lookup = UNKNOWN
        except asyncio.CancelledError:
            self.breaker.released(ticket, self.clock.monotonic())
            raise
        if isinstance(lookup, Unknown):
            self._failed(ticket, "find", refused=False)
        else:
            self.breaker.succeeded(ticket, self.clock.monotonic())
        return lookup

    async def probe(self) -> None:
        """Try the store's real write once, if the breaker says that it is time."""
        ticket = self.breaker.probe(self.clock.monotonic())
        if ticket is not None:
            self.observer.breaker(self.name, self.breaker.state)
            await self._watched("probe", ticket, self.store.probe(), PROBE_SECONDS)
            self.observer.breaker(self.name, self.breaker.state)

    async def _watched(self, operation: str, ticket: int, call: Awaitable[T], seconds: float) -> T | None:
        try:
            async with asyncio.timeout(seconds):
                answer = await call
        except (StoreUnavailable, TimeoutError) as error:
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            self._failed(ticket, operation, refused=refused)
            return None
        except RecordRejected:
            self.breaker.released(ticket, self.clock.monotonic())
            self.observer.tier(self.name, operation, "rejected")
            raise
        except asyncio.CancelledError:
            self.breaker.released(ticket, self.clock.monotonic())
            raise
        except Exception as error:  # noqa: BLE001  a store's surprise is its failure, and must not stop a redirect
            _log.error("a store failed in a way it should not", tier=self.name, error=type(error).__name__)
            self._failed(ticket, operation, refused=False)
            return None
        self.breaker.succeeded(ticket, self.clock.monotonic())
        self.observer.tier(self.name, operation, "ok")
        return answer

    def _failed(self, ticket: int, operation: str, *, refused: bool) -> None:
        before = self.breaker.state
        self.breaker.failed(ticket, self.clock.monotonic(), refused=refused)
        self.observer.tier(self.name, operation, "failed")
        if self.breaker.state != before:
            self.observer.breaker(self.name, self.breaker.state)
