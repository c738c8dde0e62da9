"""What the reconciler promises, on SQLite and on PostgreSQL: what is owed and not there is found and written, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import make_engine, transaction
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.reconcile import SqlReconciler
from backends.sql.schema import links, outbox, webhooks
from domain.click import Click
from domain.clock import ManualClock
from domain.conversions import CLICK_EVENT, START_EVENT
from tests.making import NOW, PATIENT, full_click, new_id, person_key, start_of

PIXEL = "123456789"
HOUR = 3_600_000
BEFORE, AFTER = NOW - HOUR, NOW + HOUR
ANA = 7


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    reconciler: SqlReconciler

    async def started(self, number: int, *, link_id: int = 1) -> list[Click]:
        """Clicks of as many milliseconds, each with a start."""
        clicks = [full_click(link_id=link_id, id=new_id(NOW + n)) for n in range(number)]
        await self.ledger.settle(clicks, [start_of(click, ANA + n) for n, click in enumerate(clicks)], [])
        return clicks

    async def change(self, statement: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(statement)

    async def rows(self) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(outbox).order_by(*outbox.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def lose(self, *clicks: Click, event: str = START_EVENT) -> None:
        which = outbox.c.click_id.in_([click.id for click in clicks]) & (outbox.c.event == event)
        await self.change(delete(outbox).where(which))

    async def missing(self, limit: int = 100) -> tuple[UUID, ...]:
        return (await self.reconciler.missing(BEFORE, AFTER, None, limit)).missing


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Link 1 has a pixel; link 2 has none, and link 3 reports its clicks too."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel=PIXEL)
    await catalog.add_link("two", bot="shop_bot")
    await catalog.add_link("three", bot="shop_bot", pixel=PIXEL)
    made = Database(engine, SqlLedger(engine, person_key), SqlReconciler(engine))
    await made.change(update(links).where(links.c.id == 3).values(events_off=""))
    yield made
    await engine.dispose()


async def test_nothing_is_missing_where_the_ledger_wrote_everything(database: Database) -> None:
    for link_id in (1, 2, 3):
        await database.started(2, link_id=link_id)
    await database.ledger.settle([full_click(link_id=3)], [], [])
    assert await database.missing() == ()


@pytest.mark.parametrize("link_id", [1, 2, 3])
async def test_what_was_deleted_by_hand_is_found_written_again_as_it_was_and_not_found_any_more(
    database: Database, link_id: int
) -> None:
    """A conversion that is for nowhere too: its row says why."""
    clicks = await database.started(3, link_id=link_id)
    before = await database.rows()
    await database.lose(clicks[0], clicks[2])
    assert await database.missing() == (clicks[0].id, clicks[2].id)
    assert await database.reconciler.repair([clicks[2].id, clicks[0].id, clicks[1].id]) == 2
    assert await database.missing() == ()
    assert await database.rows() == before


async def test_a_click_that_its_link_reports_is_found_without_an_owner(database: Database) -> None:
    nobodys, owned = full_click(link_id=3), full_click(link_id=3)
    await database.ledger.settle([nobodys, owned], [start_of(owned)], [])
    before = await database.rows()
    await database.lose(nobodys, owned, event=CLICK_EVENT)
    assert await database.missing() == tuple(sorted([nobodys.id, owned.id]))
    assert await database.reconciler.repair([nobodys.id, owned.id]) == 2
    assert await database.rows() == before


async def test_what_was_sent_or_skipped_lacks_nothing_and_gets_no_other_lane(database: Database) -> None:
    """A webhook that came later is not sent what was before it."""
    clicks = await database.started(2)
    await database.change(update(outbox).values(state="sent"))
    await database.change(webhooks.insert().values(name="crm", url="https://x", secret=b"s", created_at=NOW))
    before = await database.rows()
    assert await database.missing() == ()
    assert await database.reconciler.repair([click.id for click in clicks]) == 0
    assert await database.rows() == before


async def test_clicks_without_both_facts_and_erased_ones_lack_nothing(database: Database) -> None:
    """Whatever repair is asked for: one that was found may have been erased since."""
    half, to_come, erased, persons = (full_click(link_id=1) for _ in range(4))
    await database.ledger.put(half)
    await database.ledger.record_start(start_of(to_come, 8), None)
    await database.ledger.settle([erased, persons], [start_of(erased, 9), start_of(persons, ANA)], [])
    await database.lose(erased, persons)
    await database.ledger.discard(erased.id)
    await SqlErasures(database.engine).erase(ANA, person_key=person_key(ANA), at_ms=NOW)
    assert await database.missing() == ()
    assert await database.reconciler.repair([half.id, to_come.id, erased.id, persons.id]) == 0
    assert await database.rows() == []


async def test_a_long_time_is_looked_through_in_steps_of_bounded_size(database: Database) -> None:
    """Each step begins after the last click of the one before, also where that lacked nothing."""
    clicks = await database.started(7)
    await database.lose(*clicks)
    steps, after = [], None
    while True:
        done = await database.reconciler.missing(NOW + 1, NOW + 6, after, 2)
        steps.append(done.missing)
        if done.last is None:
            break
        after = done.last
    assert steps == [
        (clicks[1].id, clicks[2].id),
        (clicks[3].id, clicks[4].id),
        (clicks[5].id,),
    ]


async def test_two_at_once_write_everything_once(database: Database) -> None:
    clicks = await database.started(20)
    before = await database.rows()
    await database.lose(*clicks)
    ids = [click.id for click in clicks]
    url = database.engine.url.render_as_string(hide_password=False)
    other = make_engine(url, patience=PATIENT)
    pair = (database.reconciler, SqlReconciler(other))
    done = await asyncio.gather(*(each.repair(order) for each in pair for order in (ids, ids[::-1])))
    await other.dispose()
    assert sum(done) >= 20
    assert await database.rows() == before


async def test_looking_and_repairing_wait_for_no_lock_that_looking_has_left(database: Database) -> None:
    """Nothing is held from one call to the next: another writes the same clicks at once."""
    clicks = await database.started(3)
    await database.lose(*clicks)
    found = await database.missing()
    other = make_engine(database.engine.url.render_as_string(hide_password=False), patience=PATIENT)

    async def touch(connection: AsyncConnection) -> None:
        await connection.execute(update(outbox).values(attempts=0))
        await connection.execute(delete(outbox))

    await transaction(other, touch)
    await other.dispose()
    assert await database.reconciler.repair(found) == 3
