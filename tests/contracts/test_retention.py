"""What retention promises in SQL, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, event, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.books import read_books
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.sql.retention import Deleted, SqlRetention, Waiting
from backends.sql.schema import accounting, click_totals, clicks, outbox, starts
from domain.attribution import Owner, Start
from domain.books import MINUTE_MS, BookEntry
from domain.click import Click
from domain.conversions import PURCHASE, UNATTRIBUTED, order_event_id
from domain.enrichment import Enrichment, Geo, Traffic
from domain.errors import StoreUnavailable
from tests.making import NOW, PATIENT, bare_click, full_click, new_id, person_key, start_of
from tests.plans import BY_INDEX, overheard, plans

DAY_MS = 86_400_000
MIDNIGHT = NOW // DAY_MS * DAY_MS
FIRST = MIDNIGHT // MINUTE_MS
IN_BRAZIL = Enrichment(geo=Geo("BR"), traffic=Traffic("in_app"))
MANY = 10_000


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    retention: SqlRetention

    async def count(self, table: Table) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def change(self, statement: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(statement)

    async def put_conversions(self, *times: int) -> None:
        """Of somebody whose click is not known, reported with digests."""
        same = {"lane": UNATTRIBUTED, "event": PURCHASE, "state": "pending", "next_at": NOW}
        same |= {"person": {"em": ["aa"]}}
        rows = [
            same | {"event_id": order_event_id(1, PURCHASE, str(at_ms)), "event_at": at_ms} for at_ms in times
        ]
        async with self.engine.begin() as connection:
            await connection.execute(outbox.insert(), rows)

    async def settle(self, batch: Sequence[Click], begun: Sequence[Start] = ()) -> None:
        """As a worker does, with the books of a daemon that had spooled each of them."""
        minutes: dict[int, int] = {}
        for click in batch:
            minutes[click.at_ms // MINUTE_MS] = minutes.get(click.at_ms // MINUTE_MS, 0) + 1
        books = [
            BookEntry(node=0, boot="boot", minute=minute, issued=n, synced=n, spooled=n)
            for minute, n in minutes.items()
        ]
        await self.ledger.settle(batch, begun, books, (), {click.id: IN_BRAZIL for click in batch[1:]})

    async def faults(self) -> list[str]:
        """Of the books of each minute, and of all of them."""
        stretches = [(FIRST, FIRST + 8), *((minute, minute + 1) for minute in range(FIRST, FIRST + 8))]
        found = [
            await read_books(self.engine, [], since_ms=a * MINUTE_MS, until_ms=b * MINUTE_MS)
            for a, b in stretches
        ]
        return [fault for books in found for fault in books.faults]

    async def delete_all(self, before_ms: int, limit: int) -> Deleted:
        total = Deleted()
        while done := await self.retention.aggregate_and_delete(before_ms, limit):
            total += done
        return total


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    yield Database(engine, SqlLedger(engine, person_key), SqlRetention(engine))
    await engine.dispose()


def clicks_of(*minutes: int) -> list[Click]:
    """One click in each of these minutes of a day."""
    return [full_click(link_id=1, id=new_id((FIRST + minute) * MINUTE_MS + 500)) for minute in minutes]


async def sealed_times(database: Database) -> list[int]:
    return [row["clicked_at"] for row in await database.rows(clicks) if row["sealed"] is not None]


async def test_an_original_is_forgotten_one_millisecond_after_its_last_and_not_before(
    database: Database,
) -> None:
    batch = [full_click(id=new_id(NOW + ms)) for ms in (-1, 0, 1)]
    await database.ledger.settle(batch, [], [])
    assert await database.retention.forget_originals(NOW, MANY) == 1
    assert await sealed_times(database) == [NOW, NOW + 1]
    assert await database.retention.forget_originals(NOW, MANY) == 0


async def test_everything_else_of_a_click_stays_when_its_original_is_forgotten(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click), click)
    [before] = await database.rows(clicks)
    await database.retention.forget_originals(NOW + 1, MANY)
    assert await database.rows(clicks) == [before | {"sealed": None}]


async def test_an_original_that_settles_late_is_forgotten_and_settling_again_does_not_bring_it_back(
    database: Database,
) -> None:
    late = full_click(id=new_id(NOW - 40 * DAY_MS))
    await database.settle([late])
    assert (await database.retention.originals_due(NOW)).oldest_ms == late.at_ms
    assert await database.retention.forget_originals(NOW, MANY) == 1
    await database.settle([late])
    assert await sealed_times(database) == []
    assert await database.retention.originals_due(NOW) == (await database.retention.clicks_due(0))


async def test_originals_are_forgotten_oldest_first_in_batches_of_the_size_that_is_asked_for(
    database: Database,
) -> None:
    batch = clicks_of(*range(5))
    await database.settle(batch)
    due = await database.retention.originals_due(NOW)
    assert (due.rows, due.oldest_ms) == (5, batch[0].at_ms)
    assert await database.retention.forget_originals(NOW, 2) == 2
    assert await sealed_times(database) == [click.at_ms for click in batch[2:]]


async def test_old_clicks_become_totals_and_go_with_their_starts_events_and_books(database: Database) -> None:
    old = clicks_of(0, 1, 1)
    young = clicks_of(3)
    begun = [start_of(click, person) for click in (*old[:2], *young) for person in (1, 2)]
    await database.settle([*old, *young], begun)
    before = await database.faults()
    done = await database.delete_all((FIRST + 2) * MINUTE_MS, MANY)
    assert done == Deleted(clicks=3, starts=4, events=2, figures=2)
    totals = [tuple(row.values()) for row in await database.rows(click_totals)]
    day = date(2027, 1, 15)
    assert totals == [
        (day, 1, old[0].ad_key, "", "unknown", 1, 1),
        (day, 1, old[0].ad_key, "BR", "in_app", 2, 1),
    ]
    left = {table.name: await database.count(table) for table in (clicks, starts, outbox, accounting)}
    assert left == {"clicks": 1, "starts": 2, "outbox": 1, "accounting": 1}
    assert (before, await database.faults()) == ([], [])


async def test_a_click_is_deleted_with_its_whole_minute_and_not_before_that_is_over(
    database: Database,
) -> None:
    await database.settle(clicks_of(0))
    assert not await database.delete_all((FIRST + 1) * MINUTE_MS - 1, MANY)
    assert (await database.retention.clicks_due((FIRST + 1) * MINUTE_MS - 1)).rows == 0
    assert (await database.retention.clicks_due((FIRST + 1) * MINUTE_MS)).rows == 1
    assert (await database.delete_all((FIRST + 1) * MINUTE_MS, MANY)).clicks == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_the_books_balance_after_every_batch_whatever_its_size(database: Database, limit: int) -> None:
    """I8, for each minute and for all: minutes with more clicks than a batch holds go whole."""
    batch = clicks_of(0, 1, 1, 1, 2, 4, 5, 5, 7)
    await database.settle(batch, [start_of(click) for click in batch])
    deleted = Deleted()
    while done := await database.retention.aggregate_and_delete((FIRST + 7) * MINUTE_MS, limit):
        deleted += done
        assert await database.faults() == []
    assert (deleted.clicks, await database.count(clicks)) == (8, 1)
    assert sum(row["clicks"] for row in await database.rows(click_totals)) == 8


async def test_a_batch_holds_no_more_than_was_asked_for_unless_one_minute_does(database: Database) -> None:
    await database.settle(clicks_of(0, 1, 2, 3, 3, 3, 4))
    sizes = []
    while done := await database.retention.aggregate_and_delete(NOW, 2):
        sizes.append(done.clicks)
    assert sizes == [2, 1, 3, 1]


async def test_a_crash_between_counting_and_deleting_counts_nothing(database: Database) -> None:
    """The totals are right after the batch that was lost, and after the one that follows it."""
    await database.settle(clicks_of(0, 1))

    def die(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("DELETE FROM accounting"):
            raise OSError("killed")

    event.listen(database.engine.sync_engine, "before_cursor_execute", die)
    with pytest.raises(StoreUnavailable):
        await database.retention.aggregate_and_delete(NOW, MANY)
    event.remove(database.engine.sync_engine, "before_cursor_execute", die)
    assert (await database.count(click_totals), await database.count(clicks)) == (0, 2)
    assert await database.faults() == []
    await database.delete_all(NOW, 1)
    await database.delete_all(NOW, 1)
    assert sum(row["clicks"] for row in await database.rows(click_totals)) == 2


async def test_two_workers_at_once_count_each_click_once(database: Database) -> None:
    await database.settle(clicks_of(*range(8)))
    other = make_engine(database.engine.url.render_as_string(hide_password=False), patience=PATIENT)
    pair = [database.retention, SqlRetention(other)]
    await asyncio.gather(*(each.aggregate_and_delete(NOW, 3) for each in pair for _ in range(6)))
    await other.dispose()

    async def counted() -> int:
        return sum(row["clicks"] for row in await database.rows(click_totals))

    # Both may have gone for the same minutes: what one of them did not delete is still there.
    assert await counted() + await database.count(clicks) == 8
    await database.delete_all(NOW, 3)
    assert (await counted(), await database.count(clicks)) == (8, 0)


async def test_a_click_that_settles_after_its_minute_was_deleted_is_added_to_the_totals(
    database: Database,
) -> None:
    await database.settle(clicks_of(0, 0))
    await database.delete_all(NOW, MANY)
    await database.settle(clicks_of(0, 0))
    await database.delete_all(NOW, MANY)
    assert sorted(row["clicks"] for row in await database.rows(click_totals)) == [2, 2]


async def test_erased_clicks_and_their_tombstones_end_too(database: Database) -> None:
    """An erased click that had come is counted; a tombstone that came instead of its click is not."""
    came, never = clicks_of(0, 1)
    await database.ledger.put(came)
    for click in (came, never):
        await database.ledger.discard(click.id)
    assert (await database.delete_all(NOW, MANY)).clicks == 2
    assert [row["clicks"] for row in await database.rows(click_totals)] == [1]


async def test_figures_without_clicks_end_too(database: Database) -> None:
    """A minute whose clicks were all token_only."""
    books = [BookEntry(node=0, boot="b", minute=FIRST + n, issued=1, token_only=1) for n in range(5)]
    await database.ledger.settle([], [], books)
    assert (await database.delete_all((FIRST + 4) * MINUTE_MS, 2)).figures == 4
    assert await database.count(accounting) == 1


async def test_a_start_without_a_click_ends_after_its_own_time(database: Database) -> None:
    owner = Owner(bot_id=1, telegram_id=7)
    begun = [Start.direct(owner, at_ms=NOW + ms, update_id=ms) for ms in (-2, -1, 0)]
    await database.settle([bare_click()], [*begun, start_of(bare_click(), at_ms=NOW - 5)])
    due = await database.retention.direct_starts_due(NOW)
    assert (due.rows, due.oldest_ms) == (2, NOW - 2)
    assert [await database.retention.delete_direct_starts(NOW, 1) for _ in range(3)] == [1, 1, 0]
    assert await database.count(starts) == 2


async def test_digests_are_forgotten_one_millisecond_after_their_last_and_nothing_else_of_a_conversion(
    database: Database,
) -> None:
    """Sent or not, with a click or without."""
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click, at_ms=NOW - 1), click)
    await database.change(update(outbox).values(person={"em": ["aa"]}, state="sent"))
    await database.put_conversions(NOW - 2, NOW)
    before = await database.rows(outbox)
    assert await database.retention.digests_due(NOW) == Waiting(rows=2, oldest_ms=NOW - 2)
    assert [await database.retention.forget_digests(NOW, 1) for _ in range(3)] == [1, 1, 0]
    kept = [row | {"person": row["person"] if row["event_at"] == NOW else None} for row in before]
    assert await database.rows(outbox) == kept


async def test_a_conversion_without_a_click_ends_after_its_own_time_and_one_with_a_click_with_it(
    database: Database,
) -> None:
    click = full_click(link_id=1, id=new_id(NOW))
    await database.ledger.record_start(start_of(click, at_ms=NOW - 5), click)
    await database.put_conversions(NOW - 2, NOW - 1, NOW)
    assert await database.retention.conversions_due(NOW) == Waiting(rows=2, oldest_ms=NOW - 2)
    assert [await database.retention.delete_conversions(NOW, 1) for _ in range(3)] == [1, 1, 0]
    assert sorted(row["event_at"] for row in await database.rows(outbox)) == [NOW - 5, NOW]


async def test_old_conversions_and_digests_are_found_by_their_time(database: Database) -> None:
    """A pass every few minutes does not read those that are not due."""
    async with overheard(database.engine) as heard:
        await database.retention.digests_due(NOW)
        await database.retention.forget_digests(NOW, MANY)
        await database.retention.conversions_due(NOW)
        await database.retention.delete_conversions(NOW, MANY)
    found = await plans(database.engine, heard, *BY_INDEX)
    assert len(found) == 6
    for lines in found:
        assert re.search(r"ix_outbox_(digests|event_at)", "\n".join(lines)), lines


async def test_after_deleting_sqlite_has_neither_a_log_nor_the_deleted_bytes(sqlite_url: str) -> None:
    """secure_delete and a cut log: not a byte of the key that was deleted is left in the files."""
    engine = make_engine(sqlite_url, patience=PATIENT)
    await migrate(engine)
    files = SqlLedger(engine, person_key), SqlRetention(engine)
    mark = b"visitor-of-old-0"
    batch = [full_click(id=new_id(NOW + n), visitor_key=mark) for n in range(200)]
    await files[0].settle(batch, [], [])
    assert await files[1].leave_no_copy()
    database = engine.url.database or ""
    assert mark in on_disk(database)
    while await files[1].aggregate_and_delete(NOW + DAY_MS, 50):
        pass
    assert await files[1].leave_no_copy()
    assert on_disk(database + "-wal") == b""
    assert mark not in on_disk(database)
    await engine.dispose()


async def test_cutting_the_log_gives_way_to_a_reader(sqlite_url: str) -> None:
    engine, other = (make_engine(sqlite_url, patience=PATIENT) for _ in range(2))
    await migrate(engine)
    ledger, retention = SqlLedger(engine, person_key), SqlRetention(engine)
    async with other.connect() as reader:
        await open_read(reader)
        await ledger.put(full_click())
        assert not await retention.leave_no_copy()
    assert await retention.leave_no_copy()
    for each in (engine, other):
        await each.dispose()


async def open_read(connection: AsyncConnection) -> None:
    await connection.exec_driver_sql("BEGIN")
    await connection.execute(select(func.count()).select_from(clicks))


def on_disk(path: str) -> bytes:
    return Path(path).read_bytes()
