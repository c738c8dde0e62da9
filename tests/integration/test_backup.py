"""What a backup brings back, from which schema and how old, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import backends.backup
from analytics.tally import Tally
from backends.backup_replacing import ASIDE, Replacing
from backends.codec import encode
from backends.sql.engine import make_engine, transaction
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.migrate import FOLDER, migrate, newest
from backends.sql.partitions import DAY_MS, SqlPartitions, partitions
from backends.sql.rollups import SqlRollups
from backends.sql.schema import bot_users, clicks, outbox
from backends.sql.tables import metadata
from chaos.servers import PostgresServer
from domain.clock import SystemClock
from privacy.erasure_journal import ErasureJournal
from privacy.keyring import Keyring
from runtime.settings import load_settings
from tests.commands import Commands
from tests.making import PATIENT, full_click, make_spool, new_id, person_key, start_of

ROOT = Path(__file__).parents[2]
ZONE = "America/Sao_Paulo"
CLOCK = SystemClock()
BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
PHRASE = "cavalo correto bateria"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a key ring."""
    made = tmp_path / "home"
    made.mkdir(mode=0o700)
    Keyring.create(made / "secrets" / "keyring.json", CLOCK)
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Each SQL that there is, with our tables, empty."""
    name = "sqlite_tables" if request.param == "sqlite" else "postgres_tables"
    found: str = request.getfixturevalue(name)
    return found


@pytest.fixture
def trilha(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
) -> Callable[[str], Commands]:
    """An operator of that home and of the database that one names."""
    # It would be this process, with all tests to come, that gives way.
    monkeypatch.setattr("cli.backup.give_way", lambda: None)
    return lambda url: Commands(monkeypatch, capsys, home_dir=str(home), sql_url=url, redis_url="")


def on(url: str, work: Callable[[AsyncEngine], Awaitable[Any]]) -> Any:
    """What that work on a database returns."""

    async def whole() -> Any:
        engine = make_engine(url, patience=PATIENT)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(whole())


async def fill(engine: AsyncEngine) -> None:
    """A link, clicks of now and of two days ago, starts of half of them, and a part of the changes folded."""
    catalog = SqlCatalog(engine, CLOCK)
    await catalog.add_bot("first_bot")
    await catalog.add_link("promo", bot="first_bot", pixel="1234567890")
    now = CLOCK.now_ms()
    await SqlPartitions(engine).make_ahead(now)
    came = [full_click(id=new_id(now - n % 3 * DAY_MS - n), link_id=1) for n in range(30)]
    own = [start_of(each, n, at_ms=now) for n, each in enumerate(came[:15], 1)]
    await SqlLedger(engine, person_key).settle(came, own, [])
    await SqlRollups(engine, ZONE, Tally).fold(20)


async def contents(engine: AsyncEngine) -> dict[str, list[Any]]:
    async with engine.connect() as connection:
        return {
            table.name: sorted((tuple(row) for row in await connection.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
        }


async def parts(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return list(await partitions(connection))


async def schemas(engine: AsyncEngine) -> set[str]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT nspname FROM pg_namespace"))
        return set(found.scalars())


async def go_on(engine: AsyncEngine) -> None:
    """What comes after the backup: a day more, a click, a person."""
    now = CLOCK.now_ms()
    await SqlPartitions(engine).make_ahead(now + 5 * DAY_MS)
    click = full_click(id=new_id(now), link_id=1)
    await SqlLedger(engine, person_key).settle([click], [start_of(click, 999, at_ms=now)], [])


@pytest.mark.parametrize("into", ["empty", "what is there"])
def test_all_of_it_is_back_with_its_partitions_and_what_looks_after_it_is_content(
    url: str, into: str, trilha: Callable[[str], Commands], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    run, archive = trilha(url), tmp_path / "one.tar.gz"
    on(url, fill)
    before, days = on(url, contents), on(url, parts)
    run("backup", str(archive))
    if into == "empty":
        url = empty(url, tmp_path, request)
        run.set(sql_url=url)
        run("restore", str(archive))
    else:
        on(url, go_on)
        assert on(url, contents) != before
        assert "is not empty" in run("restore", str(archive), code=2).err
        run("restore", str(archive), "--force")
    assert on(url, contents) == before
    assert on(url, parts) == days
    if url.startswith("postgresql"):
        assert ASIDE not in on(url, schemas)
    assert json.loads(run("rollups", "check", "--json").out)["differences"] == []
    run("privacy", "retention", "--now")
    # Its pixel has no token, and had none before.
    failed = [each for each in json.loads(run("doctor", "--json", code=1).out) if each["verdict"] == "failed"]
    assert [each["check"] for each in failed] == ["delivery"]
    on(url, go_on)
    assert json.loads(run("rollups", "check", "--json").out)["differences"] == []
    assert len(on(url, contents)["clicks"]) == 31


def test_a_database_into_which_the_backup_does_not_come_is_what_it_was(
    postgres_tables: str, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    """pg_restore fails: its tables, functions and triggers are there again, and work."""
    run, archive = trilha(postgres_tables), tmp_path / "one.tar.gz"
    on(postgres_tables, fill)
    run("backup", str(archive))
    before, days = on(postgres_tables, contents), on(postgres_tables, parts)
    failing = tmp_path / "pg_restore"
    failing.write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    failing.chmod(0o700)
    words = ("restore", str(archive), "--force", "--pg-restore", str(failing))
    assert "no room" in run(*words, code=3).err
    assert (on(postgres_tables, contents), on(postgres_tables, parts)) == (before, days)
    assert ASIDE not in on(postgres_tables, schemas)
    on(postgres_tables, go_on)
    run("rollups", "check")


def test_a_restore_that_was_killed_is_begun_again(
    postgres_tables: str, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    """It had put what was there aside, and no further did it come."""
    run, archive = trilha(postgres_tables), tmp_path / "one.tar.gz"
    on(postgres_tables, fill)
    before = on(postgres_tables, contents)
    run("backup", str(archive))
    on(postgres_tables, lambda engine: Replacing(engine).put_aside())
    run("restore", str(archive), "--force")
    assert on(postgres_tables, contents) == before
    assert ASIDE not in on(postgres_tables, schemas)


def empty(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Another database of that kind, with nothing in it."""
    if url.startswith("sqlite"):
        return f"sqlite+aiosqlite:///{tmp_path / 'another.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    name = url.rpartition("/")[2].partition("?")[0] + "_restored"
    request.addfinalizer(lambda: server.drop_database(name))
    return server.create_database(name)


@pytest.mark.parametrize("version", ["0008", "0009"])
@pytest.mark.parametrize("kind", ["sqlite_url", "postgres_url"])
def test_a_backup_of_an_older_schema_is_brought_up_to_date_even_over_a_newer_one(
    kind: str, version: str, trilha: Callable[[str], Commands], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url: str = request.getfixturevalue(kind)
    run, archive = trilha(url), tmp_path / "one.tar.gz"
    on(url, lambda engine: transaction(engine, lambda connection: connection.run_sync(_upgrade, version)))
    click = new_id(CLOCK.now_ms())

    async def old(connection: AsyncConnection) -> None:
        await connection.execute(insert(clicks).values(id=click, link_id=1, node=0, ad_key=bytes(8)))

    on(url, lambda engine: transaction(engine, old))
    run("backup", str(archive))
    on(url, migrate)
    done = json.loads(run("restore", str(archive), "--force", "--json").out)
    assert (done["schema_before"], done["schema"]) == (version, newest())
    assert [row[0] for row in on(url, contents)["clicks"]] == [click]
    assert not [each for each in json.loads(run("doctor", "--json").out) if each["verdict"] == "failed"]


def _upgrade(connection: Any, version: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def test_tables_of_a_later_trilha_are_not_replaced(
    postgres_tables: str, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    run, archive = trilha(postgres_tables), tmp_path / "one.tar.gz"
    on(postgres_tables, fill)
    run("backup", str(archive))
    later = text("UPDATE alembic_version SET version_num = '9999'")
    on(postgres_tables, lambda engine: transaction(engine, lambda connection: connection.execute(later)))
    assert "a later Trilha" in run("restore", str(archive), "--force", code=2).err


@pytest.mark.parametrize(("hours", "states"), [(46, {"pending"}), (48, {"skipped"})])
def test_what_waited_at_a_backup_of_two_days_ago_is_skipped_and_says_why(
    hours: int,
    states: set[str],
    sqlite_tables: str,
    trilha: Callable[[str], Commands],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, archive = trilha(sqlite_tables), tmp_path / "one.tar.gz"
    on(sqlite_tables, fill)

    class Then(SystemClock):
        def now_ms(self) -> int:
            return super().now_ms() - hours * 3_600_000

    with monkeypatch.context() as patch:
        patch.setattr("cli.backup.CLOCK", Then())
        run("backup", str(archive))
    done = json.loads(run("restore", str(archive), "--force", "--json").out)
    wanted = select(outbox.c.state, outbox.c.reason).where(outbox.c.lane == "meta/1234567890")

    async def read(engine: AsyncEngine) -> list[Any]:
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(wanted)]

    rows = on(sqlite_tables, read)
    assert {state for state, _ in rows} == states
    assert (done["not_sent"], done["waiting"]) == ((15, 0) if states == {"skipped"} else (0, 15))
    if states == {"skipped"}:
        assert all("may have been sent since" in reason for _, reason in rows)


def test_bots_ask_again_from_where_the_backup_was_and_keep_their_sessions(
    sqlite_tables: str, home: Path, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    run, archive = trilha(sqlite_tables), tmp_path / "one.tar.gz"
    run("backup", str(archive))
    folder = load_settings({"TRILHA_HOME_DIR": str(home)}).bot_sessions
    folder.mkdir(mode=0o700, parents=True)
    for name in ("a_bot.state", "b_bot.state", "a_bot.session"):
        (folder / name).touch(mode=0o600)
    done = json.loads(run("restore", str(archive), "--force", "--json").out)
    assert done["bots"] == 2
    assert {path.name for path in folder.iterdir()} >= {"a_bot.session"}
    assert not [*folder.glob("*.state")]


def test_who_was_erased_after_the_backup_is_erased_again_and_no_start_of_theirs_is_taken(
    url: str, home: Path, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    run, archive = trilha(url), tmp_path / "one.tar.gz"
    on(url, fill)
    run("backup", str(archive))
    ring = home / "secrets" / "keyring.json"
    digest = Keyring(ring, CLOCK).person_key(3)
    ErasureJournal.beside(ring).add({digest: CLOCK.now_ms()})
    done = json.loads(run("restore", str(archive), "--force", "--json").out)
    after = on(url, contents)
    assert done["erased_again"] == 1
    assert 3 not in {row.telegram_id for row in on(url, people)}
    assert digest in {row[0] for row in after["erasures"]}
    assert len(after["bot_users"]) == 14


async def people(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return list((await connection.execute(select(bot_users))).all())


HOLDING = """
import asyncio, sys
from sqlalchemy import text
from backends.sql.engine import make_engine
async def hold():
    engine = make_engine(sys.argv[1], patience=9)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT count(*) FROM links"))
    print("there", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await engine.dispose()
asyncio.run(hold())
"""


def test_nothing_is_restored_while_somebody_has_the_database_open(
    url: str, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    """As the dashboard has, which holds no lock of ours: with a connection in its pool that does nothing."""
    run, archive = trilha(url), tmp_path / "one.tar.gz"
    on(url, fill)
    run("backup", str(archive))
    before = on(url, contents)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDING, url], cwd=ROOT, **pipes) as somebody:  # type: ignore[call-overload]
        assert somebody.stdout.readline() == "there\n"
        refused = run("restore", str(archive), "--force", code=2).err
        somebody.stdin.close()
    assert "Stop everything before a restore" in refused
    assert on(url, contents) == before
    run("restore", str(archive), "--force")


@pytest.mark.parametrize(("command", "program"), [("backup", "pg_dump"), ("restore", "pg_restore")])
def test_without_postgresqls_programs_one_is_told_what_to_do(
    command: str,
    program: str,
    postgres_tables: str,
    trilha: Callable[[str], Commands],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, archive = trilha(postgres_tables), tmp_path / "one.tar.gz"
    on(postgres_tables, fill)
    if command == "restore":
        run("backup", str(archive))
    before = on(postgres_tables, contents)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = (command, str(archive), *(("--force",) if command == "restore" else ()))
    said = run(*words, code=2).err
    assert f"{program} is not on this machine" in said
    assert f"--{program.replace('_', '-')}" in said
    assert archive.exists() is (command == "restore")
    assert on(postgres_tables, contents) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_keys_are_not_put_in_the_place_of_a_ring_and_another_ring_is_refused(
    sqlite_tables: str, home: Path, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    run, archive, copy, phrase = (
        trilha(sqlite_tables),
        tmp_path / "a.tar.gz",
        tmp_path / "keys",
        tmp_path / "p",
    )
    phrase.write_text(PHRASE)
    phrase.chmod(0o600)
    given = ("--passphrase-file", str(phrase))
    run("backup", str(archive), "--with-keys", str(copy), *given)
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    ring = home / "secrets" / "keyring.json"
    before = ring.read_bytes()
    refused = run("restore", str(archive), "--force", "--keys", str(copy), *given, code=2)
    assert "never overwritten" in refused.err
    assert ring.read_bytes() == before
    run("restore", str(archive), "--force")
    ring.unlink()
    Keyring.create(ring, CLOCK)
    assert "belongs to the key ring" in run("restore", str(archive), "--force", code=2).err


def test_a_disk_that_is_full_leaves_no_archive(
    sqlite_tables: str, home: Path, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    run, folder = trilha(sqlite_tables), tmp_path / "backups"
    folder.mkdir()
    on(sqlite_tables, fill)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
        said = run("backup", str(folder), code=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "SQL cannot be copied" in said.err
    assert [*folder.iterdir()] == []


def test_a_folder_that_is_not_there_is_no_name_for_an_archive(
    sqlite_tables: str, trilha: Callable[[str], Commands], tmp_path: Path
) -> None:
    said = trilha(sqlite_tables)("backup", f"{tmp_path}/backups/", code=2)
    assert "Make it with: mkdir -p" in said.err
    assert not [*tmp_path.glob("backups*")]


def test_a_click_that_is_settled_while_the_backup_runs_is_in_it(
    sqlite_tables: str,
    home: Path,
    trilha: Callable[[str], Commands],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It leaves the spool, with its COMMIT, between the two copies: it has to be in one of them."""
    run, archive = trilha(sqlite_tables), tmp_path / "one.tar.gz"
    on(sqlite_tables, fill)
    spools = home / "spool"
    spools.mkdir(mode=0o700, exist_ok=True)
    spool = make_spool(spools / "daemon-1")
    click = full_click(id=new_id(CLOCK.now_ms()), link_id=1)
    spool.append([(click, encode(click))])
    copies: list[str] = []

    def settled_after_the_first(real: Callable[..., Any]) -> Callable[..., Any]:
        def copying(*given: Any) -> Any:
            done = real(*given)
            copies.append(real.__name__)
            if len(copies) == 1:
                on(sqlite_tables, lambda engine: SqlLedger(engine, person_key).settle([click], [], []))
                spool.trim(spool.newest(9))
            return done

        return copying

    for name in ("copy_spool", "copy_database"):
        monkeypatch.setattr(backends.backup, name, settled_after_the_first(getattr(backends.backup, name)))
    run("backup", str(archive))
    spool.close()
    assert len(copies) == 2
    monkeypatch.undo()
    run = trilha(sqlite_tables)
    done = json.loads(run("restore", str(archive), "--force", "--json").out)
    there = {row[0] for row in on(sqlite_tables, contents)["clicks"]}
    assert click.id in there or done["spools"] == 1


def test_the_commands_of_the_guide_do_what_it_says(
    sqlite_tables: str, trilha: Callable[[str], Commands], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    guide = (ROOT / "docs" / "how-to" / "back-up-and-restore.md").read_text()
    lines = [line.partition("#")[0].split() for block in BLOCKS.findall(guide) for line in block.splitlines()]
    assert [words[:2] for words in lines] == [["trilha", "backup"]] * 2 + [["trilha", "restore"]]
    run, folder = trilha(sqlite_tables), tmp_path / "backups"
    folder.mkdir()
    on(sqlite_tables, fill)
    before = on(sqlite_tables, contents)
    url = empty(sqlite_tables, tmp_path, request)
    for words in lines:
        archive = next(iter(folder.glob("trilha-*T*Z.tar.gz")), folder)
        run.set(sql_url=url if "restore" in words else sqlite_tables)
        run(*({"/backups/": str(folder), "FILE": str(archive)}.get(word, word) for word in words[1:]))
    assert on(url, contents) == before
