"""What erasing a person promises in SQL, on SQLite and on PostgreSQL: one transaction, and nothing comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import make_engine, transaction
from backends.sql.erasure import THE_FILES, Erased, SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.schema import clicks, erasures, outbox, starts, unerased
from backends.sql.tombstones import close_to_starts
from domain.attribution import Owner, Start
from domain.click import Click
from domain.clock import ManualClock
from domain.outcomes import MISSING, Found
from tests.contracts.test_ledger import ADDED
from tests.making import NOW, PATIENT, full_click, person_key, start_of

ANA, BIA = 7, 8
ERASED_AT = NOW + 10_000
LATER = ERASED_AT + 1


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    erasures: SqlErasures

    async def erase(self, person: int = ANA, **changes: Any) -> Erased:
        given = {"person_key": person_key(person), "at_ms": ERASED_AT, "elsewhere": ("redis", "spool")}
        return await self.erasures.erase(person, **(given | changes))

    async def put(self, number: int, **values: Any) -> None:
        """A conversion as it is reported, with all that it may say of a person."""
        row = {"event_id": UUID(int=number), "lane": "meta/123456789", "event": "Purchase", "event_at": NOW}
        row |= {"next_at": NOW, "bot_id": 1, "value": 5_000_000, "currency": "BRL", "order_id": f"A-{number}"}
        row |= {"person": {"em": ["aa"]}, "custom": {"content_name": "x"}}
        async with self.engine.begin() as connection:
            await connection.execute(outbox.insert().values(**(row | values)))

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def row(self, click: Click) -> dict[str, Any]:
        return next(row for row in await self.rows(clicks) if row["id"] == click.id)


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel="123456789")
    yield Database(engine, SqlLedger(engine, person_key), SqlErasures(engine))
    await engine.dispose()


@pytest.fixture
async def beside(database: Database) -> AsyncIterator[Database]:
    """Another process on the same database."""
    engine = make_engine(database.engine.url.render_as_string(hide_password=False), patience=PATIENT)
    yield Database(engine, SqlLedger(engine, person_key), SqlErasures(engine))
    await engine.dispose()


async def test_erasing_a_person_leaves_tombstones_without_data_or_owner_and_nobody_elses_changed(
    database: Database,
) -> None:
    hers, in_another_bot, his = (full_click(link_id=1) for _ in range(3))
    other_bot = Start.with_token(
        Owner(bot_id=2, telegram_id=ANA), start_of(in_another_bot).click, at_ms=NOW, update_id=None
    )
    begun = [start_of(hers, ANA), other_bot, start_of(his, BIA), start_of(his, ANA)]
    await database.ledger.settle([hers, in_another_bot, his], begun, [], (), {hers.id: ADDED})
    before = await database.row(his)
    erased = await database.erase()
    assert (erased.clicks, erased.starts, erased.conversions) == (2, 3, 2)
    keep = {"id", "link_id", "node", "ad_key", "clicked_at", "spooled", "erased_at"}
    for click in (hers, in_another_bot):
        row = await database.row(click)
        assert {name for name, value in row.items() if value is not None} == keep
        assert row["spooled"]
        assert await database.ledger.find(click.id) == MISSING
    assert await database.row(his) == before
    assert [row["telegram_id"] for row in await database.rows(starts)] == [BIA]
    events = {row["click_id"]: (row["state"], row["reason"]) for row in await database.rows(outbox)}
    assert events == {
        hers.id: ("skipped", "erased"),
        in_another_bot.id: ("skipped", "erased"),
        his.id: ("pending", None),
    }


async def test_a_conversion_that_was_sent_stays_as_it_is(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    async with database.engine.begin() as connection:
        await connection.execute(outbox.update().values(state="sent"))
    assert (await database.erase()).conversions == 0
    [event] = await database.rows(outbox)
    assert (event["state"], event["reason"]) == ("sent", None)


async def test_no_conversion_names_an_erased_person_and_what_was_sent_stays_counted(
    database: Database,
) -> None:
    """Whether their click is known or not, in every bot and lane; the value stays, and nobody else's changes."""
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    for n, (person, state) in enumerate(((ANA, "sent"), (ANA, "pending"), (ANA, "dead"), (BIA, "pending"))):
        await database.put(n, telegram_id=person, state=state)
    await database.put(8, telegram_id=None, click_id=click.id, state="sent")
    await database.put(9, telegram_id=None, click_id=click.id, state="pending", lane="webhook/crm")
    before = {row["event_id"]: row for row in await database.rows(outbox)}
    assert (await database.erase()).conversions == 6
    nothing = dict.fromkeys(("bot_id", "telegram_id", "person", "custom", "order_id"))
    skipped = {"state": "skipped", "reason": "erased"}
    for row in await database.rows(outbox):
        was = before[row["event_id"]]
        hers = was["telegram_id"] == ANA or was["click_id"] == click.id
        left = nothing | ({} if was["state"] == "sent" else skipped) if hers else {}
        assert row == was | left
    once = await database.rows(outbox)
    assert (await database.erase(at_ms=LATER)).nothing
    assert await database.rows(outbox) == once


async def test_a_person_of_whom_only_a_sent_conversion_is_known_is_known(database: Database) -> None:
    await database.put(1, telegram_id=ANA, state="sent")
    assert not (await database.erase()).nothing
    assert await database.erasures.left() == {"sql": 1}


async def test_a_conversion_that_moves_to_its_lane_during_an_erasure_is_erased_all_the_same(
    database: Database, beside: Database
) -> None:
    """Either it moves first and is found where it is, or the erasure is first and it does not move."""
    clicks = [full_click(link_id=1) for _ in range(6)]
    await database.ledger.settle(clicks, [start_of(click, n) for n, click in enumerate(clicks, 20)], [])
    for person in range(20, 26):
        await database.put(person, telegram_id=person, state="pending", lane="")
    moving = SqlOutbox(beside.engine)
    for person in range(20, 26):
        await asyncio.gather(
            moving.attribute(1, now_ms=LATER, until_ms=LATER, give_up_ms=0, touch="last"),
            database.erase(person),
        )
    assert {(row["state"], row["telegram_id"]) for row in await database.rows(outbox)} == {("skipped", None)}


async def test_what_is_to_be_discarded_elsewhere_is_noted_until_it_is_done(database: Database) -> None:
    batch = [full_click(link_id=1) for _ in range(3)]
    await database.ledger.settle(batch, [start_of(click) for click in batch], [])
    await database.erase()
    ids = sorted(click.id for click in batch)
    assert await database.erasures.left() == {"redis": 3, "spool": 3, "sql": 1}
    await database.erasures.done("sql", [THE_FILES])
    assert sorted(await database.erasures.to_do("redis")) == ids
    await database.erasures.done("redis", ids[:2])
    await database.erasures.done("spool", ids)
    assert await database.erasures.left() == {"redis": 1}
    await database.erase(at_ms=LATER)
    assert await database.erasures.left() == {"redis": 1}


async def test_erasing_again_changes_nothing_but_the_moment_and_the_audit(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    await database.erase()
    once = [await database.rows(table) for table in (clicks, starts, outbox, unerased)]
    again = await database.erase(at_ms=LATER)
    assert again.nothing
    assert [await database.rows(table) for table in (clicks, starts, outbox, unerased)] == once
    assert await database.erasures.erased_at(person_key(ANA)) == LATER
    await database.erase(at_ms=NOW)
    assert await database.erasures.erased_at(person_key(ANA)) == LATER == await database.erasures.last()
    assert [line.action for line in await database.erasures.audit()] == ["erase"] * 3


async def test_erasing_somebody_nobody_knows_still_forbids_their_starts(database: Database) -> None:
    """Their start may lie in another machine's spool."""
    assert (await database.erase()).nothing
    click = full_click(link_id=1)
    direct = Start.direct(Owner(bot_id=1, telegram_id=ANA), at_ms=NOW, update_id=5)
    await database.ledger.settle([click], [start_of(click), direct], [])
    assert await database.rows(starts) == await database.rows(outbox) == []
    row = await database.row(click)
    assert row["erased_at"] is not None
    assert (row["owner_telegram_id"], row["sealed"], row["spooled"]) == (None, None, True)


async def test_a_click_that_only_a_waiting_start_names_is_buried_unless_somebody_else_owns_it(
    database: Database,
) -> None:
    waiting, his, never_settled = (full_click(link_id=1) for _ in range(3))
    await database.ledger.settle([waiting, his], [start_of(his, BIA)], [])
    erased = await database.erase(begun=[waiting.id, his.id, never_settled.id])
    assert erased.clicks == 2
    await database.ledger.settle([never_settled], [start_of(click) for click in (waiting, his)], [])
    assert await database.ledger.find(waiting.id) == await database.ledger.find(never_settled.id) == MISSING
    assert await database.ledger.find(his.id) == Found(his)
    assert (await database.row(his))["owner_telegram_id"] == BIA


async def test_an_erased_click_that_had_kept_its_owner_loses_it_with_the_person(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    await database.ledger.discard(click.id)
    await database.erase()
    assert (await database.row(click))["owner_telegram_id"] is None


async def test_what_was_erased_is_not_won_by_anybody(database: Database) -> None:
    """I5: neither by a later start of the same person, nor by another's, nor with the click brought along."""
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    await database.erase()
    for start in (start_of(click, ANA, at_ms=LATER), start_of(click, BIA)):
        row = await database.ledger.record_start(start, click)
        assert row is not None
        assert (row.owner, row.click) == (None, None)
    assert [event["state"] for event in await database.rows(outbox)] == ["skipped"]


async def test_a_person_who_comes_back_after_the_erasure_is_new(database: Database) -> None:
    await database.erase()
    click = full_click(link_id=1)
    row = await database.ledger.record_start(start_of(click, at_ms=LATER), click)
    assert row is not None
    assert (row.owner, row.click) == (start_of(click).owner, click)
    late = start_of(click, at_ms=NOW, update_id=9)
    await database.ledger.settle([], [late], [])
    assert (await database.row(click))["owner_telegram_id"] == ANA
    assert [start["started_at"] for start in await database.rows(starts)] == [LATER]


async def test_a_start_under_way_during_an_erasure_is_erased_or_refused(
    database: Database, beside: Database
) -> None:
    """The start waits for the erasure that is under way, and then sees it; whichever way it came."""
    batch = [full_click(link_id=1) for _ in range(2)]
    looking, go_on = asyncio.Event(), asyncio.Event()

    async def half_done(connection: AsyncConnection) -> None:
        await close_to_starts(connection)
        await connection.execute(erasures.insert().values(person_key=person_key(ANA), erased_at=ERASED_AT))
        looking.set()
        await go_on.wait()

    erasing = asyncio.create_task(transaction(beside.engine, half_done))
    await looking.wait()
    starting = asyncio.gather(
        database.ledger.record_start(start_of(batch[0]), batch[0]),
        database.ledger.settle(batch[1:], [start_of(batch[1])], []),
    )
    done, _ = await asyncio.wait([asyncio.ensure_future(starting)], timeout=0.2)
    assert not done, "the start did not wait"
    go_on.set()
    await erasing
    await starting
    assert await database.rows(starts) == []
    assert {row["owner_telegram_id"] for row in await database.rows(clicks)} == {None}


async def test_starts_and_settlings_and_an_erasure_at_once_leave_nothing_of_the_person(
    database: Database, beside: Database
) -> None:
    """Neither does any of them end the others by a deadlock."""
    batch = [full_click(link_id=1) for _ in range(24)]
    pieces = [batch[at : at + 6] for at in range(0, 24, 6)]
    await database.ledger.settle(batch[:12], [start_of(click) for click in batch[:6]], [])
    await asyncio.gather(
        *(database.ledger.settle(piece, [start_of(click) for click in piece], []) for piece in pieces),
        *(database.ledger.record_start(start_of(click), click) for click in batch[::3]),
        *(database.ledger.settle(piece[::-1], [], []) for piece in pieces),
        *(beside.erase() for _ in range(3)),
    )
    assert await database.rows(starts) == []
    assert {row["owner_telegram_id"] for row in await database.rows(clicks)} == {None}
    assert {row["state"] for row in await database.rows(outbox)} <= {"skipped"}
    assert all(row["spooled"] for row in await database.rows(clicks))


async def test_an_erasure_that_fails_half_way_leaves_everything_as_it_was(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    before = [await database.rows(table) for table in (clicks, starts, outbox, erasures)]
    async with database.engine.begin() as connection:
        await connection.execute(text("DROP TABLE unerased"))
    with pytest.raises(Exception, match="SQL"):
        await database.erase()
    assert [await database.rows(table) for table in (clicks, starts, outbox, erasures)] == before


@pytest.mark.parametrize("change", ["UPDATE audit SET action = 'x'", "DELETE FROM audit"])
async def test_the_audit_is_only_added_to(database: Database, change: str) -> None:
    await database.erasures.note("export", {"clicks": 1}, NOW)
    with pytest.raises(DBAPIError, match="only added to"):
        async with database.engine.begin() as connection:
            await connection.execute(text(change))
    [line] = await database.erasures.audit()
    assert (line.action, line.detail, line.at_ms) == ("export", {"clicks": 1}, NOW)


async def test_scrubbing_after_an_erasure_succeeds_and_takes_nothing_else(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.put(click)
    await database.erase()
    assert await database.erasures.scrub()
    assert await database.ledger.find(click.id) == Found(click)
