"""Faults of SQL do to real servers what they say, and nothing is left of them when they end."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg
import pytest

from chaos.checker.check import check
from chaos.checker.held import Held, waiting_entries
from chaos.checker.undone import without_undone
from chaos.crowd.process import ROOT
from chaos.crowd.told import Clicked, Notebook, Told
from chaos.faults import Fault, make_fault
from chaos.servers import PostgresServer
from chaos.servers.process import environment
from chaos.stage.home import prepare
from chaos.stage.stage import DATABASE, Stage
from domain.clock import SystemClock
from domain.ids import ClickIds
from privacy.keyring import Keyring
from privacy.token import Minter
from runtime.settings import load_settings
from tests.chaos.test_check import JOSE, MARIA, click_id, clicked, day, row, started

SECONDS = 20.0


@dataclass(kw_only=True)
class Sql:
    """Of a stage, no more than the SQL tier."""

    postgres: PostgresServer
    sqlite_file: Path
    direct_sql_url: str = field(init=False)

    def __post_init__(self) -> None:
        self.direct_sql_url = self.postgres.url(DATABASE)

    def run(self, *statements: str) -> Any:
        """Those, on a connection of their own; the last one's first value."""
        return asyncio.run(self._run(*statements))

    def while_connected(self, then: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        """What comes of it, with a connection."""
        return asyncio.run(self._with(then))

    async def _run(self, *statements: str) -> Any:
        async def all_of_them(connection: asyncpg.Connection) -> Any:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])

        return await self._with(all_of_them)

    async def _with(self, then: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
        place = urlsplit(self.direct_sql_url)
        connection = await asyncpg.connect(
            host=place.hostname, port=place.port, user=place.username, database=DATABASE, timeout=SECONDS
        )
        try:
            return await then(connection)
        finally:
            connection.terminate()


# How asyncpg tells of a connection that was cut: by the state that it was in just then.
CUT = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.InternalClientError,
    asyncpg.InterfaceError,  # it has heard of it before it was asked anything
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer(options=("max_connections=12",)) as postgres:
        yield postgres


@pytest.fixture
def sql(server: PostgresServer, tmp_path: Path) -> Iterator[Sql]:
    server.create_database(DATABASE)
    made = Sql(postgres=server, sqlite_file=tmp_path / "trilha.db")
    made.run("CREATE TABLE clicks (id integer)", "CREATE TABLE outbox (id integer)", "SELECT 1")
    yield made
    server.drop_database(DATABASE)


@pytest.fixture
def begin(sql: Sql) -> Iterator[Callable[..., Callable[[], None]]]:
    """Begins a fault, and gives what ends it; it is ended in any case."""
    begun: list[Fault] = []

    def make(name: str, **arguments: Any) -> Callable[[], None]:
        fault = make_fault(name, arguments)
        begun.append(fault)
        fault.begin(cast("Stage", sql))
        return lambda: fault.end(cast("Stage", sql))

    yield make
    for fault in begun:
        fault.end(cast("Stage", sql))


Begin = Callable[..., Callable[[], None]]


def test_nobody_reads_a_table_that_is_locked(sql: Sql, begin: Begin) -> None:
    end = begin("postgres_lock")
    with pytest.raises(asyncpg.LockNotAvailableError):
        sql.run("SET lock_timeout = 1", "SELECT count(*) FROM clicks")
    end()
    assert sql.run("SELECT count(*) FROM clicks") == 0


def test_nobody_reads_a_table_that_a_migration_changes(sql: Sql) -> None:
    fault = make_fault("postgres_migration", {})
    fault.begin(cast("Stage", sql))
    try:
        with pytest.raises(asyncpg.LockNotAvailableError):
            sql.run("SET lock_timeout = 1", "SELECT count(*) FROM clicks")
    finally:
        cast("Any", fault)._held[0].close()  # not ended: there is no Trilha here to migrate


def test_read_only_cuts_connections_and_refuses_writes_until_it_ends(sql: Sql, begin: Begin) -> None:
    async def write_before_and_during(connection: asyncpg.Connection) -> Callable[[], None]:
        await connection.execute("INSERT INTO clicks VALUES (1)")
        end = await asyncio.to_thread(begin, "postgres_read_only")
        with pytest.raises(CUT):
            await connection.execute("INSERT INTO clicks VALUES (2)")
        return end

    end = sql.while_connected(write_before_and_during)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        sql.run("INSERT INTO clicks VALUES (3)", "SELECT 1")
    end()
    sql.run("INSERT INTO clicks VALUES (4)", "SELECT 1")
    assert sql.run("SELECT sum(id) FROM clicks") == 1 + 4


def test_no_connection_is_left_until_they_are_given_back(sql: Sql, begin: Begin) -> None:
    end = begin("postgres_pool")
    with pytest.raises(asyncpg.TooManyConnectionsError):
        sql.run("SELECT 1")
    end()
    assert sql.run("SELECT 1") == 1


def test_of_two_in_a_deadlock_it_is_the_other_one_that_is_given_up(sql: Sql, begin: Begin) -> None:
    end = begin("postgres_deadlock")

    async def first_then_last(connection: asyncpg.Connection) -> None:
        while True:  # until it gets into the adversary's way
            async with connection.transaction():
                await connection.execute("INSERT INTO clicks VALUES (1)")
                await connection.execute("INSERT INTO outbox VALUES (1)")

    with pytest.raises(asyncpg.DeadlockDetectedError):
        sql.while_connected(first_then_last)
    sql.run("SELECT pg_stat_force_next_flush()")
    end()


def test_a_drill_of_deadlocks_that_had_none_is_no_drill(sql: Sql) -> None:
    fault = make_fault("postgres_deadlock", {})
    fault.begin(cast("Stage", sql))
    with pytest.raises(RuntimeError, match="no deadlock"):
        fault.end(cast("Stage", sql))


def test_a_restored_backup_knows_what_was_there_then_and_nothing_later(sql: Sql, begin: Begin) -> None:
    sql.run("INSERT INTO clicks VALUES (1)", "SELECT 1")
    sql.postgres.back_up()
    sql.run("INSERT INTO clicks VALUES (2)", "SELECT 1")
    end = begin("postgres_older_backup")
    assert not sql.postgres.alive
    end()
    assert sql.run("SELECT sum(id) FROM clicks") == 1


def test_nobody_else_writes_to_sqlite_until_the_lock_is_gone(sql: Sql, begin: Begin) -> None:
    with closing(sqlite3.connect(sql.sqlite_file, timeout=0)) as other:
        other.execute("CREATE TABLE clicks (id)")
        end = begin("sqlite_busy")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("INSERT INTO clicks VALUES (1)")
        end()
        other.execute("INSERT INTO clicks VALUES (1)")


def test_a_backlog_is_in_a_spool_and_in_the_notebook(tmp_path: Path) -> None:
    home = {"TRILHA_HOME_DIR": str(tmp_path / "home"), "TRILHA_REDIS_URL": ""}
    prepare(home)
    told = tmp_path / "told.jsonl"
    _first_click(told, home)
    subprocess.run(
        [sys.executable, "-m", "chaos.backlog", "20", str(told)],
        cwd=ROOT,
        env=environment() | home,
        check=True,
        timeout=60,
    )
    clicks = Told.read(told).clicks[1:]
    assert len({click.token for click in clicks}) == 20
    assert waiting_entries(tmp_path / "home" / "spool") >= 3  # three commits of at most 8 clicks


def _first_click(told: Path, home: dict[str, str]) -> None:
    """The one that says which link the crowd clicks on."""
    keyring = Keyring(load_settings(home).secrets, SystemClock())
    click = ClickIds().new(SystemClock().now_ms())
    token = Minter(keyring, SystemClock(), node=0, attribution_days=28).mint(click, 1, bytes(8))
    notebook = Notebook(told)
    notebook.clicked(Clicked(number=0, at=0.0, ms=1.0, late_ms=0.0, status=302, token=token.text))
    notebook.close()


def _during(at: float) -> bool:
    """What the day's clicks 1 and 2 and no start are in."""
    return 1.0 <= at < 10.0


def test_what_a_restored_backup_lacks_is_counted_apart() -> None:
    told, held = day()
    del held.clicks[click_id(1)]
    left, undone = without_undone(told, held, _during)
    assert undone == 1
    assert not check(left, held, events=()).acked_lost.count


def test_what_was_lost_at_another_time_is_not_the_backups_doing() -> None:
    told, held = day()
    del held.clicks[click_id(0)]
    left, undone = without_undone(told, held, _during)
    assert (left, undone) == (told, 0)


def test_an_owner_whom_the_backup_does_not_know_is_undone_and_one_from_later_is_not() -> None:
    told, held = day()
    held.clicks[click_id(0)] = row(0, JOSE)
    then = replace(told, starts=[started(0, MARIA, owner=True, at=5.0)])
    assert without_undone(then, held, _during)[1] == 1
    assert without_undone(told, held, _during)[1] == 0


def test_nothing_is_undone_of_what_is_there() -> None:
    told, held = day()
    assert without_undone(told, held, lambda _: True) == (told, 0)
    assert without_undone(Told(), Held(), lambda _: True) == (Told(), 0)


def test_whoever_still_waits_for_an_answer_has_not_been_promised_anything() -> None:
    told, held = day()
    late = replace(clicked(7), at=9.0, ms=2000.0)
    told.clicks.append(late)
    assert not check(told, held, events=(), until=10.0).acked_lost.count
    assert check(told, held, events=(), until=12.0).acked_lost.count == 1
