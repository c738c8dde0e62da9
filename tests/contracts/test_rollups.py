"""What rollups promise, on SQLite and on PostgreSQL: they and what waits are always equal to a recount."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.tally import Tally
from backends.sql.engine import make_engine, transaction
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.retention import SqlRetention
from backends.sql.rollup_check import Checked, SqlRollupCheck
from backends.sql.rollup_schema import (
    CHANGES,
    ROLLUPS,
    click_changes,
    rollup_ads,
    rollup_days,
    rollup_deliveries,
    rollup_events,
    rollup_hours,
    rollup_sales,
    rollup_starts,
)
from backends.sql.rollups import SqlRollups
from backends.sql.schema import clicks, outbox, starts, webhooks
from backends.sql.scoring import SqlScoring
from domain.attribution import Owner, Start
from domain.click import Click
from domain.clock import ManualClock
from domain.conversions import PURCHASE, Conversion, Money, meta_lane, order_event_id
from domain.enrichment import Agent, Enrichment, Geo, Score, Scores, Traffic
from tests import recount_rollups as recount
from tests.contracts.test_catalog import move_to
from tests.contracts.test_ledger import ADDED
from tests.making import NOW, PATIENT, bare_click, full_click, new_id, person_key, ref, start_of

SAO_PAULO, KATHMANDU = "America/Sao_Paulo", "Asia/Kathmandu"
PIXEL = "123456789"
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MIDNIGHT = NOW - 5 * HOUR  # in São Paulo
BRL, USD = Money(micros=97_000_001, currency="BRL"), Money(micros=3, currency="USD")
PLAIN = Enrichment()
BOTS = Enrichment(
    geo=Geo("US"),
    agent=Agent(automation="crawler", robot="Googlebot"),
    traffic=Traffic("crawler"),
    scores=Scores(Score(100), Score(9)),
)


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger

    def rollups(self, zone: str = SAO_PAULO) -> SqlRollups:
        return SqlRollups(self.engine, zone, Tally)

    async def check(self, zone: str = SAO_PAULO) -> Checked:
        return await SqlRollupCheck(self.engine, zone, Tally).check()

    async def rows(self, table: Table) -> list[Mapping[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def sums(self, table: Table, column: str, *by: str, **only: Any) -> Counter[tuple[Any, ...]]:
        """Sums of a column by others, in SQL; nothing of zeros."""
        which = [table.c[name] == value for name, value in only.items()]
        keys = [table.c[name] for name in by]
        wanted = select(*keys, func.sum(table.c[column])).where(*which).group_by(*keys)
        async with self.engine.connect() as connection:
            found = (await connection.execute(wanted)).all()
        return Counter({tuple(row[:-1]): int(row[-1]) for row in found if row[-1]})

    async def change(self, statement: Any) -> None:
        await transaction(self.engine, lambda connection: connection.execute(statement))

    async def fold_all(self, zone: str = SAO_PAULO) -> None:
        rollups = self.rollups(zone)
        while await rollups.fold(1000):
            pass

    async def empty(self) -> None:
        for table in (clicks, starts, outbox):
            await self.change(delete(table))

    async def convert(self, of: Owner | Click, order: str, money: Money | None, at_ms: int) -> None:
        owner, click = (of, None) if isinstance(of, Owner) else (None, ref(of))
        sold = order_event_id(1, PURCHASE, order)
        await self.ledger.record_conversion(
            Conversion(id=sold, event=PURCHASE, at_ms=at_ms, owner=owner, click=click, money=money)
        )


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Link 1 has a pixel, link 2 none; there are two webhooks."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel=PIXEL)
    await catalog.add_link("two", bot="shop_bot")
    made = Database(engine, SqlLedger(engine, person_key))
    for name in ("crm", "sheet"):
        await made.change(webhooks.insert().values(name=name, url="https://x", secret=b"x", created_at=NOW))
    yield made
    await engine.dispose()


# ---------------------------------------------------------------- whatever happens

PLACES, PEOPLE, ORDERS = range(5), st.integers(1, 3), st.integers(1, 4)
place = st.sampled_from(PLACES)
moments = st.integers(-2 * HOUR, 2 * HOUR)
steps = st.one_of(
    st.tuples(st.just("click"), place, st.sampled_from([None, PLAIN, BOTS, ADDED]), st.booleans()),
    st.tuples(st.just("start"), place, PEOPLE, moments),
    st.tuples(st.just("direct"), PEOPLE, moments),
    st.tuples(st.just("rescore"), st.sampled_from([PLAIN, BOTS, ADDED])),
    st.tuples(st.just("erase"), PEOPLE),
    st.tuples(st.just("discard"), place),
    st.tuples(st.just("sell"), PEOPLE, ORDERS, st.sampled_from([BRL, USD, None]), moments),
    st.tuples(st.just("sell_click"), place, ORDERS, st.sampled_from([BRL, USD, None]), moments),
    st.tuples(st.just("attribute"), st.booleans()),
    st.tuples(st.just("deliver"), st.sampled_from(["sent", "rejected", "dead"])),
    st.tuples(st.just("retain"), moments),
    st.tuples(st.just("fold"), st.integers(1, 8)),
    st.tuples(st.just("crash"), st.integers(1, 8)),
    st.tuples(st.just("rebuild")),
)


class Life:
    """One installation's life: steps, each as the product does it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        ids = [new_id(MIDNIGHT + (n - 2) * 40 * MINUTE) for n in PLACES]
        self.clicks = [
            (full_click if n % 2 else bare_click)(id=ids[n], link_id=1 + n % 3, ad_key=bytes([n % 2] * 8))
            for n in PLACES
        ]
        self.updates = count()

    async def step(self, name: str, *given: Any) -> None:
        await getattr(self, name)(*given)

    async def click(self, n: int, added: Enrichment | None, settled: bool) -> None:
        click = self.clicks[n]
        if settled:
            await self.database.ledger.settle(
                [click], [], [], enrichments={} if added is None else {click.id: added}
            )
        else:
            await self.database.ledger.put(click)

    async def start(self, n: int, person: int, after: int) -> None:
        at_ms = MIDNIGHT + (n - 2) * 40 * MINUTE + after
        begun = start_of(self.clicks[n], person, at_ms=at_ms, update_id=next(self.updates))
        await self.database.ledger.settle([], [begun], [])

    async def direct(self, person: int, at: int) -> None:
        owner = Owner(bot_id=1, telegram_id=person)
        begun = Start.direct(owner, at_ms=MIDNIGHT + at, update_id=next(self.updates))
        await self.database.ledger.record_start(begun, None)

    async def rescore(self, added: Enrichment) -> None:
        scoring = SqlScoring(self.database.engine)
        await scoring.write([(each, added) for each in await scoring.after(UUID(int=0), 100)], NOW)

    async def erase(self, person: int) -> None:
        erasures = SqlErasures(self.database.engine)
        await erasures.erase(person, person_key=person_key(person), at_ms=MIDNIGHT)

    async def discard(self, n: int) -> None:
        await self.database.ledger.discard(self.clicks[n].id)

    async def sell(self, person: int, order: int, money: Money | None, at: int) -> None:
        owner = Owner(bot_id=1, telegram_id=person)
        await self.database.convert(owner, str(order), money, MIDNIGHT + at)

    async def sell_click(self, n: int, order: int, money: Money | None, at: int) -> None:
        await self.database.convert(self.clicks[n], str(order), money, MIDNIGHT + at)

    async def attribute(self, give_up: bool) -> None:
        await SqlOutbox(self.database.engine).attribute(
            100, now_ms=NOW, until_ms=NOW - 1, give_up_ms=NOW if give_up else 0, touch="last"
        )

    async def deliver(self, state: Any) -> None:
        box = SqlOutbox(self.database.engine)
        for lane in (meta_lane(PIXEL), "webhook/crm"):
            some = await box.claim(lane, 2, now_ms=NOW, until_ms=NOW - 1)
            ids = [each.conversion.id for each in some]
            if state == "sent":
                await box.sent(lane, dict.fromkeys(ids, ("fbc",)), trace=None, at_ms=NOW)
            else:
                await box.end(lane, ids, state, reason="no such thing")

    async def retain(self, before: int) -> None:
        retention, bound = SqlRetention(self.database.engine), MIDNIGHT + before
        await retention.aggregate_and_delete(bound, 3)
        await retention.delete_direct_starts(bound, 1)
        await retention.delete_conversions(
            bound, 100
        )  # an event goes with all of its lanes, or is counted by what is left

    async def fold(self, limit: int) -> None:
        await self.database.rollups().fold(limit)

    async def crash(self, limit: int) -> None:
        """Die when all but the last rollup has been added to, before COMMIT."""
        last = ROLLUPS[-1].name

        def dying(zone: ZoneInfo) -> Callable[..., dict[str, Any]]:
            return lambda *some: {name: sums for name, sums in Tally(zone)(*some).items() if name != last}

        if await self.database.rollups().waiting():
            with pytest.raises(KeyError, match=last):
                await SqlRollups(self.database.engine, SAO_PAULO, dying).fold(limit)

    async def rebuild(self) -> None:
        await self.database.rollups().rebuild()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=25,
    derandomize=True,
)
@given(st.lists(steps, min_size=5, max_size=25))
async def test_rollups_and_what_waits_are_equal_to_a_recount_whatever_happens(
    database: Database, life: Sequence[tuple[Any, ...]]
) -> None:
    """After every step; once all is folded the rollups alone are; and of nothing, nothing is left."""
    await database.empty()
    lived = Life(database)
    for step in life:
        await lived.step(*step)
        assert (await database.check()).differences == (), step
    await database.fold_all()
    checked = await database.check()
    assert (checked.waiting, checked.differences) == (0, ())
    await agrees_with_another_count(database, ZoneInfo(SAO_PAULO))
    await database.empty()
    await database.fold_all()
    assert [await database.rows(table) for table in (*ROLLUPS, *CHANGES)] == [[]] * 10


async def agrees_with_another_count(database: Database, zone: ZoneInfo) -> None:
    """Totals by day, link, class, ad and kind, and what was sold, counted by code that shares nothing with the tally."""
    of_clicks, of_starts = await database.rows(clicks), await database.rows(starts)
    of_events = await database.rows(outbox)
    by_day = await database.sums(rollup_days, "clicks", "day", "link_id", trait="")
    assert by_day == recount.clicks_by_day(of_clicks, zone)
    by_class = await database.sums(rollup_hours, "clicks", "hour", "link_id", "value", trait="class")
    assert by_class == recount.clicks_by_class(of_clicks, zone)
    ads = ("day", "link_id", "ad_key")
    started = await database.sums(rollup_ads, "starts", *ads, trait="")
    started += await database.sums(rollup_ads, "alone", *ads, trait="")
    assert started == recount.starts_by_ad(of_clicks, zone)
    by_kind = await database.sums(rollup_starts, "starts", "day", "bot_id", "kind")
    assert by_kind == recount.starts_by_kind(of_starts, zone)
    sold = await database.sums(rollup_events, "micros", "hour", "event", "currency")
    assert sold == recount.sales_by_hour(of_events, zone)


# ---------------------------------------------------------------- each by itself


async def test_a_sale_is_one_sale_however_many_webhooks_hear_of_it(database: Database) -> None:
    """F45: three lanes, one sale of 97.000001 BRL; deliveries are counted by lane."""
    click = full_click(link_id=1)
    await database.ledger.settle([click], [start_of(click)], [])
    await database.convert(Owner(bot_id=1, telegram_id=7), "A", BRL, NOW + HOUR)
    await database.fold_all()
    once = Counter({(PURCHASE, "BRL"): BRL.micros})
    for table in (rollup_events, rollup_sales):
        assert await database.sums(table, "micros", "event", "currency") == once
        assert (await database.sums(table, "events", "event"))[PURCHASE,] == 1
    lanes = await database.sums(rollup_deliveries, "events", "lane", event=PURCHASE)
    assert lanes == {(meta_lane(PIXEL),): 1, ("webhook/crm",): 1, ("webhook/sheet",): 1}


async def test_a_sale_that_finds_its_click_later_is_sold_by_that_clicks_ad_and_only_once(
    database: Database,
) -> None:
    owner = Owner(bot_id=1, telegram_id=7)
    await database.convert(owner, "A", BRL, NOW)
    await database.fold_all()
    assert await database.rows(rollup_sales) == []
    click = full_click(link_id=1)
    await database.ledger.settle([click], [start_of(click)], [])
    await Life(database).step("attribute", False)
    await database.fold_all()
    [sold] = [row for row in await database.rows(rollup_sales) if row["event"] == PURCHASE]
    assert (sold["ad_key"], sold["events"], sold["micros"]) == (click.ad_key, 1, BRL.micros)
    assert (await database.sums(rollup_events, "events", "event"))[PURCHASE,] == 1


@pytest.mark.parametrize("first", ["click", "sale"])
async def test_a_sale_reported_by_token_is_of_the_tokens_ad_before_the_click_is_there_and_after(
    database: Database, first: str
) -> None:
    click = full_click(link_id=1)
    for fact in (first, *{"click", "sale"} - {first}):
        if fact == "click":
            await database.ledger.settle([click], [], [])
        else:
            await database.convert(click, "A", BRL, NOW + HOUR)
    await database.fold_all()
    assert await database.sums(rollup_sales, "events", "ad_key", event=PURCHASE) == {(click.ad_key,): 1}


async def test_a_day_begins_at_the_operators_midnight(database: Database) -> None:
    """F47: a click at 23:59 in São Paulo is of that day, although it is 02:59 of the next in UTC."""
    for at_ms in (MIDNIGHT - MINUTE, MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + MINUTE):
        await database.ledger.put(bare_click(id=new_id(at_ms)))
    await database.fold_all()
    days = await database.sums(rollup_days, "clicks", "day", trait="")
    assert days == {(20270114,): 2, (20270115,): 2}


async def test_hours_of_a_zone_with_three_quarters_begin_at_its_own_full_hours(database: Database) -> None:
    """F47: Kathmandu is 5:45 ahead, so an hour there begins at a quarter past of UTC."""
    for minute in (14, 15, 74, 75):
        await database.ledger.put(bare_click(id=new_id(NOW + minute * MINUTE)))
    await database.fold_all(KATHMANDU)
    hours = await database.sums(rollup_hours, "clicks", "hour", trait="")
    begin = NOW // MINUTE + 15
    assert hours == {(begin - 60,): 1, (begin,): 2, (begin + 60,): 1}


async def test_another_time_zone_rebuilds_the_rollups_once_and_not_in_turns(database: Database) -> None:
    """The one that began last has its way; another that is still folding goes on in that zone."""
    await database.ledger.put(bare_click(id=new_id(MIDNIGHT - 1)))
    old, new = database.rollups(), database.rollups(KATHMANDU)
    assert await old.fold(10) == 1
    assert await new.fold(10) == 1
    assert await database.sums(rollup_days, "clicks", "day", trait="") == {(20270115,): 1}
    await database.ledger.put(bare_click(id=new_id(MIDNIGHT - 1)))
    assert (await old.fold(10), await old.zone()) == (1, KATHMANDU)
    assert await database.sums(rollup_days, "clicks", "day", trait="") == {(20270115,): 2}
    assert (await database.check()).differences == ()


async def test_an_erased_click_still_counts_without_its_traits(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.settle([click], [start_of(click)], [], enrichments={click.id: ADDED})
    await database.fold_all()
    assert await database.sums(rollup_days, "clicks", "value", trait="city") == {("São Paulo",): 1}
    await Life(database).step("erase", 7)
    await database.change(update(clicks).values(erased_at=NOW))
    await database.fold_all()
    assert {row["trait"]: row["clicks"] for row in await database.rows(rollup_days)} == {"": 1, "erased": 1}


async def test_a_start_whose_click_comes_late_moves_from_alone_to_the_clicks_starts(
    database: Database,
) -> None:
    click = full_click(link_id=1)
    await database.ledger.settle([], [start_of(click)], [])
    await database.fold_all()
    alone = ("clicks", "starts", "alone")
    [row] = await database.rows(rollup_hours)
    assert [row[name] for name in alone] == [0, 0, 1]
    await database.ledger.settle([click], [], [], enrichments={click.id: ADDED})
    await database.fold_all()
    for row in await database.rows(rollup_hours):
        assert [row[name] for name in alone] == [1, 1, 0]
    [waited] = [row for row in await database.rows(rollup_days) if row["trait"] == "wait"]
    assert (waited["starts"], waited["wait_ms"]) == (1, 1000)


async def test_what_is_settled_again_logs_nothing(database: Database) -> None:
    """I12: no change is written where nothing that is counted has changed."""
    click = full_click(link_id=1)
    facts = ([click], [start_of(click)], [])
    await database.ledger.settle(*facts, enrichments={click.id: ADDED})
    before = await database.rollups().waiting()
    await database.ledger.settle(*facts, enrichments={click.id: ADDED})
    await SqlOutbox(database.engine).claim(meta_lane(PIXEL), 10, now_ms=NOW + DAY, until_ms=NOW + 2 * DAY)
    assert await database.rollups().waiting() == before


async def test_a_tombstone_of_a_click_that_never_came_counts_nothing(database: Database) -> None:
    click = full_click()
    await database.ledger.discard(click.id)
    await database.ledger.settle([click], [], [])
    assert await database.rows(click_changes) == []


async def test_migrating_counts_what_is_there_already_and_gives_its_ad_to_each_conversion(
    database: Database,
) -> None:
    """Migration 0008, there and back: nothing is lost of what was before there were rollups."""
    lived = Life(database)
    for n in PLACES:
        await lived.step("click", n, ADDED, True)
        await lived.step("start", n, 1 + n % 2, MINUTE)
    await lived.step("sell", 1, 1, BRL, HOUR)
    await lived.step("discard", 0)
    await database.fold_all()
    before = {table: await database.rows(table) for table in (*ROLLUPS, outbox)}
    for revision in ("0007", "head"):
        async with database.engine.begin() as connection:
            await connection.run_sync(move_to, revision)
    assert (await database.check()).differences == ()
    await database.fold_all()
    assert {table: await database.rows(table) for table in (*ROLLUPS, outbox)} == before


async def test_the_check_names_the_figure_that_is_wrong_and_a_rebuild_mends_it(database: Database) -> None:
    await database.ledger.put(bare_click(link_id=1))
    await database.fold_all()
    await database.change(update(rollup_starts).values(starts=5))
    await database.change(update(rollup_days).where(rollup_days.c.trait == "class").values(clicks=7))
    [wrong] = (await database.check()).differences
    assert (wrong.rollup, wrong.key[0], wrong.kept[0], wrong.counted[0]) == ("rollup_days", "class", 7, 1)
    assert await database.rollups().rebuild() == 1
    await database.fold_all()
    assert (await database.check()).differences == ()


# ---------------------------------------------------------------- at once


async def test_folds_rebuilds_and_writers_at_once_lose_and_double_nothing(postgres_tables: str) -> None:
    """PostgreSQL: two workers fold, a third rebuilds, while four settle, erase and delete; a check sees one moment."""
    engines = [make_engine(postgres_tables, patience=PATIENT) for _ in range(4)]
    databases = [Database(engine, SqlLedger(engine, person_key)) for engine in engines]
    over = asyncio.Event()

    async def write(database: Database, person: int) -> None:
        for n in range(25):
            some = [full_click(link_id=1 + k % 3, ad_key=bytes([k % 2] * 8)) for k in range(8)]
            begun = [start_of(click, person) for click in some[: n % 4]]
            added = {click.id: ADDED for click in some[::2]}
            await database.ledger.settle(some, begun, [], enrichments=added)
            if n % 6 == 5:
                await SqlErasures(database.engine).erase(person, person_key=person_key(0), at_ms=1)

    async def until_over(work: Callable[[], Any]) -> None:
        while not over.is_set():
            await work()
            await asyncio.sleep(0)

    async def agree() -> None:
        assert (await databases[0].check()).differences == ()

    folding = [database.rollups() for database in databases]
    beside = [
        asyncio.create_task(until_over(work))
        for work in (
            lambda: folding[1].fold(7),
            lambda: folding[2].fold(30),
            folding[3].rebuild,
            agree,
        )
    ]
    await asyncio.gather(*(write(databases[n % 2], 10 + n) for n in range(4)))
    over.set()
    await asyncio.gather(*beside)
    await databases[0].fold_all()
    checked = await databases[0].check()
    assert (checked.waiting, checked.differences) == (0, ())
    assert checked.rows > 800
    await agrees_with_another_count(databases[0], ZoneInfo(SAO_PAULO))
    for engine in engines:
        await engine.dispose()
