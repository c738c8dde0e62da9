"""FallbackChain: Redis -> disk -> SQL. The only thing that chooses between stores. A ClickStore itself.

durable (default): the disk spool and Redis at once; the receipt is the spool's. If the spool fails, SQL directly with
the time that is left. chain: the first that accepts, in order; cheaper, and it promises less: a click that only Redis
has taken is `token_only` until it has been spooled a moment later.

A click whose receipt is `token_only` waits in the ring, and is spooled as soon as the spool works. Until then it
would be lost with this process; the metric `trilha_ring_waiting` says how many that are.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from backends.ring import Ring
from backends.tier import Tier
from domain.click import Click
from domain.clock import Clock
from domain.errors import RecordRejected, StoreError
from domain.observations import Observer
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, Lookup, Receipt, Unknown

Ack = Literal["durable", "chain"]
RESCUE_BATCH = 500
_NOTHING = Receipt(durability=Durability.TOKEN_ONLY, visible=False)
FIND_SECONDS = {"redis": 0.25, "disk": 1.0, "sql": 2.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """The three stores in their order. Redis may be absent by configuration."""

    redis: Tier | None
    disk: Tier
    sql: Tier

    def all(self) -> list[Tier]:
        """In the order of the chain."""
        return [tier for tier in (self.redis, self.disk, self.sql) if tier is not None]


class FallbackChain:
    """Answers every `put` within `budget` seconds, with what is then true."""

    def __init__(
        self, tiers: Tiers, ring: Ring, *, ack: Ack, budget: float, clock: Clock, observer: Observer
    ) -> None:
        self._tiers = tiers
        self._ring = ring
        self._ack = ack
        self._budget = budget
        self._clock = clock
        self._observer = observer

    async def put(self, click: Click) -> Receipt:
        """Never raises; a click that no store has taken in time is `token_only`, never called stored."""
        deadline = self._clock.monotonic() + self._budget
        try:
            receipt = await (self._durable if self._ack == "durable" else self._in_order)(click, deadline)
        except RecordRejected:
            # Data are lost here: no store takes this record. Only the token still says link and ad.
            self._observer.receipt(_NOTHING)
            return _NOTHING
        if not receipt.durability.acknowledged:
            self._ring.add(click)
        self._observer.receipt(receipt)
        return receipt

    async def find(self, click_id: UUID) -> Lookup:
        """The first store that has it. Missing only when every store that might have it said so."""
        unknown = False
        for tier in self._tiers.all():
            lookup = await tier.find(click_id, FIND_SECONDS[tier.name])
            if isinstance(lookup, Found):
                return lookup
            # Redis is a cache: not being able to ask it says nothing about whether the click is kept.
            unknown = unknown or (isinstance(lookup, Unknown) and tier is not self._tiers.redis)
        waiting = self._ring.get(click_id)
        if waiting is not None:
            return Found(waiting)
        return UNKNOWN if unknown else MISSING

    async def find_unsettled(self, click_id: UUID) -> Click | None:
        """The click, if Redis or the spool has it: for a start, whose own statement asks SQL anyway."""
        for tier in (self._tiers.redis, self._tiers.disk):
            if tier is not None:
                lookup = await tier.find(click_id, FIND_SECONDS[tier.name])
                if isinstance(lookup, Found):
                    return lookup.click
        return self._ring.get(click_id)

    async def where(self, click_id: UUID) -> dict[str, Lookup]:
        """What each store says, by its name."""
        tiers = self._tiers.all()
        lookups = await asyncio.gather(*(tier.find(click_id, FIND_SECONDS[tier.name]) for tier in tiers))
        return {tier.name: lookup for tier, lookup in zip(tiers, lookups, strict=True)}

    async def discard(self, click_id: UUID) -> None:
        """Remove the click everywhere; raises the first StoreError after every store was asked."""
        self._ring.remove(click_id)
        calls = (tier.store.discard(click_id) for tier in self._tiers.all())
        results = await asyncio.gather(*calls, return_exceptions=True)
        for error in results:
            if isinstance(error, BaseException) and not isinstance(error, StoreError):
                raise error
        for error in results:
            if error is not None:
                raise error

    async def rescue(self) -> None:
        """Spool what waits in the ring. Called in the background, again and again."""
        while waiting := self._ring.oldest(RESCUE_BATCH):
            kept = await asyncio.gather(*(self._rescue_one(click) for click in waiting))
            if not any(kept):
                break

    async def _rescue_one(self, click: Click) -> bool:
        """True when the click need not wait any longer. No visitor waits for it, so the spool may take its time."""
        try:
            await self._tiers.disk.store.put(click)
        except RecordRejected:
            kept = True
        except StoreError:
            deadline = self._clock.monotonic() + FIND_SECONDS["sql"]
            kept = await self._tiers.sql.put(click, deadline) is not None
        else:
            kept = True
        if kept:
            self._ring.remove(click.id)
        return kept

    async def probe(self) -> None:
        """Let each tier whose breaker is open try whether it works again. Called in the background."""
        await asyncio.gather(*(tier.probe() for tier in self._tiers.all()))

    def states(self) -> dict[str, str]:
        """Breaker states by tier name."""
        return {tier.name: tier.state for tier in self._tiers.all()}

    async def _durable(self, click: Click, deadline: float) -> Receipt:
        redis = self._tiers.redis
        showing = None if redis is None else asyncio.ensure_future(_visible(redis, click, deadline))
        kept = await self._tiers.disk.put(click, deadline) or await self._tiers.sql.put(click, deadline)
        visible = showing is not None and await showing
        return Receipt(durability=kept.durability if kept else Durability.TOKEN_ONLY, visible=visible)

    async def _in_order(self, click: Click, deadline: float) -> Receipt:
        for tier in self._tiers.all():
            receipt = await tier.put(click, deadline)
            if receipt is not None:
                return receipt
        return _NOTHING


async def _visible(redis: Tier, click: Click, deadline: float) -> bool:
    """Redis is never a reason to fail: a record it refuses is simply not visible."""
    try:
        return await redis.put(click, deadline) is not None
    except RecordRejected:
        return False
