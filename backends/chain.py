"""FallbackChain: Redis -> disk -> SQL. The only thing that chooses between stores. A ClickStore itself.

durable (default): the disk spool and Redis at once; the receipt is the spool's. If the spool fails, SQL directly with
the time that is left. chain: the first that accepts, in order; cheaper, and it promises less: a click that only Redis
has taken is `token_only` until it has been spooled a moment later.

Clicks that come together travel together: one operation of each store, one deadline, one receipt for all. The first
goes at once; those that come while it is on its way gather for at most 5 ms.

A click whose receipt is `token_only` waits in the ring, and is spooled as soon as the spool works. Until then it
would be lost with this process; the metric `trilha_ring_waiting` says how many that are.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from backends.batch import Batch, Batcher
from backends.codec import Packed, pack
from backends.ring import Ring
from backends.tier import Tier
from domain.click import Click
from domain.clock import Clock
from domain.errors import RecordRejected, StoreError, StoreUnavailable
from domain.observations import Observer
from domain.outcomes import MISSING, NOTHING_PROMISED, UNKNOWN, Durability, Found, Lookup, Receipt, Unknown

Ack = Literal["durable", "chain"]
WaitFor = Literal["both", "durability", "visible", "token"]
LINGER_SECONDS = 0.005  # measured: ADR 0012
RESCUE_BATCH = 500
FIND_SECONDS = {"redis": 0.25, "disk": 1.0, "sql": 2.0}
_RECEIPTS = {
    (durability, visible): Receipt(durability=durability, visible=visible)
    for durability in Durability
    for visible in (False, True)
}


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
    """Answers every `put` within `budget` seconds, with what is then true.

    `wait_for`, in durable mode, is what the answer waits for: both receipts, the durability, the visibility (and the
    durability where that fails), or nothing but the token. The clicks are kept in any case.
    """

    def __init__(
        self,
        tiers: Tiers,
        ring: Ring,
        *,
        ack: Ack,
        wait_for: WaitFor = "both",
        budget: float,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._tiers = tiers
        self._ring = ring
        self._mode = self._durable if ack == "durable" else self._in_order
        self._wait_for = wait_for
        self._budget = budget
        self._clock = clock
        self._observer = observer
        self._puts: Batcher[Packed, Receipt] = Batcher(
            self._put_batch, in_flight=64, size=256, linger=LINGER_SECONDS
        )

    async def put(self, click: Click) -> Receipt:
        """Never raises; a click that no store has taken in time is `token_only`, never called stored."""
        try:
            return await self._puts.submit(pack(click))
        except (RecordRejected, StoreUnavailable):
            # Data are lost here: no store takes this record, or more wait than memory should hold. The token still
            # says link and ad.
            self._observer.receipt(NOTHING_PROMISED, 1)
            return NOTHING_PROMISED

    @property
    def may_wait(self) -> bool:
        """Whether `put_later` has room: one more click would push out none that waits already."""
        return not self._ring.full

    def put_later(self, click: Click) -> Receipt:
        """Asks no store: the click waits in the ring until `rescue` spools it, and nothing is promised for it."""
        with suppress(RecordRejected):
            self._ring.add([pack(click)])
        return NOTHING_PROMISED

    async def _put_batch(self, batch: Batch[Packed, Receipt]) -> Receipt:
        receipt = await self._mode(batch, self._clock.monotonic() + self._budget - batch.age)
        if not receipt.durability.acknowledged:
            self._ring.add(batch.items)
        promised = batch.answer(receipt)
        self._observer.receipt(promised, len(batch.items))
        return promised

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
        self._ring.remove([click_id])
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
        while (waiting := self._ring.oldest(RESCUE_BATCH)) and await self._rescued(waiting):
            self._ring.remove(click.id for click, _ in waiting)

    async def _rescued(self, waiting: Sequence[Packed]) -> bool:
        """True when the clicks need not wait any longer. No visitor waits for them: the spool may take its time."""
        try:
            await self._tiers.disk.store.put_batch(waiting)
        except StoreError:
            deadline = self._clock.monotonic() + FIND_SECONDS["sql"]
            return await self._tiers.sql.put_batch(waiting, deadline) is not None
        return True

    async def probe(self) -> None:
        """Let each tier whose breaker is open try whether it works again. Called in the background."""
        await asyncio.gather(*(tier.probe() for tier in self._tiers.all()))

    def states(self) -> dict[str, str]:
        """Breaker states by tier name."""
        return {tier.name: tier.state for tier in self._tiers.all()}

    async def close(self) -> None:
        """Wait until every put has been answered."""
        await self._puts.close()

    async def _durable(self, batch: Batch[Packed, Receipt], deadline: float) -> Receipt:
        if self._wait_for == "token":
            batch.answer(NOTHING_PROMISED)
        showing = asyncio.ensure_future(self._show(batch, deadline))
        kept = await self._keep(batch.items, deadline)
        durability = kept.durability if kept else Durability.TOKEN_ONLY
        if self._wait_for == "durability":
            batch.answer(_RECEIPTS[durability, showing.done() and showing.result()])
        return _RECEIPTS[durability, await showing]

    async def _keep(self, clicks: Sequence[Packed], deadline: float) -> Receipt | None:
        tick, tiers = self._puts.tick, self._tiers
        return await tiers.disk.put_batch(clicks, deadline, tick) or await tiers.sql.put_batch(
            clicks, deadline, tick
        )

    async def _show(self, batch: Batch[Packed, Receipt], deadline: float) -> bool:
        redis = self._tiers.redis
        visible = (
            redis is not None and await redis.put_batch(batch.items, deadline, self._puts.tick) is not None
        )
        if visible and self._wait_for == "visible":
            batch.answer(_RECEIPTS[Durability.TOKEN_ONLY, True])
        return visible

    async def _in_order(self, batch: Batch[Packed, Receipt], deadline: float) -> Receipt:
        for tier in self._tiers.all():
            receipt = await tier.put_batch(batch.items, deadline, self._puts.tick)
            if receipt is not None:
                return receipt
        return NOTHING_PROMISED
