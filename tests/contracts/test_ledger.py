"""What the ledger promises, on SQLite and on PostgreSQL: one row, two facts, each set once."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Table, event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.codec import pack
from backends.sql.engine import _under_way, make_engine
from backends.sql.enrichment import ENRICHMENT_COLUMNS
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.schema import accounting, ads, clicks, links, outbox, starts, webhooks
from backends.sql.scoring import SqlScoring
from domain.attribution import Owner, Start
from domain.books import BookEntry
from domain.click import Ad, Click
from domain.clock import ManualClock
from domain.conversions import click_event_id
from domain.enrichment import Agent, Enrichment, Geo, Reason, Score, Scores, Traffic
from domain.ids import first_uuid7
from domain.outcomes import MISSING, Found
from privacy.token import ad_key
from tests.making import NOW, PATIENT, bare_click, full_click, person_key, ref, start_of
from tests.plans import overheard

PIXEL = "123456789"


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    catalog: SqlCatalog

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def everything(self) -> dict[str, list[dict[str, Any]]]:
        return {table.name: await self.rows(table) for table in (clicks, starts, outbox, ads, accounting)}

    async def outbox_of(self, click: Click) -> list[dict[str, Any]]:
        return [row for row in await self.rows(outbox) if row["click_id"] == click.id]

    async def set_off(self, link_id: int, events: str) -> None:
        """Have the link report all but these events."""
        async with self.engine.begin() as connection:
            await connection.execute(links.update().where(links.c.id == link_id).values(events_off=events))

    async def add_webhooks(self, *names: str) -> None:
        rows = [{"name": n, "url": "https://crm.example", "secret": b"s", "created_at": NOW} for n in names]
        async with self.engine.begin() as connection:
            await connection.execute(webhooks.insert(), rows)


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Link 1 has a pixel; link 2 has none."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel=PIXEL)
    await catalog.add_link("two", bot="shop_bot")
    yield Database(engine, SqlLedger(engine, person_key), catalog)
    await engine.dispose()


async def test_click_then_start_gives_one_owner_and_one_pending_conversion(database: Database) -> None:
    """I4: the outbox row appears with the second fact, not with the first."""
    click = full_click(link_id=1)
    await database.ledger.put(click)
    assert await database.outbox_of(click) == []
    row = await database.ledger.record_start(start_of(click), None)
    assert row is not None
    assert (row.owner, row.click, row.started_at_ms) == (start_of(click).owner, click, NOW + 1000)
    [event] = await database.outbox_of(click)
    assert (event["state"], event["lane"], event["event_at"]) == ("pending", f"meta/{PIXEL}", NOW + 1000)


async def test_start_then_click_gives_the_same_owner_and_one_conversion(database: Database) -> None:
    click = full_click(link_id=1)
    row = await database.ledger.record_start(start_of(click), None)
    assert row is not None
    assert (row.owner, row.click, row.link_id, row.ad_key) == (start_of(click).owner, None, 1, click.ad_key)
    assert await database.outbox_of(click) == []
    assert await database.ledger.find(click.id) == MISSING
    await database.ledger.put(click)
    whole = await database.ledger.row(click.id)
    assert whole is not None
    assert (whole.owner, whole.click) == (start_of(click).owner, click)
    assert [event["state"] for event in await database.outbox_of(click)] == ["pending"]


async def test_a_conversion_of_a_link_without_pixel_is_skipped_with_its_reason(database: Database) -> None:
    click = full_click(link_id=2)
    await database.ledger.record_start(start_of(click), click)
    [event] = await database.outbox_of(click)
    assert (event["state"], event["reason"], event["lane"]) == ("skipped", "the link has no pixel", "")


async def test_what_a_link_does_not_report_is_skipped_with_its_reason(database: Database) -> None:
    await database.set_off(1, "PageView ViewContent")
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    [event] = await database.outbox_of(click)
    assert (event["state"], event["reason"]) == ("skipped", "the link does not report ViewContent")


@pytest.mark.parametrize("first", ["click", "start", "start with its click"])
async def test_a_click_is_a_page_view_once_where_its_link_reports_them(
    database: Database, first: str
) -> None:
    """I3: whichever fact comes first, and however often, a click is reported once, as of when it happened."""
    await database.set_off(1, "")
    click, elsewhere = full_click(link_id=1), full_click(link_id=2)
    if first != "click":
        await database.ledger.record_start(start_of(click), click if "with" in first else None)
    for _ in range(2):
        await database.ledger.settle([click, elsewhere], [], [])
    await database.ledger.record_start(start_of(click), click)
    found = {event["event"]: event for event in await database.outbox_of(click)}
    assert (found.keys(), len(await database.rows(outbox))) == ({"PageView", "ViewContent"}, 2)
    assert (found["PageView"]["event_at"], found["PageView"]["lane"]) == (click.at_ms, f"meta/{PIXEL}")
    assert found["PageView"]["event_id"] == click_event_id(click.id, "PageView")


async def test_an_erased_click_is_no_page_view(database: Database) -> None:
    await database.set_off(1, "")
    click = full_click(link_id=1)
    await database.ledger.discard(click.id)
    await database.ledger.settle([click], [], [])
    assert await database.rows(outbox) == []


async def test_every_webhook_gets_a_row_of_its_own_beside_the_pixels(database: Database) -> None:
    """F32: what becomes of a conversion in one channel says nothing about another."""
    await database.add_webhooks("crm", "sheet")
    with_pixel, without = full_click(link_id=1), full_click(link_id=2)
    for click in (with_pixel, without):
        await database.ledger.record_start(start_of(click), click)
        await database.ledger.record_start(start_of(click), click)
    lanes = {event["lane"]: event["state"] for event in await database.outbox_of(with_pixel)}
    assert lanes == dict.fromkeys([f"meta/{PIXEL}", "webhook/crm", "webhook/sheet"], "pending")
    lanes = {event["lane"]: event["state"] for event in await database.outbox_of(without)}
    assert lanes == {"": "skipped", "webhook/crm": "pending", "webhook/sheet": "pending"}
    assert len({event["event_id"] for event in await database.outbox_of(with_pixel)}) == 1


async def test_a_start_that_brings_its_click_completes_the_row_and_the_dictionary(database: Database) -> None:
    click = full_click(link_id=1, ad_key=ad_key(full_click().ad))
    row = await database.ledger.record_start(start_of(click), click)
    assert row is not None
    assert (row.owner, row.click) == (start_of(click).owner, click)
    assert len(await database.outbox_of(click)) == 1
    assert await database.catalog.ad(1, click.ad_key) == click.ad


async def test_repeating_a_start_changes_nothing(database: Database) -> None:
    """I3: the same person pressing START again, later or through a retry, is told the same and causes no second event."""
    click = full_click(link_id=1)
    first = await database.ledger.record_start(start_of(click), click)
    state = await database.everything()
    later = start_of(click, at_ms=NOW + 99_000)
    assert await database.ledger.record_start(later, None) == first
    assert await database.everything() == state


async def test_what_was_owed_once_is_not_owed_again_because_links_and_webhooks_have_changed_since(
    database: Database,
) -> None:
    """I3, I12: a person who presses START again, or a batch that is settled again, reports nothing to another pixel."""
    await database.set_off(1, "")
    batch = [full_click(link_id=link) for link in (1, 2)]
    begun = [start_of(click) for click in batch]
    await database.ledger.settle(batch, begun, [])
    before = await database.rows(outbox)
    for slug in ("one", "two"):
        await database.catalog.edit_link(slug, pixel="987654321")
    await database.add_webhooks("crm")
    await database.ledger.settle(batch, begun, [])
    for click in batch:
        await database.ledger.record_start(start_of(click, at_ms=NOW + 99_000), click)
    assert await database.rows(outbox) == before


async def test_a_batch_of_starts_costs_two_statements_for_each_and_no_more(database: Database) -> None:
    await database.add_webhooks("crm")
    heard = []
    for number in (1, 11):
        batch = [full_click(link_id=1) for _ in range(number)]
        async with overheard(database.engine) as statements:
            await database.ledger.settle(batch, [start_of(click) for click in batch], [])
        heard.append(len(statements))
    assert heard[1] - heard[0] <= 2 * 10


async def test_twenty_people_at_once_make_exactly_one_owner(database: Database) -> None:
    """I2: every one of them is told the same owner, and the nineteen others are noted as taken."""
    click = full_click(link_id=1)
    people = range(1, 21)
    rows = await asyncio.gather(
        *(database.ledger.record_start(start_of(click, person), click) for person in people)
    )
    told = {row.owner for row in rows if row is not None}
    assert len(told) == 1
    assert len(await database.outbox_of(click)) == 1
    kinds = sorted(row["kind"] for row in await database.rows(starts))
    assert kinds == ["attributed"] + ["taken"] * 19


async def test_an_outbox_row_exists_exactly_when_both_facts_do(database: Database) -> None:
    """I4, over every order in which a click, its copy and two people's starts may arrive."""
    for order in itertools.permutations(["click", "settled", "ana", "bia"], 3):
        click = bare_click(link_id=1)
        for what in order:
            match what:
                case "click":
                    await database.ledger.put(click)
                case "settled":
                    await database.ledger.settle([click], [], [])
                case person:
                    await database.ledger.record_start(start_of(click, len(person) + ord(person[0])), None)
            row = await database.ledger.row(click.id)
            both = row is not None and row.click is not None and row.owner is not None
            assert len(await database.outbox_of(click)) == int(both), (order, what)


async def test_an_erased_click_is_never_won_nor_filled_again(database: Database) -> None:
    """I5: neither a start, nor a late copy, nor both at once bring it back."""
    click = full_click(link_id=1)
    await database.ledger.put(click)
    await database.ledger.discard(click.id)
    for attempt in (
        database.ledger.record_start(start_of(click), None),
        database.ledger.record_start(start_of(click), click),
    ):
        row = await attempt
        assert row is not None
        assert (row.owner, row.click) == (None, None)
    await database.ledger.put(click)
    await database.ledger.settle([click], [start_of(click, 8)], [])
    assert await database.ledger.find(click.id) == MISSING
    assert await database.outbox_of(click) == []
    [row] = await database.rows(clicks)
    assert {row[name] for name in ("params", "referer_host", "language", "visitor_key", "sealed")} == {None}
    assert {start["kind"] for start in await database.rows(starts)} == {"taken"}


async def test_an_erased_click_keeps_the_owner_it_had_and_gets_no_other(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click, 1), click)
    await database.ledger.discard(click.id)
    row = await database.ledger.record_start(start_of(click, 2), click)
    assert row is not None
    assert (row.owner, row.click) == (Owner(bot_id=1, telegram_id=1), None)


async def test_an_erased_start_does_not_take_the_click_that_comes_late(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), None)
    await database.ledger.discard(click.id)
    await database.ledger.settle([click], [], [])
    assert await database.ledger.find(click.id) == MISSING
    assert await database.outbox_of(click) == []


@pytest.mark.parametrize("before", [True, False])
async def test_a_settled_tombstone_erases_the_click_and_keeps_it_counted(
    database: Database, before: bool
) -> None:
    """I8: the books find the spooled record, whether its click was there already or comes afterwards."""
    click = full_click(link_id=1)
    if before:
        await database.ledger.put(click)
    await database.ledger.settle([], [], [], [click.id])
    await database.ledger.settle([click], [], [])
    assert await database.ledger.find(click.id) == MISSING
    [row] = await database.rows(clicks)
    assert (row["spooled"], row["sealed"]) == (True, None)
    assert row["erased_at"] is not None


ADDED = Enrichment(
    geo=Geo("BR", "SP", "São Paulo", 28573, "dbip-city 2026-06"),
    agent=Agent("phone", "Android", "14", "Chrome", "126", "Instagram"),
    traffic=Traffic("in_app", ("agent:instagram",)),
    scores=Scores(Score(10, (Reason("velocity", 10, "31 clicks in a minute"),)), Score(), 20, 30),
    repeats=31,
)


async def test_what_is_added_to_a_click_is_read_as_it_was_written_and_stays(database: Database) -> None:
    """Set once, also on a click that SQL had taken directly; a later settling without it takes nothing away."""
    click = full_click(link_id=1)
    await database.ledger.put(click)
    for added in ({click.id: ADDED}, {}, {click.id: Enrichment(repeats=1)}):
        await database.ledger.settle([click], [], [], (), added)
    row = await database.ledger.row(click.id)
    assert row is not None
    assert row.enrichment == ADDED


async def test_erasing_a_click_takes_away_what_was_added_to_it_for_good(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.settle([click], [], [], (), {click.id: ADDED})
    await database.ledger.discard(click.id)
    await database.ledger.settle([click], [], [], (), {click.id: ADDED})
    [row] = await database.rows(clicks)
    assert {row[name] for name in ENRICHMENT_COLUMNS} == {None}


async def test_settling_again_reordered_or_overlapping_changes_nothing(database: Database) -> None:
    """I12: the tables are the same as after settling everything once, whatever another settler would add by then."""
    batch = [full_click(link_id=1 + n % 2) for n in range(6)]
    begun = [start_of(click, 100 + n) for n, click in enumerate(batch[:4])]
    begun.append(start_of(batch[0], 200))
    added = {click.id: ADDED._replace(repeats=n) for n, click in enumerate(batch)}
    other = {click.id: Enrichment(repeats=99) for click in batch}
    books = [
        BookEntry(node=1, boot="a", minute=5, issued=3),
        BookEntry(node=1, boot="b", minute=5, spooled=2),
    ]
    await database.ledger.settle(batch, begun, books, (), added)
    scoring = SqlScoring(database.engine)
    due = await scoring.due(10, first_uuid7(0))
    assert len(due) == 4
    scored = [(replaced(item, counts=replaced(item.counts, started=True)), ADDED) for item in due]
    await scoring.write(scored, NOW)
    once = await database.everything()
    await database.ledger.settle(batch[::-1], begun[::-1], books[::-1], (), other)
    await database.ledger.settle(batch[2:5], begun[1:3], books[:1])
    await asyncio.gather(
        SqlLedger(database.engine, person_key).settle(batch[:4], [], books, (), added),
        SqlLedger(database.engine, person_key).settle(batch[2:], [], books, (), other),
    )
    assert await database.everything() == once
    assert len(once["outbox"]) == 4


async def test_settling_in_pieces_and_any_order_gives_the_tables_of_settling_at_once(
    database: Database,
) -> None:
    """I12: two copies of the same facts, one settled whole, one fact by fact and starts first, differ only in ids."""
    whole = [full_click(link_id=1) for _ in range(4)]
    pieces = [replace(click, id=full_click().id) for click in whole]
    added = {click.id: ADDED for click in (*whole, *pieces)}
    await database.ledger.settle(whole, [start_of(c) for c in whole], [], (), added)
    for click in reversed(pieces):
        await database.ledger.settle([], [start_of(click)], [])
        await database.ledger.settle([click], [], [], (), added)
        await database.ledger.settle([click], [start_of(click)], [], (), added)

    def facts(rows: list[dict[str, Any]], wanted: list[Click]) -> list[dict[str, Any]]:
        ids = {click.id for click in wanted}
        return [row | {"id": None} for row in rows if row["id"] in ids]

    rows = await database.rows(clicks)
    assert facts(rows, pieces) == facts(rows, whole)
    assert len(await database.rows(outbox)) == 8


async def test_a_direct_start_returns_nothing_and_is_noted(database: Database) -> None:
    owner = Owner(bot_id=1, telegram_id=2**40)
    start = Start.direct(owner, at_ms=NOW, update_id=5)
    assert await database.ledger.record_start(start, None) is None
    await database.ledger.settle([], [start], [])
    [noted] = await database.rows(starts)
    assert (noted["kind"], noted["click_id"], noted["telegram_id"]) == ("direct", None, 2**40)


async def test_books_merge_by_the_larger_figure(database: Database) -> None:
    late = BookEntry(node=1, boot="a", minute=5, issued=9, synced=7, token_only=2)
    early = BookEntry(node=1, boot="a", minute=5, issued=4, synced=4, spooled=6)
    for entry in (late, early, late):
        await database.ledger.settle([], [], [entry])
    [row] = await database.rows(accounting)
    assert BookEntry(**row) == late.merge(early)


async def test_the_dictionary_says_what_an_ad_key_stands_for_on_its_link(database: Database) -> None:
    ad = Ad(source="fb", campaign="Verão", medium="cpc", content="vídeo", term="")
    params = {"utm_source": "fb", "utm_campaign": "Verão", "utm_medium": "cpc", "utm_content": "vídeo"}
    click = bare_click(link_id=1, ad_key=ad_key(ad), params=params)
    await database.ledger.settle([click, bare_click(link_id=1, ad_key=ad_key(ad), params=params)], [], [])
    assert await database.catalog.ad(1, ad_key(ad)) == ad
    assert await database.catalog.ad(2, ad_key(ad)) is None


async def test_a_start_is_recorded_for_a_link_the_catalog_no_longer_has(database: Database) -> None:
    click = full_click(link_id=99)
    row = await database.ledger.record_start(start_of(click), click)
    assert row is not None
    assert row.owner == start_of(click).owner
    assert ref(click).link_id == row.link_id
    assert [event["state"] for event in await database.outbox_of(click)] == ["skipped"]


async def test_a_receipt_comes_after_commit(database: Database) -> None:
    """I11: COMMIT was sent before `put_batch` returned, and another connection reads the click."""
    click = full_click()
    commits: list[object] = []
    event.listen(database.engine.sync_engine, "commit", commits.append)
    await database.ledger.put_batch([pack(click)])
    assert len(commits) == 1
    other = make_engine(database.engine.url.render_as_string(hide_password=False), patience=PATIENT)
    assert await SqlLedger(other, person_key).find(click.id) == Found(click)
    await other.dispose()


async def test_who_stops_waiting_at_any_moment_of_a_put_leaves_no_transaction_open(
    database: Database,
) -> None:
    """A redirect's deadline must not keep the lock that the worker settles under; and the put itself is done."""
    batches = [[pack(full_click()) for _ in range(20)] for _ in range(60)]
    late = 0
    for number, batch in enumerate(batches):
        try:
            async with asyncio.timeout(number * 0.000_1):
                await database.ledger.put_batch(batch)
        except TimeoutError:
            late += 1
    assert late > 0, "no put was late: nothing was tested"
    other = make_engine(database.engine.url.render_as_string(hide_password=False), patience=PATIENT)
    await SqlLedger(other, person_key).probe()
    await other.dispose()
    await asyncio.gather(*_under_way)
    for batch in batches:
        assert await database.ledger.find(batch[0].click.id) == Found(batch[0].click)


async def test_a_click_that_is_erased_before_it_arrives_is_never_won_nor_filled(database: Database) -> None:
    """I5: the tombstone does not wait for the click."""
    click = full_click()
    await database.ledger.discard(click.id)
    await database.ledger.settle([click], [start_of(click)], [])
    row = await database.ledger.record_start(start_of(click, 8), click)
    assert row is not None
    assert (row.click, row.owner) == (None, None)
