"""A report agrees with a recount of what was written, and with the books, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.period import Period
from backends.sql.books import read_books
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.schema import clicks, outbox
from domain.attribution import Owner, Start
from domain.books import BookEntry
from domain.click import Ad, Click
from domain.clock import ManualClock
from domain.conversions import LEAD, PURCHASE, Conversion, Money, order_event_id
from domain.enrichment import Agent, Enrichment, Geo, Score, Scores, Traffic
from domain.errors import ConfigError
from privacy.token import ad_key
from tests.making import NOW, PATIENT, bare_click, new_id, person_key, ref, start_of
from tests.reporting import SAO_PAULO, fold_all, report_of

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PERIOD = Period.of("7d", NOW, SAO_PAULO)
MADE = Enrichment(
    geo=Geo("BR", "PE", "Recife"),
    agent=Agent(device="phone", os="Android", browser="Chrome", app="Instagram"),
    traffic=Traffic("in_app"),
    scores=Scores(Score(70), Score(0)),
)
VIDEO = {"utm_source": "FB", "utm_campaign": "Black|1202", "utm_medium": "set", "utm_content": "video"}
PHOTO = VIDEO | {"utm_content": "photo"}


@dataclass(frozen=True)
class Shop:
    engine: AsyncEngine
    ledger: SqlLedger

    async def clicked(self, number: int, at_ms: int, link: int = 1, **more: Any) -> list[Click]:
        """So many clicks, settled, with the entry of the books that their spool has."""
        made = [bare_click(id=new_id(at_ms + n), link_id=link, **more) for n in range(number)]
        books = BookEntry(
            node=0, boot=f"{at_ms}", minute=at_ms // MINUTE, issued=number, synced=number, spooled=number
        )
        await self.ledger.settle(made, [], [books], (), {click.id: MADE for click in made})
        return made

    async def started(self, click: Click, person: int, *, after: int = 8000) -> None:
        at_ms = int(click.id.hex[:12], 16) + after
        await self.ledger.settle([], [start_of(click, person, at_ms=at_ms)], [])

    async def sold(self, click: Click, order: str, money: Money | None, event: str = PURCHASE) -> None:
        made = Conversion(
            id=order_event_id(1, event, order), event=event, at_ms=NOW, click=ref(click), money=money
        )
        await self.ledger.record_conversion(made)

    async def count(self, wanted: Any) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(wanted)).scalar_one())


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    """Link 1 has a pixel, link 2 none; two ads of link 1 sell."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel="123456789")
    await catalog.add_link("two", bot="shop_bot")
    made = Shop(engine, SqlLedger(engine, person_key))
    video = await made.clicked(20, NOW - DAY, params=VIDEO, ad_key=ad_key(Ad.of(VIDEO)))
    photo = await made.clicked(10, NOW - 2 * DAY, params=PHOTO, ad_key=ad_key(Ad.of(PHOTO)))
    other = await made.clicked(5, NOW - HOUR, link=2)
    for person, click in enumerate([*video[:8], *photo[:2], *other[:1]]):
        await made.started(click, 100 + person)
    for person in (200, 201, 202):
        owner = Owner(bot_id=1, telegram_id=person)
        await made.ledger.settle([], [Start.direct(owner, at_ms=NOW - HOUR, update_id=person)], [])
    await made.ledger.settle([], [start_of(video[0], 999, at_ms=NOW)], [])
    await made.sold(video[0], "A", Money(micros=97_000_000, currency="BRL"))
    await made.sold(video[1], "B", Money(micros=10_500_000, currency="USD"))
    await made.sold(other[0], "C", Money(micros=50_000_000, currency="BRL"))
    await made.sold(video[0], "L", None, LEAD)
    await fold_all(engine)
    yield made
    await engine.dispose()


async def test_totals_are_those_of_a_recount_and_of_the_books(shop: Shop) -> None:
    found = await report_of(shop.engine, NOW)
    books = await read_books(shop.engine, [], since_ms=PERIOD.since_ms, until_ms=PERIOD.until_ms)
    assert books.balanced
    assert found.totals.counts.clicks == await shop.count(select(func.count(clicks.c.clicked_at))) == 35
    assert found.totals.counts.users == books.started == 11
    assert (found.books.issued, found.books.in_sql) == (books.issued, books.in_sql + books.direct)
    assert found.books.issued == found.books.in_sql + found.in_spools + found.books.token_only
    assert found.faults == []
    assert sum(day.counts.clicks for day in found.days) == 35
    assert sum(link.earned.counts.clicks for link in found.links) == 35
    assert sum(ad.earned.counts.clicks for ad in found.ads) == 35
    assert {listed.clicks for listed in found.traits} == {35}
    assert sum(each.events for each in found.unsent) == await shop.count(
        select(func.count()).select_from(outbox).where(outbox.c.state != "sent")
    )


async def test_sales_are_of_their_links_and_ads_and_never_summed_over_currencies(shop: Shop) -> None:
    found = await report_of(shop.engine, NOW)
    best = found.best[0]
    assert best.ad is not None
    assert (best.ad.content, best.earned.sales, best.earned.counts.starts) == ("video", 2, 8)
    assert [(money.micros, money.currency) for money in best.earned.revenue] == [
        (97_000_000, "BRL"),
        (10_500_000, "USD"),
    ]
    sales = {link.slug: link.earned.sales for link in found.links}
    assert sales == {"one": 2, "two": 1}
    assert {(each.event, each.events) for each in found.events if each.event in {PURCHASE, LEAD}} == {
        (PURCHASE, 2),
        (PURCHASE, 1),
        (LEAD, 1),
    }


async def test_a_report_of_one_link_holds_nothing_of_others(shop: Shop) -> None:
    found = await report_of(shop.engine, NOW, slug="two")
    assert (found.totals.counts.clicks, found.totals.counts.starts) == (5, 1)
    assert [link.slug for link in found.links] == ["two"]
    assert {ad.link_id for ad in found.ads} == {2}
    assert {each.reason for each in found.unsent} >= {"the link has no pixel"}
    assert all(each.advice == f"mend {each.reason}" for each in found.unsent)
    with pytest.raises(ConfigError, match="there is no link 'three'"):
        await report_of(shop.engine, NOW, slug="three")


async def test_links_and_ads_are_compared_by_their_names(shop: Shop) -> None:
    found = await report_of(shop.engine, NOW, links=("one", "two"), ads_of="one", ads=("photo", "video"))
    assert [(each.measure, each.first.name, each.second.name) for each in found.comparisons] == [
        ("starts", "one", "two"),
        ("sales", "one", "two"),
        ("starts", "photo", "video"),
        ("sales", "photo", "video"),
    ]
    starts = found.comparisons[2]
    assert (starts.first.starts, starts.first.clicks, starts.second.starts, starts.second.clicks) == (
        2,
        10,
        8,
        20,
    )
    assert starts.difference is not None
    assert starts.difference.difference == pytest.approx(0.2)
    assert not starts.difference.certain
    assert "no difference can be seen yet; about " in starts.verdict
    for wrong in ({"links": ("one",)}, {"links": ("one", "three")}, {"ads_of": "one", "ads": ("video", "x")}):
        with pytest.raises(ConfigError):
            await report_of(shop.engine, NOW, **wrong)


async def test_while_changes_wait_the_report_says_how_many_and_the_books_still_balance(shop: Shop) -> None:
    await shop.clicked(4, NOW - 2 * HOUR)
    found = await report_of(shop.engine, NOW)
    assert (found.totals.counts.clicks, found.books.in_rollups, found.books.in_sql) == (35, 35, 39)
    assert found.books.waiting.changes >= 4
    assert found.faults == []


async def test_a_click_that_was_acknowledged_and_is_nowhere_stands_out_first(shop: Shop) -> None:
    lost = BookEntry(
        node=9, boot="lost", minute=(NOW - DAY) // MINUTE, issued=3, synced=2, token_only=1, spooled=2
    )
    await shop.ledger.settle([], [], [lost])
    found = await report_of(shop.engine, NOW)
    assert [each.rule for each in found.anomalies] == ["books", "waiting_long", "token_only"]
    assert found.anomalies[2].figure == "1 of 38 clicks"
    assert found.faults == ["acknowledged 37 > in SQL + in spools 35"]
    assert (await report_of(shop.engine, NOW, in_spools=2)).faults == []
