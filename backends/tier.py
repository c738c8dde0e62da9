"""Tier: one store with its deadline and its breaker."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from backends.breaker import Breaker, State
from backends.codec import Packed
from domain.click import Click
from domain.clock import Clock
from domain.errors import RecordRejected, StoreBroken, StoreUnavailable
from domain.observations import Observer
from domain.outcomes import NOTHING_PROMISED, UNKNOWN, Lookup, Receipt, Unknown
from runtime.logs import get_logger

T = TypeVar("T")
PROBE_SECONDS = 2.0
TURNS = 4  # submitted, sent or handed to a thread, answered, heard
_log = get_logger("trilha.tier")


class TierStore(Protocol):
    """A ClickStore that also takes many clicks in one operation, and can be probed with its real write.

    `put_batch` keeps all of them or raises StoreUnavailable or RecordRejected; `probe` raises StoreUnavailable. A store of
    many servers promises nothing where some of them have not taken their share, which says nothing against the others.
    """

    async def put(self, click: Click) -> Receipt: ...
    async def put_batch(self, batch: Sequence[Packed]) -> Receipt: ...
    async def find(self, click_id: UUID) -> Lookup: ...
    async def discard(self, click_id: UUID) -> None: ...
    async def probe(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Asks its store only while the breaker lets it, and never waits longer than `patience` seconds for a put.

    An answer that took longer than `slow` seconds counts against the store like a failure.
    """

    name: str
    store: TierStore
    breaker: Breaker
    patience: float
    slow: float
    clock: Clock
    observer: Observer

    @property
    def state(self) -> State:
        """Of the breaker."""
        return self.breaker.state

    async def put_batch(self, batch: Sequence[Packed], deadline: float, tick: float = 0.0) -> Receipt | None:
        """The store's receipt; None when it does not have the clicks, or has not said so in time.

        `tick`: seconds that one turn of a busy loop takes. An answer waits for a few of them to be heard, which is not
        the store's doing: a surge of clicks must not look like a slow store, open its breaker, and make itself worse.
        """
        now = self.clock.monotonic()
        ticket = self.breaker.admit(now)
        if ticket is None:
            self.observer.tier(self.name, "put", "skipped")
            return None
        lost = TURNS * tick
        limit = min(deadline - now, self.patience + lost)
        receipt = await self._watched("put", ticket, self.store.put_batch(batch), limit, self.slow + lost)
        return None if receipt == NOTHING_PROMISED else receipt

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
            self._failed(ticket, "find")
        else:
            self.breaker.succeeded(ticket, self.clock.monotonic())
        return lookup

    async def probe(self) -> None:
        """Try the store's real write once, if the breaker says that it is time."""
        ticket = self.breaker.probe(self.clock.monotonic())
        if ticket is not None:
            self.observer.breaker(self.name, self.breaker.state)
            await self._watched("probe", ticket, self.store.probe(), PROBE_SECONDS, PROBE_SECONDS)
            self.observer.breaker(self.name, self.breaker.state)

    async def _watched(
        self, operation: str, ticket: int, call: Coroutine[Any, Any, T], seconds: float, slow: float
    ) -> T | None:
        began = self.clock.monotonic()
        try:
            async with asyncio.timeout(seconds):
                answer = await call
        except (StoreUnavailable, TimeoutError) as error:
            self._failed(ticket, operation, error)
            return None
        except RecordRejected:
            self.breaker.released(ticket, self.clock.monotonic())
            self.observer.tier(self.name, operation, "rejected")
            return None
        except asyncio.CancelledError:
            self.breaker.released(ticket, self.clock.monotonic())
            raise
        except Exception as error:  # noqa: BLE001  a store's surprise is its failure, and must not stop a redirect
            _log.error("a store failed in a way it should not", tier=self.name, error=type(error).__name__)
            self._failed(ticket, operation)
            return None
        now = self.clock.monotonic()
        before = self.breaker.state
        self.breaker.succeeded(ticket, now, slow=now - began > slow)
        self.observer.tier(self.name, operation, "ok")
        self._tell(before)
        return answer

    def _failed(self, ticket: int, operation: str, error: Exception | None = None) -> None:
        before = self.breaker.state
        self.breaker.failed(
            ticket,
            self.clock.monotonic(),
            refused=error is not None and isinstance(error.__cause__, ConnectionError),
            broken=isinstance(error, StoreBroken),
        )
        self.observer.tier(self.name, operation, "failed")
        self._tell(before)

    def _tell(self, before: State) -> None:
        state = self.breaker.state
        if state == before:
            return
        self.observer.breaker(self.name, state)
        log_turn(self.name, before, state)


def log_turn(name: str, before: State, after: State) -> None:
    """Say that a breaker opened or closed. A probe that failed is not a turn."""
    if after == "closed" != before:
        _log.info("breaker closed", tier=name)
    elif after == "open" and before == "closed":
        _log.warning("breaker opened", tier=name)
