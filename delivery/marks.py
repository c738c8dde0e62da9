"""Marks: what becomes of a lane's claimed deliveries, written into the outbox and counted.

Every mark may be made twice, and by a claimer whose lease is over: only what is pending changes.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

from delivery.destination import Accepted, Ready, Refusal
from delivery.schedule import retry
from domain.clock import Clock
from domain.conversions import DeliveryState
from domain.errors import StoreUnavailable
from domain.observations import Observer
from domain.ports import Outbox


class Claim(NamedTuple):
    """A claimed delivery that is ready to be sent. at_ms: when its conversion happened."""

    event: Ready
    at_ms: int


class Marks:
    """Of one lane. Each method raises StoreUnavailable: the claim then ends with its lease, and is made again."""

    def __init__(self, lane: str, *, outbox: Outbox, clock: Clock, observer: Observer) -> None:
        self._lane = lane
        self._outbox = outbox
        self._clock = clock
        self._observer = observer

    async def sent(self, claims: Sequence[Claim], answer: Accepted) -> None:
        """The destination has them. Noted once more should it fail, as after a deadlock: what is not noted is sent again."""
        matched = {claim.event.id: claim.event.matched for claim in claims}
        at_ms = self._clock.now_ms()
        try:
            await self._outbox.sent(self._lane, matched, trace=answer.trace, at_ms=at_ms)
        except StoreUnavailable:
            await self._outbox.sent(self._lane, matched, trace=answer.trace, at_ms=at_ms)
        self._observer.delivery("sent", len(claims))

    async def end(self, ids: Sequence[UUID], state: DeliveryState, why: Refusal | str) -> None:
        """They are over, for good."""
        if isinstance(why, str):
            await self._outbox.end(self._lane, ids, state, reason=why)
        else:
            await self._outbox.end(self._lane, ids, state, reason=why.reason, code=why.code, trace=why.trace)
        self._observer.delivery(state, len(ids))

    async def give_back(self, claims: Iterable[Claim], seconds: float = 0.0) -> None:
        """Nothing was tried: they are due again in so many seconds, as if they had not been claimed."""
        await self.wait([claim.event.id for claim in claims], seconds, None)

    async def wait(self, ids: Sequence[UUID], seconds: float, reason: str | None) -> None:
        """They are to be looked at again, and nothing counts as tried."""
        until = self._clock.now_ms() + round(seconds * 1000)
        await self._outbox.postpone(self._lane, ids, until_ms=until, reason=reason, back=True)
        self._observer.delivery("postponed", len(ids))

    async def retry(
        self, claims: Iterable[Claim], why: Refusal, *, spread: float, most: int | None = None
    ) -> None:
        """They were tried in vain: again later, by how often that has been, or never."""
        now = self._clock.now_ms()
        later: dict[int, list[UUID]] = {}
        never: dict[str, list[UUID]] = {}
        for event, at_ms in claims:
            decision = retry(event.attempts, event_ms=at_ms, now_ms=now, spread=spread, most=most)
            if decision.at_ms is None:
                never.setdefault(f"{decision.reason}: {why.reason}", []).append(event.id)
            else:
                later.setdefault(decision.at_ms, []).append(event.id)
        for until, ids in later.items():
            await self._outbox.postpone(self._lane, ids, until_ms=until, reason=why.reason, code=why.code)
            self._observer.delivery("postponed", len(ids))
        for reason, ids in never.items():
            await self._outbox.end(self._lane, ids, "dead", reason=reason, code=why.code, trace=why.trace)
            self._observer.delivery("dead", len(ids))
