"""What the figures of reports and pages promise, on SQLite and on PostgreSQL, from rollups that are written by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.figures import books, clicks, events, links, starts
from analytics.figures.asked import answers
from analytics.figures.clicks import Counts, Day, Trait
from analytics.figures.sold import Sold
from analytics.figures.starts import StartsOfKind
from analytics.period import Period
from backends.sql import rollup_schema as rolled
from backends.sql import schema
from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from backends.sql.reading import SqlReader
from domain.click import Ad
from domain.clock import ManualClock
from domain.conversions import Money
from domain.rollups import day_begins_ms
from tests.making import PATIENT
from tests.plans import overheard, plans

ZONE = ZoneInfo("America/Sao_Paulo")
PERIOD = Period(first=date(2026, 11, 1), last=date(2026, 11, 3), zone=ZONE)
KEY, OTHER_KEY = b"\x01" * 8, b"\x02" * 8
BRL = "BRL"
FIGURES = (
    clicks.totals_figure(PERIOD),
    clicks.by_day_figure(PERIOD),
    clicks.by_hour_figure(PERIOD),
    clicks.traits_figure(PERIOD, "city"),
    clicks.traits_by_day_figure(PERIOD, "class"),
    clicks.waits_figure(PERIOD),
    links.by_link_figure(PERIOD),
    links.by_ad_figure(PERIOD),
    links.days_by_link_figure(PERIOD),
    events.events_figure(PERIOD),
    events.events_by_hour_figure(PERIOD),
    events.deliveries_figure(PERIOD),
    events.lane_days_figure(PERIOD),
    starts.starts_by_kind_figure(PERIOD),
    books.books_figure(PERIOD),
)


def begin(day: date) -> int:
    """The first minute of the operator's day."""
    return day_begins_ms(day, ZONE) // 60_000


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    reader: SqlReader

    async def put(self, table: Table, *rows: dict[str, Any]) -> None:
        async with self.engine.begin() as connection:
            for row in rows:
                await connection.execute(insert(table).values(**row))

    async def day(self, trait: str, day: int, link: int, value: str, *sums: int) -> None:
        names = ("clicks", "starts", "alone", "wait_ms")
        row = {"trait": trait, "day": day, "link_id": link, "value": value}
        await self.put(rolled.rollup_days, row | dict(zip(names, sums, strict=False)))

    async def ad(self, trait: str, day: int, key: bytes, value: str, *sums: int) -> None:
        names = ("clicks", "starts", "alone", "wait_ms")
        row = {"trait": trait, "day": day, "link_id": 1, "ad_key": key, "value": value}
        await self.put(rolled.rollup_ads, row | dict(zip(names, sums, strict=False)))


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Links 1 and 2 of one bot."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", name="The first")
    await catalog.add_link("two", bot="shop_bot")
    yield Database(engine, SqlReader(engine))
    await engine.dispose()


async def test_an_empty_installation_has_figures_and_all_of_them_are_nothing(database: Database) -> None:
    total, days, *_, kinds, kept = await answers(database.reader, *FIGURES)
    assert total.counts == Counts()
    assert total.counts.match.share is None
    assert days == tuple(Day(day=date(2026, 11, n), counts=Counts()) for n in (1, 2, 3))
    assert kinds == ()
    assert (kept.issued, kept.in_sql, kept.faults(), kept.waiting.changes) == (0, 0, [], 0)


async def test_totals_are_of_the_days_of_the_period_and_of_one_link_or_all(database: Database) -> None:
    await database.day("", 20261031, 1, "", 1000, 1000, 0)
    await database.day("", 20261101, 1, "", 10, 4, 1)
    await database.day("", 20261103, 2, "", 5, 2, 0)
    await database.day("", 20261104, 1, "", 1000, 1000, 0)
    await database.day("address", 20261101, 1, "1", 9, 3, 0)
    await database.day("address", 20261101, 1, "", 1, 1, 0)
    await database.day("fbclid", 20261103, 2, "1", 4, 2, 0)
    both = await clicks.totals(database.reader, PERIOD)
    assert both.counts == Counts(clicks=15, starts=6, alone=1)
    assert (both.counts.match.part, both.counts.match.whole, both.counts.users) == (6, 15, 7)
    assert (both.with_address, both.with_fbclid, both.clicks_with_fbclid, both.with_agent) == (3, 2, 4, 0)
    assert (await clicks.totals(database.reader, PERIOD, 2)).counts == Counts(clicks=5, starts=2)
    days = await clicks.by_day(database.reader, PERIOD)
    assert [day.counts.clicks for day in days] == [10, 0, 5]


async def test_hours_are_the_operators_and_an_unfinished_day_is_compared_by_its_whole_hours(
    database: Database,
) -> None:
    """F47: 00:00 in São Paulo is 03:00 UTC; the hour before belongs to the day before."""
    first = begin(PERIOD.first)
    for hour, number in ((first - 60, 100), (first, 1), (first + 60, 2), (first + 13 * 60, 4)):
        row = {"trait": "", "hour": hour, "link_id": 1, "value": "", "clicks": number}
        await database.put(rolled.rollup_hours, row)
    hours = await clicks.by_hour(database.reader, PERIOD)
    assert [each.counts.clicks for each in hours] == [1, 2, 4]
    assert hours[0].at_ms == PERIOD.since_ms
    assert clicks.hours_before(hours, 13, ZONE).clicks == 3


async def test_traits_have_what_is_not_known_among_them_and_no_rows_that_count_nothing(
    database: Database,
) -> None:
    await database.day("city", 20261101, 1, "", 3, 1, 0)
    await database.day("city", 20261101, 1, "Recife", 4, 2, 0)
    await database.day("city", 20261102, 2, "Recife", 4, 0, 0)
    await database.day("city", 20261102, 2, "Olinda", 0, 0, 0)
    found = await clicks.traits(database.reader, PERIOD, "city")
    assert found == (
        Trait(value="Recife", counts=Counts(clicks=8, starts=2)),
        Trait(value="", counts=Counts(clicks=3, starts=1)),
    )
    by_day = await clicks.traits_by_day(database.reader, PERIOD, "city", 2)
    assert by_day[date(2026, 11, 2)]["Recife"] == Counts(clicks=4)


async def test_waits_have_an_exact_mean_and_percentiles_within_their_bins(database: Database) -> None:
    await database.day("wait", 20261101, 1, "03", 8, 8, 0, 32_000)
    await database.day("wait", 20261102, 2, "04", 2, 2, 0, 18_000)
    found = await clicks.waits(database.reader, PERIOD)
    assert (found.starts, found.mean) == (10, 5.0)
    assert found.p50 == pytest.approx(3 + 2 * 5 / 8)
    assert found.p95 == pytest.approx(5 + 5 * 1.5 / 2)


async def test_links_have_what_their_clicks_sold_even_those_without_any(database: Database) -> None:
    await database.day("", 20261101, 1, "", 10, 4, 0)
    await database.day("wait", 20261101, 1, "00", 4, 4, 0, 2000)
    await database.day("", 20261101, 9, "", 1, 0, 0)
    sale = {"day": 20261101, "link_id": 1, "event": "Purchase", "currency": BRL}
    await database.put(
        rolled.rollup_sales,
        sale | {"ad_key": KEY, "events": 2, "micros": 200},
        sale | {"ad_key": OTHER_KEY, "events": 1, "micros": 50},
        sale | {"ad_key": KEY, "currency": "USD", "events": 1, "micros": 7},
        sale | {"ad_key": KEY, "event": "Lead", "currency": "", "events": 5},
    )
    one, gone, two = await links.by_link(database.reader, PERIOD)
    assert (one.slug, one.name, one.earned.sales) == ("one", "The first", 4)
    assert one.earned.revenue == (Money(micros=250, currency=BRL), Money(micros=7, currency="USD"))
    assert one.earned.waits.mean == 0.5
    assert (gone.link_id, gone.slug, gone.earned.counts.clicks) == (9, None, 1)
    assert (two.slug, two.earned.counts, two.earned.sales) == ("two", Counts(), 0)


async def test_ads_have_their_names_and_those_of_unknown_names_their_key(database: Database) -> None:
    names = {"source": "fb", "campaign": "Black|1202", "medium": "set", "content": "video", "term": "x"}
    await database.put(schema.ads, {"link_id": 1, "ad_key": KEY} | names)
    await database.ad("", 20261101, KEY, "", 3, 1, 0)
    await database.ad("", 20261102, OTHER_KEY, "", 7, 1, 1)
    await database.ad("wait", 20261102, KEY, "00", 1, 1, 0, 400)
    unknown, known = await links.by_ad(database.reader, PERIOD)
    assert known.ad == Ad("fb", "Black|1202", "set", "video", "x")
    assert (known.slug, known.earned.counts.clicks, known.earned.waits.mean) == ("one", 3, 0.4)
    assert (unknown.ad, unknown.ad_key, unknown.earned.counts.alone) == (None, OTHER_KEY, 1)


async def test_an_event_counts_once_and_its_lanes_each_have_their_state(database: Database) -> None:
    """F45: one sale with a pixel and two webhooks is one sale."""
    event = {"link_id": 1, "event": "Purchase", "currency": BRL, "events": 1, "micros": 97_000_000}
    await database.put(rolled.rollup_events, event | {"hour": begin(PERIOD.first) + 60})
    lanes = {"meta/1234567890": ("sent", ""), "webhook/crm": ("pending", ""), "webhook/bi": ("dead", "older")}
    for lane, (state, reason) in lanes.items():
        row = {"day": 20261101, "lane": lane, "state": state, "reason": reason}
        await database.put(rolled.rollup_deliveries, event | row)
    sale = Sold(event="Purchase", events=1, money=Money(micros=97_000_000, currency=BRL))
    assert await events.events(database.reader, PERIOD) == (sale,)
    assert [each.sold for each in await events.events_by_hour(database.reader, PERIOD)] == [(sale,)]
    found = await events.deliveries(database.reader, PERIOD)
    assert {each.lane: each.state for each in found} == {lane: state for lane, (state, _) in lanes.items()}
    assert [each.lane for each in await events.unsent(database.reader, PERIOD)] == [
        "webhook/bi",
        "webhook/crm",
    ]
    assert (events.delivered_share(found).part, events.delivered_share(found).whole) == (1, 3)
    assert events.delivered_share(found, "meta/1234567890").share == 1.0


async def test_direct_and_taken_starts_are_named_with_their_bot(database: Database) -> None:
    for kind, number in (("attributed", 5), ("direct", 3), ("taken", 1), ("other", 0)):
        await database.put(
            rolled.rollup_starts, {"day": 20261102, "bot_id": 1, "kind": kind, "starts": number}
        )
    assert await starts.starts_by_kind(database.reader, PERIOD) == tuple(
        StartsOfKind(bot_id=1, bot="shop_bot", kind=kind, starts=number)
        for kind, number in (("attributed", 5), ("direct", 3), ("taken", 1))
    )


async def test_books_count_what_is_to_be_folded_and_name_what_is_missing(database: Database) -> None:
    first = begin(PERIOD.first)
    entry = {"node": 1, "boot": "b", "issued": 10, "synced": 8, "written": 0, "token_only": 2, "visible": 7}
    await database.put(
        schema.accounting, entry | {"minute": first, "spooled": 8}, entry | {"minute": first - 1}
    )
    await database.put(
        rolled.rollup_hours, {"trait": "", "hour": first, "link_id": 1, "value": "", "clicks": 5}
    )
    change = {
        "sign": 1, "moment": f"{PERIOD.since_ms:012x}", "link_id": 1, "ad_key": KEY, "clicked": True, "erased": False,
        "has_address": True, "has_agent": True, "has_fbclid": True,
    }  # fmt: skip
    await database.put(
        rolled.click_changes, change, change | {"clicked": False}, change | {"moment": f"{1:012x}"}
    )
    found = await books.books(database.reader, PERIOD)
    assert (found.issued, found.promised, found.in_rollups, found.to_fold) == (10, 8, 5, 1)
    assert found.waiting.changes == 3
    assert (found.capture.part, found.capture.whole) == (8, 10)
    assert found.faults() == ["acknowledged 8 > in SQL + in spools 6"]
    assert found.faults(in_spools=2) == []


async def test_no_statement_of_a_figure_reads_a_table_from_end_to_end(database: Database) -> None:
    """Each of a rollup or of the books goes in by its key; the small tables of names may be read whole."""
    async with overheard(database.engine) as heard:
        await answers(database.reader, *FIGURES)
    asked = [(sql, given) for sql, given in heard if "rollup_" in sql or "FROM accounting" in sql]
    assert len(asked) > 15
    for lines in await plans(database.engine, asked, "enable_seqscan = off"):
        for line in lines:
            whole = "SCAN rollup" in line or "SCAN accounting" in line or "Seq Scan on rollup" in line
            assert not whole, lines
