"""What partitions by day promise on PostgreSQL: nobody notices them, and a day that is dropped leaves what a day that is deleted does."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.tally import Tally
from backends.sql.books import read_books
from backends.sql.engine import make_engine, query, snapshot, transaction
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.sql.outbox import SqlOutbox
from backends.sql.partitions import DAY_MS, Partition, SqlPartitions, name_of, partitions
from backends.sql.retention import SqlRetention
from backends.sql.rollup_check import SqlRollupCheck
from backends.sql.rollups import SqlRollups
from backends.sql.schema import clicks
from backends.sql.scoring import SqlScoring
from backends.sql.tables import metadata
from chaos.servers import PostgresServer
from domain.attribution import Owner, Start
from domain.books import MINUTE_MS, BookEntry
from domain.click import Click
from domain.conversions import PURCHASE, Conversion, Money, order_event_id
from domain.errors import StoreUnavailable
from tests.contracts.test_catalog import move_to
from tests.making import PATIENT, bare_click, full_click, new_id, person_key, start_of
from tests.plans import overheard, plans

ZONE = "America/Sao_Paulo"
FEW = 7
_PART = re.compile(r"clicks_(?:before|default|d\d{8})(?=[ _]|$)")


@dataclass
class Sql:
    engine: AsyncEngine
    first_day: int = 0

    @property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self.engine, person_key)

    @property
    def retention(self) -> SqlRetention:
        return SqlRetention(self.engine)

    async def make(self, day: int, days: int) -> int:
        """Partitions of that day and as many after it, counted from the first that can have one."""
        return await SqlPartitions(self.engine).make_ahead(self.first_day + day * DAY_MS, days)

    async def names(self) -> list[str]:
        return [part.name for part in await query(self.engine, partitions)]

    async def where_is(self, click_id: UUID) -> str:
        wanted = text("SELECT tableoid::regclass::text FROM clicks WHERE id = :id").bindparams(
            bindparam("id", click_id, clicks.c.id.type)
        )
        return str(await query(self.engine, lambda connection: connection.scalar(wanted)))

    async def end(self, before_ms: int) -> None:
        """As a pass of retention does."""
        while True:
            while await self.retention.aggregate_and_delete(before_ms, FEW):
                pass
            if await self.retention.drop_oldest(before_ms) is None:
                return

    async def everything(self) -> dict[str, list[Any]]:
        found = {}
        async with self.engine.connect() as connection:
            for table in metadata.sorted_tables:
                keys = [*table.primary_key.columns]
                rows = (await connection.execute(select(table).order_by(*keys))).mappings()
                # The database's own clock says when a click was erased.
                found[table.name] = [
                    dict(row) | ({"erased_at": row["erased_at"] is not None} if table is clicks else {})
                    for row in rows
                ]
        return found

    async def fold(self) -> None:
        while await SqlRollups(self.engine, ZONE, Tally).fold(1000):
            pass

    async def differences(self) -> Any:
        return (await SqlRollupCheck(self.engine, ZONE, Tally).check()).differences


@pytest.fixture
async def sql(postgres_tables: str) -> AsyncIterator[Sql]:
    async with _opened(postgres_tables) as opened:
        yield opened


@pytest.fixture
def second_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    yield postgres.create_database("beside", template=postgres_template)
    postgres.drop_database("beside")


class _opened:  # noqa: N801 - used as a function
    def __init__(self, url: str) -> None:
        self._engine = make_engine(url, patience=PATIENT)

    async def __aenter__(self) -> Sql:
        [before] = await query(self._engine, partitions)
        return Sql(self._engine, before.until_ms)

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()


async def live(first_day: int, seed: int, *all_of_them: Sql) -> None:
    """The same random days for each: clicks, starts before and after them, sales, erasures, books, what comes twice."""
    dice = random.Random(seed)
    batch = [_click(first_day, dice, at) for at in range(60)]
    begun = [
        start_of(click, dice.randrange(5), at_ms=click.at_ms + dice.randrange(DAY_MS))
        for click in dice.choices(batch, k=25)
    ]
    begun += [
        Start.direct(Owner(bot_id=1, telegram_id=n), at_ms=first_day + n, update_id=n) for n in range(3)
    ]
    sales = [_sale(dice, one, n) for n, one in enumerate(begun[:20])]
    erased = [click.id for click in dice.sample(batch[:15], 4)]
    never = new_id(first_day + 5000)
    for sql in all_of_them:
        for at in range(0, len(batch), 20):
            some = batch[at : at + 20]
            await sql.ledger.settle(some[:15], [], _books(some))
        await sql.ledger.settle([], begun, [], erased, {}, sales)
        await sql.ledger.put(batch[19])
        await sql.ledger.discard(never)


def _click(first_day: int, dice: random.Random, n: int) -> Click:
    # From the day before the first partition to the end of the fourth, with clicks on the very bounds.
    at = first_day + (
        dice.choice((-1, 0, 1, 2, 3)) * DAY_MS if n < 10 else dice.randrange(-DAY_MS, 4 * DAY_MS)
    )
    make = dice.choice((full_click, bare_click))
    return make(
        id=new_id(at - (n < 10 and dice.random() < 0.5)), link_id=dice.randrange(3), ad_key=bytes([n % 4] * 8)
    )


def _sale(dice: random.Random, start: Start, n: int) -> Conversion:
    return Conversion(
        id=order_event_id(1, PURCHASE, str(n)),
        event=PURCHASE,
        at_ms=start.at_ms + 1,
        owner=start.owner,
        click=start.click if dice.random() < 0.7 else None,
        money=Money(micros=dice.randrange(10**8), currency="BRL"),
        order_id=str(n),
    )


def _books(batch: list[Click]) -> list[BookEntry]:
    minutes: dict[int, int] = {}
    for click in batch[:15]:
        minutes[click.at_ms // MINUTE_MS] = minutes.get(click.at_ms // MINUTE_MS, 0) + 1
    return [
        BookEntry(node=0, boot="b", minute=minute, issued=n, synced=n, spooled=n)
        for minute, n in minutes.items()
    ]


@pytest.mark.parametrize("seed", range(4))
async def test_dropping_days_leaves_in_every_table_what_deleting_their_clicks_one_by_one_leaves(
    sql: Sql, second_url: str, seed: int
) -> None:
    async with _opened(second_url) as whole:
        assert await sql.make(0, 5) == 6
        await live(sql.first_day, seed, sql, whole)
        assert await sql.everything() == await whole.everything()
        # Of the second day only a part has had its time.
        await sql.end(sql.first_day + 2 * DAY_MS - 1)
        await whole.end(sql.first_day + DAY_MS)
        assert name_of(sql.first_day) not in await sql.names()
        assert await sql.differences() == ()
        for each in (sql, whole):
            await each.fold()
        assert await sql.everything() == await whole.everything()
        left = await sql.everything()
        assert left["clicks"]
        assert left["click_totals"]
        assert left["rollup_days"]
        books = await read_books(sql.engine, [], since_ms=0, until_ms=sql.first_day + 9 * DAY_MS)
        assert books.faults == []


async def test_a_day_that_is_not_over_is_neither_dropped_nor_deleted_nor_due(sql: Sql) -> None:
    await sql.make(0, 1)
    await sql.ledger.settle([bare_click(id=new_id(sql.first_day + 5))], [], [])
    last = sql.first_day + DAY_MS - 1
    assert await sql.retention.drop_oldest(last) is not None  # what was before: it is empty
    assert await sql.retention.drop_oldest(last) is None
    assert not await sql.retention.aggregate_and_delete(last, FEW)
    assert (await sql.retention.clicks_due(last)).rows == 0
    assert (await sql.retention.clicks_due(last + 1)).rows == 1
    dropped = await sql.retention.drop_oldest(last + 1)
    assert dropped is not None
    assert dropped.clicks == 1


async def test_a_click_of_any_time_at_all_is_taken(sql: Sql) -> None:
    """Of a clock that is wrong, of a day that was dropped, of a day that nobody has made a partition for."""
    await sql.make(0, 1)
    times = (0, sql.first_day - 1, sql.first_day, sql.first_day + 900 * DAY_MS, 2**48 - 1)
    batch = [bare_click(id=new_id(at)) for at in times[:-1]]
    await sql.ledger.settle(batch, [], [])
    where = [await sql.where_is(click.id) for click in batch]
    assert where == ["clicks_before", "clicks_before", name_of(sql.first_day), "clicks_default"]
    await sql.end(sql.first_day + DAY_MS)
    await sql.ledger.settle(batch[1:3], [], [])
    assert {await sql.where_is(click.id) for click in batch[1:3]} == {"clicks_default"}
    await sql.end(sql.first_day + DAY_MS)
    assert (await sql.retention.clicks_due(sql.first_day + DAY_MS)).rows == 0


async def test_strays_of_a_day_are_moved_into_its_partition_and_counted_no_second_time(sql: Sql) -> None:
    """A worker was away for so long that days had no partition."""
    await live(sql.first_day, 5, sql)
    before = await sql.everything()
    assert await sql.make(0, 5) == 6
    assert await sql.everything() == before
    row = next(row for row in before["clicks"] if row["id"].int >> 80 >= sql.first_day)
    assert (await sql.where_is(row["id"])).startswith("clicks_d2")
    assert await sql.make(0, 5) == 0


async def test_workers_that_make_the_same_days_at_once_make_each_once(sql: Sql) -> None:
    other = SqlPartitions(make_engine(sql.engine.url.render_as_string(hide_password=False), patience=PATIENT))
    made = await asyncio.gather(
        *(each.make_ahead(sql.first_day, 3) for each in (SqlPartitions(sql.engine), other))
    )
    await other._engine.dispose()
    # Who finds another at it leaves that day to the other.
    assert sum(made) <= 4
    await sql.make(0, 3)
    assert [name for name in await sql.names() if name != "clicks_before"] == [
        name_of(sql.first_day + n * DAY_MS) for n in range(4)
    ]


async def test_whoever_reads_one_moment_finds_every_partition_of_it(sql: Sql) -> None:
    """PostgreSQL forgets a dropped table for readers of older moments too: retention waits for them, and gives way."""
    await sql.make(0, 1)
    await sql.ledger.settle([bare_click(id=new_id(sql.first_day))], [], [])
    end = sql.first_day + DAY_MS
    await sql.retention.drop_oldest(end)  # what was before

    async def read(connection: Any) -> int:
        await connection.scalar(text("SELECT count(*) FROM accounting"))
        with pytest.raises(StoreUnavailable):
            await sql.retention.drop_oldest(end)
        return int(await connection.scalar(text("SELECT count(*) FROM clicks")))

    assert await snapshot(sql.engine, read) == 1
    assert await sql.retention.drop_oldest(end) is not None


async def _touched(sql: Sql, *calls: Any) -> list[set[str]]:
    """The partitions in the plan of each statement about clicks."""
    async with overheard(sql.engine) as heard:
        for call in calls:
            await call
    found = await plans(sql.engine, heard)
    return [names for plan in found if (names := {name for line in plan for name in _PART.findall(line)})]


async def test_who_names_clicks_touches_the_partitions_of_their_days_only(sql: Sql) -> None:
    await sql.make(0, 20)
    batch = [full_click(id=new_id(sql.first_day + 3 * DAY_MS + n)) for n in range(3)]
    await sql.ledger.settle(batch, [start_of(click) for click in batch], [])
    day = name_of(sql.first_day + 3 * DAY_MS)
    start = sql.first_day + 3 * DAY_MS
    touched = await _touched(
        sql,
        sql.ledger.row(batch[0].id),
        sql.ledger.record_start(start_of(batch[1], 9), None),
        sql.ledger.settle(batch, [start_of(click, 8) for click in batch], []),
        sql.ledger.discard(batch[2].id),
        read_books(sql.engine, [], since_ms=start, until_ms=start + 1000),
    )
    assert len(touched) >= 5
    assert {name for names in touched for name in names} == {day}


async def test_what_waits_to_be_delivered_finds_its_clicks_by_their_ids(sql: Sql) -> None:
    """Joined to conversions, PostgreSQL looks into a partition when it has an id of its: none is read whole."""
    await sql.make(0, 20)
    async with overheard(sql.engine) as heard:
        await SqlOutbox(sql.engine).claim("meta/1", 10, now_ms=sql.first_day, until_ms=sql.first_day + 1)
        await SqlScoring(sql.engine).due(10, new_id(sql.first_day))
    found = await plans(sql.engine, heard, "enable_seqscan = off")
    lines = [line for plan in found for line in plan if _PART.search(line)]
    assert lines
    assert not [line for line in lines if "Seq Scan" in line]


async def _index_and_trigger_names(engine: AsyncEngine) -> set[str]:
    wanted = text(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = 'clicks'::regclass "
        "UNION SELECT tgname FROM pg_trigger WHERE tgrelid = 'clicks'::regclass AND NOT tgisinternal"
    )

    async def read(connection: Any) -> set[str]:
        return set((await connection.scalars(wanted)).all())

    return await query(engine, read)


async def _file_of(engine: AsyncEngine, table: str) -> int:
    found = text(f"SELECT relfilenode FROM pg_class WHERE relname = '{table}'")
    return int(await query(engine, lambda connection: connection.scalar(found)) or 0)


@pytest.fixture
async def old(postgres_url: str) -> AsyncIterator[Sql]:
    """A database as the version before partitions left it."""
    engine = make_engine(postgres_url, patience=PATIENT)
    await transaction(engine, lambda connection: connection.run_sync(move_to, "0009"))
    yield Sql(engine)
    await engine.dispose()


async def test_the_old_table_becomes_a_partition_as_it_is_and_an_old_daemon_goes_on(old: Sql) -> None:
    """The file of the table is the same: nothing was copied. Statements that were prepared before go on working."""
    ledger = old.ledger  # its engine keeps prepared statements
    batch = [full_click(id=new_id(1_700_000_000_000 + n)) for n in range(6)]
    await transaction(old.engine, lambda c: c.execute(text("GRANT SELECT ON clicks TO pg_monitor")))
    await ledger.settle(batch[:3], [start_of(batch[0])], [])
    names, file = await _index_and_trigger_names(old.engine), await _file_of(old.engine, "clicks")
    before = await ledger.row(batch[0].id)
    assert (await migrate(old.engine))[0] == "0009"
    assert await _file_of(old.engine, "clicks_before") == file
    assert await _index_and_trigger_names(old.engine) == names
    granted = text("SELECT has_table_privilege('pg_monitor', 'clicks', 'SELECT')")
    assert await query(old.engine, lambda connection: connection.scalar(granted))
    assert await ledger.row(batch[0].id) == before
    await ledger.settle(batch, [start_of(batch[4])], [])
    await old.retention.forget_originals(1_800_000_000_000, FEW)
    assert await old.differences() == ()
    assert [await old.where_is(click.id) for click in batch] == ["clicks_before"] * 6


async def test_clicks_from_the_future_are_brought_to_where_they_belong(old: Sql) -> None:
    """A clock was wrong. They were counted when they came, and are counted no second time."""
    early, late = bare_click(id=new_id(1_700_000_000_000)), bare_click(id=new_id(4_000_000_000_000))
    await old.ledger.settle([early, late], [start_of(late)], [])
    await migrate(old.engine)
    assert [await old.where_is(click.id) for click in (early, late)] == ["clicks_before", "clicks_default"]
    assert await old.differences() == ()


async def test_a_migration_that_was_given_up_half_way_is_taken_up_again(old: Sql) -> None:
    """The check is there and does not hold yet, as of a process that was killed while PostgreSQL read the table."""
    check = "ALTER TABLE clicks ADD CONSTRAINT clicks_before_bound CHECK (id < 'ffffffff-0000-0000-0000-000000000000') NOT VALID"
    await transaction(old.engine, lambda connection: connection.execute(text(check)))
    await old.ledger.settle([bare_click()], [], [])
    await migrate(old.engine)
    [before] = await query(old.engine, partitions)
    assert isinstance(before, Partition)
    assert before.until_ms % DAY_MS == 0
    await migrate(old.engine)


async def test_there_and_back_everything_is_as_it_was(sql: Sql) -> None:
    await sql.make(0, 5)
    await live(sql.first_day, 6, sql)
    names, before = await _index_and_trigger_names(sql.engine), await sql.everything()
    for revision in ("0009", "head"):
        async with sql.engine.begin() as connection:
            await connection.run_sync(move_to, revision)
        assert await _index_and_trigger_names(sql.engine) == names
        assert await sql.everything() == before
        assert await sql.differences() == ()
