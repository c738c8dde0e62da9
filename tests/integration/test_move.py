"""A Trilha moves from SQLite to PostgreSQL: everything arrives as it was, whatever interrupts it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, delete, insert, literal_column, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.tally import Tally
from backends.sql import move_source
from backends.sql.engine import make_engine, transaction
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from backends.sql.move import Compared, Move, Told
from backends.sql.moved import MOVED
from backends.sql.partitions import DAY_MS, name_of
from backends.sql.retention import SqlRetention
from backends.sql.rollup_check import SqlRollupCheck
from backends.sql.rollups import SqlRollups
from backends.sql.schema import (
    audit,
    bot_users,
    click_totals,
    clicks,
    erasures,
    greetings,
    links,
    outbox,
    starts,
    unerased,
)
from backends.sql.tables import metadata, users
from domain.click import Click
from domain.clock import SystemClock
from domain.errors import ConfigError, StoreUnavailable
from tests.commands import Commands
from tests.making import NOW, PATIENT, bare_click, full_click, new_id, person_key, start_of

ROOT = Path(__file__).parents[2]
ZONE = "America/Sao_Paulo"
DIGEST = b"\0\xff" * 8
# Calls of the product before or after which a move is killed when they are made for the first time: one for each phase.
PLACES = (
    ("before", "move_source.Source.track"),
    ("after", "move_source.Source.track"),
    ("before", "move_target.Target.begin"),
    ("after", "move_target.Target.put"),
    ("after", "move_target.Target.apply"),
    ("before", "move_target.Target.unlike"),
    ("after", "move_target.empty_whole"),
    ("after", "move_target.let_triggers_fire"),
    ("after", "move_source.leave"),
    ("before", "move_target.Target.finish"),
)
KILLED = """
import importlib, os, signal, sys
from functools import wraps
module, _, path = sys.argv[2].partition(".")
owner = importlib.import_module("backends.sql." + module)
*above, name = path.split(".")
for part in above:
    owner = getattr(owner, part)
real, moment = getattr(owner, name), sys.argv[1]
async def killed(*args):
    if moment == "after":
        await real(*args)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(owner, name, wraps(real)(killed))
sys.argv[:] = ["trilha", "move", "--json"]
from cli.main import run
run()
"""


@pytest.fixture(scope="session")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite database in which something is in every kind of column, and a part of the changes is folded."""
    file = tmp_path_factory.mktemp("filled") / "trilha.db"
    shutil.copy(sqlite_template, file)
    with ThreadPoolExecutor(1) as elsewhere:  # whoever asks for it may do so from within a loop
        elsewhere.submit(lambda: asyncio.run(_fill(f"sqlite+aiosqlite:///{file}"))).result()
    return file


@pytest.fixture
def source(filled: Path, sqlite_url: str) -> str:
    """A copy of it, for this test alone."""
    shutil.copy(filled, sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    return sqlite_url


@pytest.fixture
def target(postgres_tables: str) -> str:
    """Where to: tables are there already, which a move makes otherwise."""
    return postgres_tables


async def _fill(url: str) -> None:
    engine = make_engine(url, patience=PATIENT)
    catalog = SqlCatalog(engine, SystemClock())
    await catalog.add_bot("first_bot")
    await catalog.add_link("promo", bot="first_bot", pixel="1234567890")
    ledger = SqlLedger(engine, person_key)
    came = [full_click(id=new_id(NOW + n), link_id=1) for n in range(50)]
    await ledger.settle(came, [start_of(each, n) for n, each in enumerate(came[:20], 1)], [])
    await SqlRollups(engine, ZONE, Tally).fold(30)
    await ledger.discard(came[0].id)
    await transaction(engine, _odd_rows)
    await engine.dispose()


async def _odd_rows(connection: Any) -> None:
    await connection.execute(
        insert(greetings).values(
            link_id=1,
            language="pt",
            text="Olá, 日本 🚀\n\ttab",
            buttons=[{"z": 1, "a": [None, True, 1.5e-7, -0.0, 2**53], "t": "\x00 \u2028 \"'"}],
        )
    )
    await connection.execute(insert(audit).values(at=NOW, action="erase", detail={"clicks": 3, "null": None}))
    await connection.execute(insert(erasures).values(person_key=DIGEST, erased_at=-1))
    await connection.execute(insert(unerased).values(click_id=new_id(), store="redis"))
    await connection.execute(
        insert(click_totals).values(
            day=date(2026, 2, 28),
            link_id=1,
            ad_key=DIGEST[:8],
            country="",
            traffic_class="human",
            clicks=2**31 - 1,
            starts=0,
        )
    )
    for name in ("a", "b"):
        await connection.execute(
            insert(users).values(name=name, name_key=name, password="x", role="owner", created_at=NOW)
        )
    await connection.execute(users.delete().where(users.c.name == "b"))


@pytest.fixture
def trilha(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    target: str,
    tmp_path: Path,
) -> Commands:
    """An operator of that database, with an empty one of PostgreSQL to move to."""
    return Commands(monkeypatch, capsys, home_dir=str(tmp_path / "home"), sql_url=source, move_to=target)


async def contents(url: str) -> dict[str, list[Any]]:
    """Every row of every table, by table: in an order of ours, read through the types of the tables."""
    engine = make_engine(url, patience=PATIENT)
    async with engine.connect() as connection:
        found = {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }
    await engine.dispose()
    return found


def frozen(url: str) -> dict[str, list[Any]]:
    """As `contents`, of a SQLite file that was moved: read past the engine's refusal."""
    file = Path(url.partition(":///")[2])
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 0")
        connection.commit()
    return asyncio.run(contents(url))


async def moving(
    source: str,
    target: str,
    *,
    between: Callable[[AsyncEngine], Awaitable[object]] | None = None,
    click_days: int = 396,
) -> list[Compared]:
    """A whole move; `between` happens in SQLite after the copy, before the switch."""
    engines = make_engine(source, patience=PATIENT), make_engine(target, patience=PATIENT)
    move = _move(*engines, click_days=click_days)
    await move.look()
    await move.copy()
    if between is not None:
        await between(engines[0])
    await move.compare()
    compared = await move.switch()
    for engine in engines:
        await engine.dispose()
    return compared


def _move(
    source: AsyncEngine, target: AsyncEngine, *, told: Told = lambda *_: None, click_days: int = 396
) -> Move:
    return Move(source, target, clock=SystemClock(), click_days=click_days, new_id=lambda: "it", told=told)


def test_every_row_of_every_table_arrives_as_it_was(trilha: Commands, source: str, postgres_url: str) -> None:
    trilha.set(move_to=postgres_url)
    before = asyncio.run(contents(source))
    said = json.loads(trilha("move", "--json").out)
    after = asyncio.run(contents(postgres_url))
    assert after == before == frozen(source)
    assert said["state"] == "moved"
    assert {each["table"]: each["rows"] for each in said["tables"]} == {
        name: len(rows) for name, rows in before.items()
    }
    assert all(before[name] for name in ("clicks", "outbox", "rollup_ads", "click_changes", "greetings"))


async def test_rollups_are_right_afterwards_and_go_on_being_right(source: str, target: str) -> None:
    """What waited to be folded is folded there, once; triggers write down what comes."""
    await moving(source, target)
    engine = make_engine(target, patience=PATIENT)
    check = SqlRollupCheck(engine, ZONE, Tally)
    assert not (before := await check.check()).differences
    assert before.waiting
    click = full_click(id=new_id(NOW + 1000))
    await SqlLedger(engine, person_key).settle([click], [start_of(click, 99)], [])
    rollups = SqlRollups(engine, ZONE, Tally)
    while await rollups.fold(1000):
        pass
    after = await check.check()
    await engine.dispose()
    assert not after.differences
    assert (after.waiting, after.rows > before.rows) == (0, True)


async def test_numbers_go_on_after_the_highest_that_was_ever_given(source: str, target: str) -> None:
    """User 2 was removed, and stays the only one of that number."""
    await moving(source, target)
    engine = make_engine(target, patience=PATIENT)

    async def add(connection: Any) -> tuple[int, int]:
        values = {"name": "c", "name_key": "c", "password": "x", "role": "dpo", "created_at": NOW}
        user = await connection.execute(insert(users).values(values).returning(users.c.id))
        line = await connection.execute(
            insert(audit).values(at=NOW, action="x", detail={}).returning(audit.c.id)
        )
        return user.scalar_one(), line.scalar_one()

    assert await transaction(engine, add) == (3, 2)
    with pytest.raises(StoreUnavailable):  # its triggers are back: the audit is not changed
        await transaction(engine, lambda connection: connection.execute(update(audit).values(action="y")))
    await engine.dispose()


async def test_what_is_written_deleted_and_renamed_after_the_copy_arrives_too(
    source: str, target: str
) -> None:
    new = bare_click(id=new_id(NOW + 5000))

    async def change(engine: AsyncEngine) -> None:
        await SqlLedger(engine, person_key).settle([new], [start_of(new, 500)], [])
        await SqlRollups(engine, ZONE, Tally).fold(1000)
        await transaction(engine, swap)

    async def swap(connection: Any) -> None:
        gone = select(clicks.c.id).order_by(clicks.c.id).limit(3).scalar_subquery()
        await connection.execute(clicks.delete().where(clicks.c.id.in_(gone)))
        await connection.execute(update(bot_users).values(telegram_id=bot_users.c.telegram_id + 10_000))
        await connection.execute(update(starts).values(reply="sent"))
        await connection.execute(unerased.delete())
        await connection.execute(update(links).values(slug="renamed"))
        values = {"name": "x", "created_at": NOW}
        await connection.execute(insert(links).values(slug="promo", **values))

    compared = await moving(source, target, between=change)
    assert all(each.equal for each in compared)
    after = await contents(target)
    assert [row for row in after["clicks"] if row[0] == new.id]
    assert len(after["clicks"]) == 48
    assert min(row[1] for row in after["bot_users"]) > 10_000
    assert {row[1] for row in after["links"]} == {"promo", "renamed"}
    assert not after["unerased"]


@pytest.mark.parametrize(
    ("meddling", "table"),
    [
        (update(outbox).values(attempts=7), "outbox"),
        (delete(starts).where(starts.c.kind == "attributed"), "starts"),
        (insert(erasures).values(person_key=b"somebody", erased_at=1), "erasures"),
    ],
    ids=["changed", "deleted", "added"],
)
async def test_two_sides_that_differ_are_not_switched(
    source: str, target: str, meddling: Executable, table: str
) -> None:
    """Somebody has meddled with the target: SQLite goes on being written."""

    async def meddle(_: AsyncEngine) -> None:
        other = make_engine(target, patience=PATIENT)
        await transaction(other, lambda connection: connection.execute(meddling))
        await other.dispose()

    compared = await moving(source, target, between=meddle)
    assert [each.table for each in compared if not each.equal] == [table]
    engine = make_engine(source, patience=PATIENT)
    await SqlLedger(engine, person_key).put(bare_click(id=new_id(NOW + 9)))
    await engine.dispose()


async def test_a_moved_file_is_not_opened_and_a_program_that_has_it_open_cannot_write(
    source: str, target: str
) -> None:
    """Not as a record that is at fault: what cannot be written is deferred, not set aside."""
    open_before = make_engine(source, patience=PATIENT)
    ledger = SqlLedger(open_before, person_key)
    click = full_click(id=new_id(NOW + 77))
    await ledger.put(click)
    await moving(source, target)
    for attempt in (
        ledger.put(bare_click()),
        ledger.record_start(start_of(click), None),
        ledger.discard(click.id),
        ledger.probe(),
    ):
        with pytest.raises(StoreUnavailable, match=MOVED):
            await attempt
    await open_before.dispose()
    late = make_engine(source, patience=PATIENT)
    with pytest.raises(StoreUnavailable, match=MOVED):
        await SqlLedger(late, person_key).row(click.id)
    await late.dispose()


async def test_what_others_want_to_write_during_the_switch_is_refused_in_time_not_lost(
    source: str, target: str
) -> None:
    """SQLite is the command's from before the last change is read until nobody writes it again."""
    refused: list[str] = []
    under_way = [False]

    def at_once(step: str, _table: str, _rows: int) -> None:
        if under_way[0] and step == "copy":
            with closing(sqlite3.connect(source.partition(":///")[2], timeout=0.05)) as connection:
                try:
                    connection.execute("UPDATE catalog SET version = version")
                except sqlite3.OperationalError as error:
                    refused.append(str(error))

    engines = make_engine(source, patience=PATIENT), make_engine(target, patience=PATIENT)
    move = _move(*engines, told=at_once)
    await move.copy()
    assert await move.compare()
    under_way[0] = True
    assert all(each.equal for each in await move.switch())
    for engine in engines:
        await engine.dispose()
    assert set(refused) == {"database is locked"}


@pytest.mark.parametrize(("moment", "place"), PLACES)
def test_a_move_that_is_killed_anywhere_goes_on(
    trilha: Commands, source: str, target: str, place: str, moment: str
) -> None:
    """What came between the two is there as well, unless the switch had been made: then nothing can have come."""
    # A move that goes on tracks already.
    asyncio.run(_one_more(source) if place == "move_source.Source.track" else _write_while_copying(source))
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, moment, place], cwd=ROOT, env=dict(os.environ), check=False
    )
    assert ended.returncode == -signal.SIGKILL
    try:
        asyncio.run(_one_more(source))
    except StoreUnavailable:
        assert place == "move_target.Target.finish"
    said = json.loads(trilha("move", "--json").out)
    assert said["state"] == "moved"
    assert asyncio.run(contents(target)) == frozen(source)
    assert not asyncio.run(_left_behind(source, target))


async def _write_while_copying(source: str) -> None:
    """Changes are there to be brought over, whichever run it is: tracked since before the first row."""
    engine = make_engine(source, patience=PATIENT)
    await move_source.Source(engine).track("begun")
    await _one_more(source)
    await engine.dispose()


async def _one_more(source: str) -> None:
    engine = make_engine(source, patience=PATIENT)
    click: Click = full_click(id=new_id(NOW + 123))
    try:
        await SqlLedger(engine, person_key).settle([click], [start_of(click, 321)], [])
    finally:
        await engine.dispose()


async def _left_behind(source: str, target: str) -> list[str]:
    """Names of what a move makes for itself."""
    found = "SELECT name FROM sqlite_master WHERE name LIKE 'move\\_%' ESCAPE '\\'"
    with closing(sqlite3.connect(source.partition(":///")[2])) as connection:
        names = [name for (name,) in connection.execute(found)]
    engine = make_engine(target, patience=PATIENT)
    async with engine.connect() as connection:
        there = await connection.execute(
            text("SELECT tablename FROM pg_tables WHERE tablename LIKE 'trilha%'")
        )
        names += list(there.scalars())
        off = text("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'O'")
        names += list((await connection.execute(off)).scalars())
    await engine.dispose()
    return names


def test_a_dry_run_changes_nothing_on_either_side(trilha: Commands, source: str, postgres_url: str) -> None:
    trilha.set(move_to=postgres_url)
    file = Path(source.partition(":///")[2])
    before = asyncio.run(contents(source))
    said = json.loads(trilha("move", "--dry-run", "--json").out)
    assert said["state"] == "not begun"
    assert said["rows"]["clicks"] == 50
    assert asyncio.run(contents(source)) == before
    assert not asyncio.run(_left_behind(str(f"x:///{file}"), postgres_url))
    assert not asyncio.run(_tables(postgres_url))


async def _tables(url: str) -> int:
    engine = make_engine(url, patience=PATIENT)
    async with engine.connect() as connection:
        found = text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        answer = (await connection.execute(found)).scalar_one()
    await engine.dispose()
    return int(answer)


def test_a_copy_alone_tracks_what_comes_and_the_switch_takes_it_along(
    trilha: Commands, source: str, target: str
) -> None:
    assert json.loads(trilha("move", "--copy-only", "--json").out)["state"] == "copied"
    asyncio.run(_one_more(source))
    assert json.loads(trilha("move", "--dry-run", "--json").out)["state"] == "begun"
    assert "equal on both sides" in trilha("move").out
    assert asyncio.run(contents(target)) == frozen(source)


def test_repeating_a_finished_move_says_that_it_is_done(trilha: Commands) -> None:
    trilha("move")
    assert "TRILHA_SQL_URL" in trilha("move").out
    assert MOVED in trilha("link", "list", code=3).err


def test_an_abandoned_move_leaves_nothing_on_either_side_and_may_begin_again(
    trilha: Commands, source: str, target: str
) -> None:
    """Telegram ids are in the keys that are noted, and in the copy: who is erased later would not be erased there."""
    trilha("move", "--copy-only")
    asyncio.run(_one_more(source))
    assert json.loads(trilha("move", "--abandon", "--json").out) == {"state": "abandoned", "emptied": True}
    assert not asyncio.run(_left_behind(source, target))
    copied = asyncio.run(contents(target))
    assert {name for name, rows in copied.items() if rows} == {"catalog"}
    trilha("move")
    assert asyncio.run(contents(target)) == frozen(source)


def test_a_move_whose_target_is_gone_can_be_abandoned(trilha: Commands, source: str, target: str) -> None:
    trilha("move", "--copy-only")
    trilha.set(move_to="postgresql+asyncpg://nobody@127.0.0.1:1/none")
    assert "Drop the database" in trilha("move", "--abandon").out
    with closing(sqlite3.connect(source.partition(":///")[2])) as connection:
        assert not connection.execute("SELECT name FROM sqlite_master WHERE name GLOB 'move*'").fetchall()
    trilha.set(move_to=target)
    assert "part of another move" in trilha("move", code=2).err


async def test_who_is_erased_after_the_copy_is_erased_in_the_target_too(source: str, target: str) -> None:
    async def erase(engine: AsyncEngine) -> None:
        erased = await SqlErasures(engine).erase(5, person_key=person_key(5), at_ms=NOW + 10_000)
        assert (erased.clicks, erased.starts, erased.bot_users) == (1, 1, 1)

    assert all(each.equal for each in await moving(source, target, between=erase))
    after = await contents(target)
    columns = {"clicks": clicks.c.owner_telegram_id, "starts": starts.c.telegram_id}
    for name, column in (columns | {"bot_users": bot_users.c.telegram_id}).items():
        place = list(metadata.tables[name].c).index(column)
        people = {row[place] for row in after[name]}
        assert 6 in people, name
        assert 5 not in people, name
    assert person_key(5) in {row[0] for row in after["erasures"]}


async def test_clicks_lie_in_their_days_and_retention_drops_those(source: str, target: str) -> None:
    """Those that are out of time lie in the partition of before, and end row by row."""
    now = SystemClock().now_ms()
    ours = [new_id(now - days * DAY_MS) for days in (20, 3, 2, 0)]
    engine = make_engine(source, patience=PATIENT)
    for each in ours:
        await SqlLedger(engine, person_key).put(bare_click(id=each))
    await engine.dispose()
    await moving(source, target, click_days=10)
    engine = make_engine(target, patience=PATIENT)

    async def lie(connection: Any) -> list[str]:
        where = literal_column("clicks.tableoid::regclass::text")
        return list((await connection.execute(select(where).where(clicks.c.id.in_(ours)))).scalars())

    def days_ago(days: int) -> str:
        return name_of((now // DAY_MS - days) * DAY_MS)

    there = await transaction(engine, lie)
    assert sorted(there) == sorted(["clicks_before", days_ago(3), days_ago(2), days_ago(0)])
    retention = SqlRetention(engine)
    end = (now // DAY_MS - 2) * DAY_MS
    while await retention.aggregate_and_delete(end, 1000):
        pass
    while await retention.drop_oldest(end) is not None:
        pass
    left = await transaction(engine, lie)
    await engine.dispose()
    assert sorted(left) == sorted([days_ago(2), days_ago(0)])


async def test_two_who_move_to_the_same_place_are_one_too_many(source: str, target: str) -> None:
    engines = make_engine(source, patience=PATIENT), make_engine(target, patience=PATIENT)
    one, other = _move(*engines), _move(*engines)
    async with one.alone():
        with pytest.raises(ConfigError, match="another trilha move"):
            async with other.alone():
                pass
    async with other.alone():
        pass
    for engine in engines:
        await engine.dispose()


def test_a_target_with_rows_of_its_own_is_refused(trilha: Commands, target: str) -> None:
    engine = make_engine(target, patience=PATIENT)

    async def fill() -> None:
        await migrate(engine)
        await SqlLedger(engine, person_key).put(bare_click())
        await engine.dispose()

    asyncio.run(fill())
    assert "not empty" in trilha("move", code=2).err


def test_a_schema_of_another_version_is_refused(trilha: Commands, source: str) -> None:
    with closing(sqlite3.connect(source.partition(":///")[2])) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0008'")
        connection.commit()
    assert "trilha migrate" in trilha("move", code=2).err


def test_tracking_that_was_lost_is_noticed(trilha: Commands, source: str) -> None:
    """A later migration that rebuilds a table drops its triggers: what it changed is not known then."""
    trilha("move", "--copy-only")
    with closing(sqlite3.connect(source.partition(":///")[2])) as connection:
        connection.execute("DROP TRIGGER move_clicks_update")
        connection.commit()
    assert "--abandon" in trilha("move", code=2).err


def test_a_value_that_postgresql_does_not_take_is_named_and_not_shown(trilha: Commands, source: str) -> None:
    with closing(sqlite3.connect(source.partition(":///")[2])) as connection:
        connection.execute("UPDATE clicks SET city = ? WHERE city IS NULL", ("secret" * 50,))
        connection.commit()
    said = trilha("move", code=2).err
    assert "clicks.city" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "url", ["postgresql+asyncpg://u:hunter2@h/d", "postgresql+asyncpg://u@h/d?password=hunter2"]
)
def test_a_password_among_the_arguments_is_refused_and_not_repeated(trilha: Commands, url: str) -> None:
    said = trilha("move", url, code=2).err
    assert "TRILHA_MOVE_TO" in said
    assert "hunter2" not in said


def test_a_file_with_the_target_has_to_be_its_owners_alone(
    trilha: Commands, target: str, tmp_path: Path
) -> None:
    trilha.set(move_to="")
    file = tmp_path / "target"
    file.write_text(target + "\n")
    file.chmod(0o644)
    assert "chmod 600" in trilha("move", "--target-file", str(file), code=2).err
    file.chmod(0o600)
    trilha("move", "--target-file", str(file), "--dry-run")
    assert "TRILHA_MOVE_TO" in trilha("move", code=2).err


def test_a_target_that_does_not_answer_is_an_error_of_stores(trilha: Commands) -> None:
    trilha.set(move_to="postgresql+asyncpg://nobody@127.0.0.1:1/none")
    trilha("move", code=3)


async def test_nothing_to_move_is_a_mistake_of_configuration(trilha: Commands, target: str) -> None:
    trilha.set(sql_url=target)
    assert "nothing to move from" in trilha("move", code=2).err
