"""A ledger that is left alone while it does not answer, so that nobody who presses START waits for it in vain.

Its breaker is not the sql tier's: a start may take seconds where a click in a redirect has milliseconds.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from backends.breaker import Breaker, State
from backends.tier import log_turn
from domain.attribution import Start
from domain.click import Click
from domain.clock import Clock
from domain.conversions import Conversion, Reported
from domain.errors import StoreUnavailable
from domain.observations import Observer
from domain.outcomes import LedgerRow

T = TypeVar("T")
PROBE_SECONDS = 2.0
NAME = "ledger"  # in metrics and /readyz


class ProbedLedger(Protocol):
    """A ledger that can also write something real for the sake of writing. Raises StoreUnavailable."""

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None: ...
    async def record_conversion(
        self, conversion: Conversion, *, too_old: bool = False
    ) -> Reported | None: ...
    async def probe(self) -> None: ...


class GuardedLedger:
    """`record_start` and `record_conversion` of a ledger, behind one breaker. `probe`, in the background, finds out that SQL writes again."""

    def __init__(self, ledger: ProbedLedger, *, breaker: Breaker, clock: Clock, observer: Observer) -> None:
        self._ledger = ledger
        self._breaker = breaker
        self._clock = clock
        self._observer = observer

    @property
    def state(self) -> State:
        """Of the breaker."""
        return self._breaker.state

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None:
        """As the ledger; StoreUnavailable at once while the breaker is open. Being cancelled in time is a failure too."""
        return await self._guarded(lambda: self._ledger.record_start(start, click))

    async def record_conversion(self, conversion: Conversion, *, too_old: bool = False) -> Reported | None:
        """As `record_start`."""
        return await self._guarded(lambda: self._ledger.record_conversion(conversion, too_old=too_old))

    async def _guarded(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        ticket = self._breaker.admit(self._clock.monotonic())
        if ticket is None:
            raise StoreUnavailable("SQL does not answer; it is asked again in the background")
        try:
            answer = await call()
        except (StoreUnavailable, asyncio.CancelledError) as error:
            before = self.state
            self._breaker.failed(ticket, self._clock.monotonic(), refused=_is_refusal(error))
            if self.state != before:
                self._tell(before)
            raise
        self._breaker.succeeded(ticket, self._clock.monotonic())
        return answer

    async def probe(self) -> None:
        """Try a real write, if the breaker says that it is time."""
        ticket = self._breaker.probe(self._clock.monotonic())
        if ticket is None:
            return
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await self._ledger.probe()
        except (StoreUnavailable, TimeoutError) as error:
            self._breaker.failed(ticket, self._clock.monotonic(), refused=_is_refusal(error))
        else:
            self._breaker.succeeded(ticket, self._clock.monotonic())
        self._tell("half_open")

    def _tell(self, before: State) -> None:
        self._observer.breaker(NAME, self.state)
        log_turn(NAME, before, self.state)


def _is_refusal(error: BaseException) -> bool:
    """Nobody listens there."""
    return isinstance(error.__cause__, ConnectionError)
