"""The chain answers every put in time, says only what is then true, and loses no click it can still keep."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from backends.chain import Ack, FallbackChain, Tiers, WaitFor
from backends.codec import Packed, pack
from backends.memory import MemoryStore
from backends.ring import Ring
from domain.click import Click
from domain.clock import ManualClock
from domain.errors import RecordRejected, StoreUnavailable
from domain.observations import Silent
from domain.outcomes import MISSING, NOTHING_PROMISED, UNKNOWN, Durability, Found, Lookup, Receipt
from tests.making import bare_click, make_tier, new_id

SYNCED, WRITTEN, TOKEN_ONLY = Durability.SYNCED, Durability.WRITTEN, Durability.TOKEN_ONLY


def receipt(durability: Durability, *, visible: bool) -> Receipt:
    return Receipt(durability=durability, visible=visible)


class Switched:
    """The memory store behind a switch: working, down, refusing the record, never answering, or taking a part only."""

    def __init__(self, promise: Receipt) -> None:
        self.memory = MemoryStore()
        self.mode = "working"
        self.promise = promise
        self.calls = 0

    async def _pass(self) -> None:
        self.calls += 1
        match self.mode:
            case "down":
                raise StoreUnavailable("down") from ConnectionRefusedError()
            case "refusing":
                raise RecordRejected("too large")
            case "stuck":
                await asyncio.Event().wait()

    async def put(self, click: Click) -> Receipt:
        return await self.put_batch([pack(click)])

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        await self._pass()
        await self.memory.put_batch(batch)
        return NOTHING_PROMISED if self.mode == "partly" else self.promise

    async def find(self, click_id: UUID) -> Lookup:
        try:
            await self._pass()
        except StoreUnavailable:
            return UNKNOWN
        return await self.memory.find(click_id)

    async def discard(self, click_id: UUID) -> None:
        await self._pass()
        await self.memory.discard(click_id)

    async def probe(self) -> None:
        await self._pass()


class Stage:
    def __init__(
        self, ack: Ack = "durable", *, budget: float = 30.0, limit: int = 3, wait_for: WaitFor = "both"
    ) -> None:
        self.clock = ManualClock()
        self.redis = Switched(receipt(TOKEN_ONLY, visible=True))
        self.disk, self.sql = (Switched(receipt(SYNCED, visible=False)) for _ in range(2))
        self.ring = Ring(limit, Silent())
        self.tiers = Tiers(
            redis=make_tier("redis", self.redis, self.clock),
            disk=make_tier("disk", self.disk, self.clock),
            sql=make_tier("sql", self.sql, self.clock),
        )
        self.chain = FallbackChain(
            self.tiers,
            self.ring,
            ack=ack,
            wait_for=wait_for,
            budget=budget,
            clock=self.clock,
            observer=Silent(),
        )

    def set(self, redis: str = "working", disk: str = "working", sql: str = "working") -> None:
        self.redis.mode, self.disk.mode, self.sql.mode = redis, disk, sql


@pytest.mark.parametrize(
    ("redis", "disk", "sql", "durability", "visible", "waiting"),
    [
        ("working", "working", "working", SYNCED, True, 0),
        ("down", "working", "working", SYNCED, False, 0),
        ("refusing", "working", "working", SYNCED, False, 0),
        ("partly", "working", "working", SYNCED, False, 0),
        ("working", "down", "working", SYNCED, True, 0),
        ("down", "down", "working", SYNCED, False, 0),
        ("working", "down", "down", TOKEN_ONLY, True, 1),
        ("down", "down", "down", TOKEN_ONLY, False, 1),
    ],
)
async def test_a_durable_put_says_what_is_then_true(
    redis: str, disk: str, sql: str, durability: Durability, visible: bool, waiting: int
) -> None:
    stage = Stage()
    stage.set(redis, disk, sql)
    click = bare_click()
    assert await stage.chain.put(click) == receipt(durability, visible=visible)
    assert len(stage.ring) == waiting
    stage.set()
    assert await stage.chain.find(click.id) == Found(click)


@pytest.mark.parametrize("ack", ["durable", "chain"])
async def test_a_redis_of_which_a_part_is_missing_shows_nothing_and_opens_no_breaker(ack: Ack) -> None:
    stage = Stage(ack)
    stage.set(redis="partly")
    for _ in range(50):
        assert await stage.chain.put(bare_click()) == receipt(SYNCED, visible=False)
    assert (stage.redis.calls, stage.disk.calls, stage.tiers.all()[0].state) == (50, 50, "closed")


async def test_sql_is_not_asked_while_the_spool_works() -> None:
    stage = Stage()
    await stage.chain.put(bare_click())
    assert (stage.redis.calls, stage.disk.calls, stage.sql.calls) == (1, 1, 0)


async def test_in_chain_mode_the_first_that_accepts_is_the_only_one_that_has_it() -> None:
    stage = Stage("chain")
    assert await stage.chain.put(bare_click()) == receipt(TOKEN_ONLY, visible=True)
    assert (stage.redis.calls, stage.disk.calls, stage.sql.calls, len(stage.ring)) == (1, 0, 0, 1)
    stage.set(redis="down")
    assert await stage.chain.put(bare_click()) == receipt(SYNCED, visible=False)
    assert (stage.disk.calls, stage.sql.calls) == (1, 0)
    stage.set(redis="down", disk="down")
    assert await stage.chain.put(bare_click()) == receipt(SYNCED, visible=False)
    assert (stage.disk.calls, stage.sql.calls) == (2, 1)


@pytest.mark.parametrize("ack", ["durable", "chain"])
async def test_a_record_that_no_store_can_take_goes_to_nobody(ack: Ack) -> None:
    """Neither to a store, nor into the ring: it would wait there for ever."""
    stage = Stage(ack)
    assert await stage.chain.put(bare_click(sealed=bytes(40_000))) == receipt(TOKEN_ONLY, visible=False)
    assert (stage.redis.calls, stage.disk.calls, stage.sql.calls, len(stage.ring)) == (0, 0, 0, 0)


async def test_a_refused_record_opens_no_breaker_and_waits_for_the_spool() -> None:
    """Only SQL refuses what the codec takes; settled alone, it is set aside there."""
    stage = Stage(limit=100)
    stage.set(disk="down", sql="refusing")
    for _ in range(30):
        assert await stage.chain.put(bare_click()) == receipt(TOKEN_ONLY, visible=True)
    assert (stage.chain.states()["sql"], len(stage.ring)) == ("closed", 30)


async def test_clicks_of_one_tick_are_one_operation_of_each_store() -> None:
    stage = Stage()
    batch = [bare_click() for _ in range(20)]
    receipts = await asyncio.gather(*map(stage.chain.put, batch))
    assert (stage.redis.calls, stage.disk.calls, set(receipts)) == (1, 1, {receipt(SYNCED, visible=True)})


async def test_more_clicks_than_memory_should_hold_are_let_go_at_once() -> None:
    stage = Stage()
    stage.set("stuck", "stuck", "stuck")
    tasks = [asyncio.ensure_future(stage.chain.put(bare_click())) for _ in range(40_000)]
    done, waiting = await asyncio.wait(tasks, timeout=0.01)
    assert done
    assert {task.result() for task in done} == {receipt(TOKEN_ONLY, visible=False)}
    for task in waiting:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize(
    ("wait_for", "redis", "disk", "answer"),
    [
        ("token", "stuck", "stuck", receipt(TOKEN_ONLY, visible=False)),
        ("visible", "working", "stuck", receipt(TOKEN_ONLY, visible=True)),
        ("visible", "down", "working", receipt(SYNCED, visible=False)),
        ("durability", "stuck", "working", receipt(SYNCED, visible=False)),
    ],
)
async def test_the_answer_waits_for_no_more_than_was_asked_and_claims_no_more_than_was_waited_for(
    wait_for: WaitFor, redis: str, disk: str, answer: Receipt
) -> None:
    """I11: an early answer promises only what holds by then."""
    stage = Stage(wait_for=wait_for)
    stage.set(redis, disk)
    async with asyncio.timeout(10):
        assert await stage.chain.put(bare_click()) == answer


@pytest.mark.parametrize("wait_for", ["token", "visible", "durability"])
async def test_a_click_answered_early_is_kept_all_the_same(wait_for: WaitFor) -> None:
    """And waits in the ring when no store takes it."""
    stage = Stage(wait_for=wait_for)
    kept, lost = bare_click(), bare_click()
    await stage.chain.put(kept)
    await stage.chain.close()
    assert await stage.disk.memory.find(kept.id) == Found(kept)
    stage.set(disk="down", sql="down")
    await stage.chain.put(lost)
    await stage.chain.close()
    assert stage.ring.get(lost.id) == lost


@pytest.mark.parametrize("ack", ["durable", "chain"])
async def test_stores_that_never_answer_do_not_hold_a_put_beyond_its_budget(ack: Ack) -> None:
    """I10: the put ends although no store ever does."""
    stage = Stage(ack, budget=0.005)
    stage.set("stuck", "stuck", "stuck")
    async with asyncio.timeout(10):
        assert await stage.chain.put(bare_click()) == receipt(TOKEN_ONLY, visible=False)
    assert len(stage.ring) == 1


async def test_an_open_breaker_leaves_its_store_alone_until_a_probe_succeeds() -> None:
    stage = Stage()
    stage.set(redis="down")
    for _ in range(3):
        await stage.chain.put(bare_click())
    assert stage.chain.states() == {"redis": "open", "disk": "closed", "sql": "closed"}
    calls = stage.redis.calls
    assert await stage.chain.put(bare_click()) == receipt(SYNCED, visible=False)
    await stage.chain.probe()
    assert stage.redis.calls == calls
    stage.clock.advance(1)
    await stage.chain.probe()
    assert (stage.redis.calls, stage.chain.states()["redis"]) == (calls + 1, "open")
    stage.set()
    stage.clock.advance(2)
    await stage.chain.probe()
    assert stage.chain.states()["redis"] == "closed"


async def test_rescue_spools_what_waits_and_stops_while_nothing_takes_it() -> None:
    stage = Stage()
    stage.set(disk="down", sql="down")
    waiting = [bare_click() for _ in range(2)]
    for click in waiting:
        await stage.chain.put(click)
    await stage.chain.rescue()
    assert len(stage.ring) == 2
    stage.set()
    await stage.chain.rescue()
    assert len(stage.ring) == 0
    assert [await stage.disk.memory.find(click.id) for click in waiting] == [Found(c) for c in waiting]


async def test_what_is_put_for_later_asks_no_store_is_found_and_is_spooled_whole() -> None:
    """A shed click: nothing is promised for it, and nothing of it is missing afterwards."""
    stage = Stage()
    click = bare_click(sealed=bytes(range(200)))
    assert stage.chain.put_later(click) == receipt(TOKEN_ONLY, visible=False)
    assert (stage.redis.calls, stage.disk.calls, stage.sql.calls) == (0, 0, 0)
    assert await stage.chain.find_unsettled(click.id) == click
    await stage.chain.rescue()
    assert await stage.disk.memory.find(click.id) == Found(click)
    assert len(stage.ring) == 0


async def test_there_is_room_for_later_until_one_more_would_push_another_out() -> None:
    stage = Stage(limit=2)
    room = []
    for _ in range(2):
        room.append(stage.chain.may_wait)
        stage.chain.put_later(bare_click())
    assert (room, stage.chain.may_wait) == ([True, True], False)
    await stage.chain.rescue()
    assert stage.chain.may_wait


async def test_a_record_that_no_store_can_take_is_not_kept_for_later_either() -> None:
    """It would stand in the way of all that wait behind it."""
    stage = Stage()
    assert stage.chain.put_later(bare_click(sealed=bytes(40_000))) == receipt(TOKEN_ONLY, visible=False)
    assert len(stage.ring) == 0


async def test_a_click_that_waits_in_the_ring_is_found() -> None:
    stage = Stage()
    stage.set("down", "down", "down")
    click = bare_click()
    await stage.chain.put(click)
    assert await stage.chain.find(click.id) == Found(click)
    assert await stage.chain.find_unsettled(click.id) == click


@pytest.mark.parametrize(
    ("redis", "disk", "sql", "answer"),
    [
        ("working", "working", "working", MISSING),
        ("down", "working", "working", MISSING),
        ("working", "down", "working", UNKNOWN),
        ("working", "working", "down", UNKNOWN),
    ],
)
async def test_missing_is_said_only_when_every_store_that_keeps_clicks_said_so(
    redis: str, disk: str, sql: str, answer: Lookup
) -> None:
    stage = Stage()
    stage.set(redis, disk, sql)
    assert await stage.chain.find(new_id()) == answer


async def test_where_names_each_stores_answer() -> None:
    stage = Stage()
    click = bare_click()
    await stage.chain.put(click)
    stage.set(redis="down")
    assert await stage.chain.where(click.id) == {"redis": UNKNOWN, "disk": Found(click), "sql": MISSING}


async def test_discard_asks_every_store_and_then_tells_of_the_one_that_failed() -> None:
    stage = Stage()
    click = bare_click()
    await stage.chain.put(click)
    await stage.sql.put(click)
    stage.set(redis="down")
    with pytest.raises(StoreUnavailable):
        await stage.chain.discard(click.id)
    assert await stage.disk.memory.find(click.id) == MISSING
    assert await stage.sql.memory.find(click.id) == MISSING


async def test_a_cancelled_put_says_nothing_about_the_tier() -> None:
    stage = Stage()
    stage.set(disk="stuck")
    for _ in range(30):
        task = asyncio.ensure_future(stage.tiers.disk.put_batch([pack(bare_click())], 30.0))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    assert stage.tiers.disk.state == "closed"


# ---------------------------------------------------------------- ring


class Watching(Silent):
    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def ring(self, waiting: int, dropped: int) -> None:
        self.heard.append((waiting, dropped))


def test_the_ring_is_bounded_drops_the_oldest_and_says_so() -> None:
    observer = Watching()
    ring = Ring(2, observer)
    clicks = [pack(bare_click()) for _ in range(5)]
    ring.add(clicks[:2])
    ring.add(clicks[2:])
    assert (len(ring), ring.oldest(1), ring.get(clicks[2].click.id)) == (2, [clicks[3]], None)
    ring.remove([clicks[3].click.id])
    ring.remove([clicks[3].click.id])
    assert observer.heard == [(2, 0), (2, 3), (1, 0), (1, 0)]


def test_the_ring_is_full_when_one_more_would_push_another_out() -> None:
    ring = Ring(2, Silent())
    first, second = pack(bare_click()), pack(bare_click())
    ring.add([first])
    half = ring.full
    ring.add([second])
    whole = ring.full
    ring.remove([first.click.id])
    assert (half, whole, ring.full, Ring(0, Silent()).full) == (False, True, False, True)


def test_a_click_that_waits_already_pushes_nobody_out() -> None:
    ring = Ring(2, Silent())
    first, second = pack(bare_click()), pack(bare_click())
    for packed in (first, second, second):
        ring.add([packed])
    assert ring.get(first.click.id) == first.click


def test_a_ring_of_size_nought_drops_everything_and_fails_at_nothing() -> None:
    observer = Watching()
    ring = Ring(0, observer)
    ring.add([pack(bare_click())])
    assert (len(ring), ring.oldest(1), observer.heard) == (0, [], [(0, 1)])
