"""The history of another tracker comes in once, on its days, and nothing of it is sent or kept in the clear."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select, text

from backends.sql.engine import make_engine
from backends.sql.import_source import SourceRow
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.reconcile import SqlReconciler
from backends.sql.retention import SqlRetention
from backends.sql.schema import bot_users, clicks, links, outbox, starts, webhooks
from backends.sql.tables import metadata
from daemon.history import History, Past
from daemon.worker import work
from domain.books import IMPORTED_NODE
from domain.clock import SystemClock
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from runtime.settings import load_settings
from tests.commands import Commands
from tests.making import PATIENT, full_click, new_id, start_of

ROOT = Path(__file__).parents[2]
CLOCK = SystemClock()
NOW = CLOCK.now_ms()
ZONE = ZoneInfo("America/Sao_Paulo")
HOUR, DAY = 3_600_000, 86_400_000
AGENT = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "Instagram 334.0.0 Secret-{}"
)
ANA, BIA, CAI, DUDA = 0x5A_C39E_71B4, 77_001, 77_002, 77_003
COLUMNS = (
    *("id", "telegram_id", "username", "first_name", "ip_address", "user_agent", "tracking_session_id"),
    *("click_timestamp", "created_at", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term"),
    "fbclid",
)
KILLED = """
import os, signal, sys
from functools import wraps
import backends.sql.ledger as ledger
real, moment, left = ledger.SqlLedger.settle, sys.argv[1], [int(sys.argv[2])]
@wraps(real)
async def killed(*args, **more):
    left[0] -= 1
    if moment == "before" and not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    await real(*args, **more)
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
ledger.SqlLedger.settle = killed
sys.argv[:] = ["trilha", *sys.argv[3:]]
from cli.main import run
run()
"""


def local(at_ms: int) -> str:
    """As the other tracker wrote it: the time of Brazil, without saying so."""
    return f"{datetime.fromtimestamp(at_ms / 1000, ZONE):%Y-%m-%d %H:%M:%S.%f}"


def row(number: int, **cells: Any) -> dict[str, Any]:
    """A row of a young click, with what is not as usual."""
    return (
        dict.fromkeys(COLUMNS)
        | {
            "id": number,
            "username": "somebody_secret",
            "first_name": "Ana Secret 🚀",
            "ip_address": f"203.0.113.{number}",
            "user_agent": AGENT.format(number),
            "tracking_session_id": f"session-secret-{number}",
            "click_timestamp": local(NOW - HOUR),
            "created_at": local(NOW - HOUR + 60_000),
            "utm_source": "fb",
            "utm_campaign": "Verão 🚀",
            "fbclid": f"IwAR0secret{number}",
        }
        | cells
    )


OLD = NOW - 40 * DAY
DIRTY = [
    row(1, telegram_id=ANA),
    row(2, telegram_id=ANA, click_timestamp=local(OLD), created_at=local(OLD + 5000)),
    row(3, telegram_id=BIA, click_timestamp=OLD // 1000, created_at=None, ip_address="2001:db8::77"),
    row(4, telegram_id=CAI, click_timestamp=OLD, created_at="", user_agent="", fbclid=""),
    row(5, click_timestamp=f"{datetime.fromtimestamp(OLD / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"),
    row(6, telegram_id="", click_timestamp="", created_at=local(OLD), utm_source="", utm_campaign=""),
    row(7, telegram_id=-100_123),
    row(8, telegram_id="eve@example.com"),
    row(9, telegram_id=BIA, click_timestamp="yesterday", created_at="soon"),
    row(10, telegram_id=BIA, click_timestamp=NOW + 9 * DAY),
    row(11, telegram_id=BIA, click_timestamp=local(NOW - 500 * DAY)),
    row(12, telegram_id=DUDA, ip_address="999.1.1.1, oops", utm_campaign="🚀" * 10_000_000, utm_term="a\tb"),
    row(13, telegram_id=DUDA, user_agent="x" * 10_000_000, ip_address="198.51.100.13, 10.0.0.1"),
    row(14, telegram_id=2**60),
    row(15, telegram_id=str(CAI), click_timestamp=local(OLD), created_at=local(OLD - DAY)),
]
REFUSED = {
    "not a person's Telegram id": 3,
    "no time that can be read": 1,
    "in the future": 1,
    "older than TRILHA_CLICK_DAYS": 1,
}
SECRETS = [
    *(f"203.0.113.{n}" for n in range(1, 16)),
    *(
        "2001:db8::77",
        "198.51.100.13",
        "999.1.1.1",
        "Secret-",
        "xxxxxxxx",
        "somebody_secret",
        "Ana Secret",
        "session-secret",
        "IwAR0secret",
        "eve@example.com",
    ),
]


def fill_sqlite(file: Path, rows: list[dict[str, Any]]) -> str:
    """A table whose columns take whatever comes, as SQLite's do."""
    with closing(sqlite3.connect(file)) as connection:
        others = ", ".join(COLUMNS[1:])
        connection.execute(f"CREATE TABLE BotUser (id INTEGER PRIMARY KEY, {others})")
        marks = ", ".join(f":{name}" for name in COLUMNS)
        connection.executemany(f"INSERT INTO BotUser VALUES ({marks})", rows)
        connection.commit()
    return f"sqlite:///{file}"


def fill_postgres(url: str, rows: list[dict[str, Any]]) -> str:
    async def fill() -> None:
        engine = make_engine(url, patience=PATIENT)
        texts = ", ".join(f"{name} text" for name in COLUMNS[1:])
        marks = ", ".join(f":{name}" for name in COLUMNS)
        async with engine.begin() as connection:
            await connection.execute(text(f"CREATE TABLE bot_users (id bigint PRIMARY KEY, {texts})"))
            for each in rows:
                values = {name: None if v is None or name == "id" else str(v) for name, v in each.items()}
                await connection.execute(
                    text(f"INSERT INTO bot_users VALUES ({marks})"), values | {"id": each["id"]}
                )
        await engine.dispose()

    asyncio.run(fill())
    return url.replace("postgresql+asyncpg", "postgresql")


@dataclass(frozen=True, slots=True)
class Place:
    """A Trilha with a link and a bot, and another tracker's database."""

    trilha: Commands
    source: tuple[str, ...]
    sql: str
    home: Path
    folder: Path

    def bring(self, *more: str, code: int = 0) -> Any:
        """An import, and what it says as JSON."""
        words = ("import", *self.source, "--link", "promo", "--bot", "first_bot", "--json", *more)
        return json.loads(self.trilha(*words, code=code).out)

    def rows(self, table: Any) -> list[Any]:
        async def read() -> list[Any]:
            engine = make_engine(self.sql, patience=PATIENT)
            async with engine.connect() as connection:
                found = list((await connection.execute(select(table))).all())
            await engine.dispose()
            return sorted(found, key=repr)

        return asyncio.run(read())

    def contents(self) -> dict[str, list[Any]]:
        return {table.name: self.rows(table) for table in metadata.sorted_tables}


def _prepare(sql: str, home: Path) -> None:
    async def prepare() -> None:
        engine = make_engine(sql, patience=PATIENT)
        catalog = SqlCatalog(engine, CLOCK)
        await catalog.add_bot("first_bot")
        await catalog.add_bot("other_bot")
        await catalog.add_link("promo", bot="first_bot", pixel="1234567890")
        hook = {"name": "shop", "url": "https://shop.example/", "secret": b"x", "created_at": NOW}
        async with engine.begin() as connection:
            await connection.execute(links.update().values(events_off=""))
            await connection.execute(webhooks.insert().values(hook))
        await engine.dispose()

    Keyring.create(home / "secrets" / "keyring.json", CLOCK)
    asyncio.run(prepare())


def _place(patch: pytest.MonkeyPatch, capture: Any, folder: Path, sql: str, source: tuple[str, ...]) -> Place:
    home = folder / "home"
    _prepare(sql, home)
    trilha = Commands(patch, capture, home_dir=str(home), sql_url=sql)
    return Place(trilha=trilha, source=source, sql=sql, home=home, folder=folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Place:
    """Both sides are of one kind; the source is a database of its own."""
    if request.param == "sqlite":
        sql = request.getfixturevalue("sqlite_tables")
        source: tuple[str, ...] = (fill_sqlite(tmp_path / "old.db", DIRTY),)
    else:
        sql = request.getfixturevalue("postgres_tables")
        file = tmp_path / "source"
        file.write_text(fill_postgres(request.getfixturevalue("postgres_url"), DIRTY) + "\n")
        file.chmod(0o600)
        source = ("--source-file", str(file))
    return _place(monkeypatch, capsys, tmp_path, sql, source)


@pytest.fixture
def lite(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sqlite_tables: str,
    tmp_path: Path,
) -> Place:
    source = fill_sqlite(tmp_path / "old.db", DIRTY)
    return _place(monkeypatch, capsys, tmp_path, sqlite_tables, (source,))


def test_each_row_is_a_click_and_its_start_and_what_is_bad_is_refused_by_its_id(place: Place) -> None:
    said = place.bring(code=1)
    assert said["refused"] == REFUSED
    assert said["refused_rows"]["not a person's Telegram id"] == ["7", "8", "14"]
    assert said["notes"] == {"no address that can be read": 1, "started before the click": 1}
    assert (said["rows"], said["clicks"], said["new"], said["starts"]) == (15, 9, 9, 7)
    assert said["left_out"] == ["username", "first_name", "tracking_session_id"]
    found = {(each.clicked_at, each.owner_telegram_id): each for each in place.rows(clicks)}
    second = OLD // 1000 * 1000
    assert found.keys() >= {
        (OLD, ANA), (second, BIA), (OLD, CAI), (second, None), (OLD, None), (NOW - HOUR, DUDA), (NOW - HOUR, ANA),
    }  # fmt: skip
    assert found[OLD, ANA].started_at == OLD + 5000
    assert {each.node for each in found.values()} == {IMPORTED_NODE}
    assert {each.kind for each in place.rows(starts)} == {"attributed"}
    ana = next(each for each in place.rows(bot_users) if each.telegram_id == ANA)
    assert (ana.first_click_id, ana.last_click_id) == (found[OLD, ANA].id, found[NOW - HOUR, ANA].id)
    assert found[OLD, ANA].params == {"utm_source": "fb", "utm_campaign": "Verão 🚀"}
    assert max(len(each.params.get("utm_campaign", "")) for each in place.rows(clicks)) == 500


def test_what_is_young_is_sealed_and_what_is_old_is_enriched_and_dropped(lite: Place) -> None:
    said = lite.bring(code=1)
    young, old = [], []
    for each in lite.rows(clicks):
        (young if each.clicked_at == NOW - HOUR else old).append(each)
    sealer = Sealer(Keyring(lite.home / "secrets" / "keyring.json", CLOCK))
    opened = [sealer.open(each.sealed, each.id) for each in young]
    assert {each.ip for each in opened if each} == {"203.0.113.1", "", "198.51.100.13"}
    assert all(each.sealed is None and each.visitor_key is None for each in old)
    assert said["with_original"] == len(young) == 3
    assert [each.app for each in old if each.owner_telegram_id == ANA] == ["Instagram"]
    without = next(each for each in old if each.owner_telegram_id == CAI and not each.fbclid_key)
    assert (without.traffic_class, without.evidence) == ("unknown", ["user agent not kept"])


@pytest.mark.parametrize(("days", "sealed"), [(0, True), (6, True), (8, False)])
def test_a_key_that_is_there_longer_than_originals_live_makes_visitor_keys_and_seals_nothing(
    tmp_path: Path, days: int, *, sealed: bool
) -> None:
    ring = Keyring.create(tmp_path / "keyring.json", CLOCK)
    history = History(
        pseudonymiser=Pseudonymiser(ring, Sealer(ring)),
        mac=ring.mac(ring.import_key()),
        source="old.db",
        table="BotUser",
        link_id=1,
        bots={},
        bot=1,
        zone=UTC,
        now_ms=CLOCK.now_ms() + days * DAY,
        click_ms=400 * DAY,
        sealed_ms=7 * DAY,
    )
    cells = {"clicked_at": str(CLOCK.now_ms()), "ip": "203.0.113.1", "user_agent": AGENT}
    past = history.of(SourceRow(1, cells))
    assert isinstance(past, Past)
    assert past.click.visitor_key is not None
    assert (past.click.sealed is not None) is sealed
    assert "203.0.113.1" not in repr(past)


def test_twice_is_once(place: Place) -> None:
    place.bring(code=1)
    before = place.contents()
    again = place.bring(code=1)
    assert (again["clicks"], again["new"], again["resumed"]) == (9, 0, False)
    assert place.contents() == before


@pytest.mark.parametrize(
    ("moment", "call"), [("before", 1), ("after", 1), ("before", 2), ("after", 2), ("after", 4)]
)
def test_an_import_that_is_killed_goes_on_and_gives_what_it_would_have_given(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sqlite_tables: str,
    tmp_path: Path,
    moment: str,
    call: int,
) -> None:
    rows = [row(n, telegram_id=n % 90 + 1, click_timestamp=OLD + n * 1000) for n in range(1, 101)]
    source = fill_sqlite(tmp_path / "old.db", rows)
    place = _place(monkeypatch, capsys, tmp_path, sqlite_tables, (source,))
    place.trilha.set(settle_batch="25")
    words = ("import", source, "--link", "promo", "--bot", "first_bot")
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, moment, str(call), *words], cwd=ROOT, env=dict(os.environ), check=False
    )
    assert ended.returncode == -signal.SIGKILL
    left = len(place.rows(clicks))
    assert left == 25 * (call if moment == "after" else call - 1)
    said = place.bring()
    assert (said["resumed"], said["new"]) == (call > 1, 100 - left)
    assert said["rows"] == 100 - 25 * (call - 1), "what was done before the last checkpoint is not read again"
    found = place.rows(clicks)
    assert sorted(each.clicked_at for each in found) == [OLD + n * 1000 for n in range(1, 101)]
    assert {each.owner_telegram_id for each in found} == set(range(1, 91))
    assert len(place.rows(starts)) == 100
    assert len(place.rows(outbox)) == 200


def test_nothing_of_it_is_ever_due_whatever_the_link_reports_later(place: Place) -> None:
    place.bring(code=1)

    async def look() -> tuple[list[str], int]:
        engine = make_engine(place.sql, patience=PATIENT)
        due = await SqlOutbox(engine).due(NOW + 3650 * DAY)
        missing = await SqlReconciler(engine).missing(0, NOW + DAY, None, 1000)
        await engine.dispose()
        return due, len(missing.missing)

    assert asyncio.run(look()) == ([], 0)
    assert "imported" in place.trilha("outbox", "list", "--state", "skipped").out
    assert "due once more: 0" in place.trilha("outbox", "retry", "--state", "skipped", code=1).out
    found = place.rows(outbox)
    assert {(each.state, each.reason, each.lane) for each in found} == {("skipped", "imported", "")}
    assert sorted(each.event for each in found) == ["PageView"] * 9 + ["ViewContent"] * 7


async def _work(settings: Any) -> None:
    stop = asyncio.Event()
    await work(settings, CLOCK, stop, started=stop.set)


def test_a_worker_afterwards_sends_nothing_and_keeps_what_came(lite: Place) -> None:
    lite.bring(code=1)
    before = {each.id for each in lite.rows(clicks)}
    asyncio.run(_work(load_settings(os.environ)))
    assert {each.id for each in lite.rows(clicks)} == before
    assert {(each.state, each.attempts, each.sent_at) for each in lite.rows(outbox)} == {("skipped", 0, None)}


def test_the_books_balance_and_say_what_was_imported(lite: Place) -> None:
    lite.bring(code=1)
    books = json.loads(lite.trilha("accounting", "--since", "60d", "--json").out)
    assert (books["balanced"], books["imported"], books["direct"], books["issued"]) == (True, 9, 0, 0)
    assert "imported               9" in lite.trilha("accounting", "--since", "60d").out


def test_the_report_has_them_on_their_days(lite: Place) -> None:
    lite.bring(code=1)
    lite.trilha("rollups", "fold")
    assert json.loads(lite.trilha("rollups", "check", "--json").out)["differences"] == []
    day = f"{datetime.fromtimestamp(OLD / 1000, ZONE):%Y-%m-%d}"
    said = json.loads(lite.trilha("report", "--since", day, "--until", day, "--json").out)
    assert (said["clicks"]["clicks"], said["clicks"]["starts"]) == (6, 4)


def test_a_person_is_found_exported_and_erased_and_does_not_come_back(lite: Place) -> None:
    lite.bring(code=1)
    whole = json.loads(lite.trilha("privacy", "export", "--telegram-id", str(ANA)).out)
    assert (len(whole["clicks"]), len(whole["starts"])) == (2, 2)
    assert "203.0.113.1" in json.dumps(whole), "what is still kept of her is hers to have"
    done = json.loads(lite.trilha("privacy", "erase", "--telegram-id", str(ANA), "--json").out)
    assert (done["erased"]["clicks"], done["erased"]["bot_users"]) == (2, 1)
    again = lite.bring(code=1)
    assert again["new"] == 0
    assert not [each for each in lite.rows(starts) if each.telegram_id == ANA]
    assert [each.owner_telegram_id for each in lite.rows(clicks) if each.erased_at] == [None, None]


def test_nothing_raw_is_in_any_file_nor_said_and_the_source_is_as_it_was(lite: Place) -> None:
    file = lite.folder / "old.db"
    before = hashlib.sha256(file.read_bytes()).digest()
    lite.bring(code=1)
    lite.trilha("import", *lite.source, "--link", "promo", "--bot", "first_bot", code=1)
    assert hashlib.sha256(file.read_bytes()).digest() == before
    kept = b"".join(
        each.read_bytes() for each in lite.folder.rglob("*") if each.is_file() and each.name != "old.db"
    )
    assert b"promo" in kept
    for secret in SECRETS:
        assert secret.encode() not in kept
        assert secret not in lite.trilha.said


def test_a_dry_run_says_the_same_and_changes_nothing(place: Place) -> None:
    before = place.contents()
    said = place.bring("--dry-run", code=1)
    assert place.contents() == before
    assert not (place.home / "imports").exists()
    real = place.bring(code=1)
    assert said.pop("state") == "dry run"
    assert real.pop("state") == "imported"
    assert said == real


def test_times_with_other_clocks_are_refused_once_some_have_come(lite: Place) -> None:
    """They would be other clicks."""
    lite.bring(code=1)
    words = ("import", *lite.source, "--link", "promo", "--bot", "first_bot", "--source-timezone")
    assert "another timezone" in lite.trilha(*words, "UTC", code=2).err
    assert "no time zone" in lite.trilha(*words, "Mars/Olympus", code=2).err


def test_live_clicks_of_the_same_minutes_are_left_alone(lite: Place) -> None:
    live = full_click(id=new_id(NOW - HOUR), link_id=1, node=7)

    async def settle() -> None:
        engine = make_engine(lite.sql, patience=PATIENT)
        ring = Keyring(lite.home / "secrets" / "keyring.json", CLOCK)
        await SqlLedger(engine, ring.person_key).settle([live], [start_of(live, ANA, at_ms=NOW - HOUR)], [])
        await engine.dispose()

    asyncio.run(settle())
    mine = [each for each in lite.rows(outbox) if each.click_id == live.id]
    lite.bring(code=1)
    assert [each for each in lite.rows(outbox) if each.click_id == live.id] == mine
    assert {each.state for each in mine} == {"pending"}
    assert next(each for each in lite.rows(clicks) if each.id == live.id).spooled is True


def test_typed_columns_of_postgresql_are_read_as_what_they_are(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sqlite_tables: str,
    postgres_url: str,
    tmp_path: Path,
) -> None:
    """With times of other zones, of no zone, and of none that a calendar has; ids of 128 bits; a schema and capitals."""

    async def fill() -> None:
        engine = make_engine(postgres_url, patience=PATIENT)
        async with engine.begin() as connection:
            for statement in (
                "CREATE SCHEMA shop",
                """CREATE TABLE shop."People" (uid uuid PRIMARY KEY DEFAULT gen_random_uuid(), "userId" bigint,
                "when" timestamptz, created_at timestamp, "ipAddress" inet, bot text)""",
                f"""INSERT INTO shop."People" ("userId", "when", created_at, "ipAddress", bot) VALUES
                ({ANA}, to_timestamp({OLD / 1000}), NULL, '203.0.113.9', '@First_Bot'),
                ({BIA}, 'infinity', '0044-03-15 BC', NULL, 'other_bot'),
                ({BIA}, NULL, to_timestamp({OLD / 1000}) AT TIME ZONE 'America/Sao_Paulo', '2001:db8::/64', 'OTHER_BOT'),
                ({CAI}, to_timestamp({OLD / 1000}), NULL, NULL, 'nobodys_bot')""",
            ):
                await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(fill())
    file = tmp_path / "source"
    file.write_text(postgres_url.replace("postgresql+asyncpg", "postgres"))
    file.chmod(0o600)
    place = _place(monkeypatch, capsys, tmp_path, sqlite_tables, ())
    words = ("import", "--source-file", str(file), "--link", "promo", "--table", "shop.People", "--json")
    words += ("--column", "clicked_at=when")
    said = json.loads(place.trilha(*words, code=1).out)
    assert said["refused"] == {"no time that can be read": 1, "no bot of this Trilha": 1}
    found = {(each.clicked_at, each.owner_bot_id, each.owner_telegram_id) for each in place.rows(clicks)}
    assert found == {(OLD, 1, ANA), (OLD, 2, BIA)}


def test_ids_of_people_are_not_shown_and_not_kept_as_ids_of_rows(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sqlite_tables: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE bot_users (telegram_id INTEGER PRIMARY KEY, created_at TEXT)")
        connection.executemany("INSERT INTO bot_users VALUES (?, ?)", [(ANA, "never"), (ANA + 1, local(OLD))])
        connection.commit()
    place = _place(monkeypatch, capsys, tmp_path, sqlite_tables, (f"sqlite:///{file}",))
    said = place.bring(code=1)
    assert said["refused_rows"] == {"no time that can be read": ["row 1"]}
    [checkpoint] = (place.home / "imports").iterdir()
    assert str(ANA) not in place.trilha.said + checkpoint.read_text()
    assert checkpoint.stat().st_mode & 0o777 == 0o600


def test_a_sqlite_table_without_a_key_and_with_texts_of_no_alphabet_is_read(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sqlite_tables: str,
    tmp_path: Path,
) -> None:
    file = tmp_path / "old ?#%.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE botusers (user_id, created_at, utm_source, ip)")
        connection.execute(
            "INSERT INTO botusers VALUES (?, ?, CAST(x'66ff6200' AS TEXT), x'ff00ff')", (BIA, OLD / 1000)
        )
        connection.commit()
    place = _place(monkeypatch, capsys, tmp_path, sqlite_tables, (f"sqlite:///{file}",))
    assert place.bring()["columns"]["id"] == "rowid"
    [click] = place.rows(clicks)
    assert (click.clicked_at, click.params) == (OLD, {"utm_source": "f\ufffdb"})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "say where from"),
        (("postgresql://u:hunter2@h/d",), "--source-file"),
        (("postgresql://u@h/d?password=hunter2",), "--source-file"),
        (("mysql://h/d",), "must be a URL"),
        (("sqlite:///nowhere.db",), "no file"),
        (("{source}", "--table", "users"), "It has: BotUser"),
        (("{source}", "--column", "telegram_id"), "FIELD=COLUMN"),
        (("{source}", "--column", "phone=id"), "no such field"),
        (("{source}", "--column", "ip=addr"), "no such column"),
        (("{source}", "--column", "id=utm_source"), "does not tell rows apart"),
        (("{source}", "--bot", "nobodys_bot"), "there is no bot"),
        (("{source}",), "--bot"),
        (("{source}", "--link", "nowhere"), "there is no link"),
    ],
)
def test_what_cannot_be_done_says_how_to_mend_it(lite: Place, words: tuple[str, ...], says: str) -> None:
    given = [word.format(source=lite.source[0]) for word in words]
    link = () if "--link" in given else ("--link", "promo")
    said = lite.trilha("import", *given, *link, code=2).err
    assert says in said
    assert "hunter2" not in said


def test_a_source_that_does_not_answer_is_an_error_of_stores_that_names_no_address(lite: Place) -> None:
    words = ("import", "postgresql://nobody@127.0.0.1:1/none", "--link", "promo", "--bot", "first_bot")
    assert "127.0.0.1" not in lite.trilha(*words, code=3).err


def test_what_retention_has_counted_and_deleted_is_not_imported_again(lite: Place) -> None:
    lite.trilha.set(click_days="60")
    lite.bring(code=1)
    lite.trilha.set(click_days="30")

    async def delete() -> None:
        engine = make_engine(lite.sql, patience=PATIENT)
        while await SqlRetention(engine).aggregate_and_delete(NOW - 30 * DAY, 500):
            pass
        await engine.dispose()

    asyncio.run(delete())
    left = {each.clicked_at for each in lite.rows(clicks)}
    assert left == {NOW - HOUR}
    again = lite.bring(code=1)
    assert (again["new"], again["refused"]["older than TRILHA_CLICK_DAYS"]) == (0, 7)


def test_a_row_that_was_mended_comes_with_the_next_import(lite: Place) -> None:
    lite.bring(code=1)
    with closing(sqlite3.connect(lite.folder / "old.db")) as connection:
        connection.execute("UPDATE BotUser SET telegram_id = 5 WHERE id IN (5, 7)")
        connection.commit()
    assert lite.bring(code=1)["new"] == 1
    assert len([each for each in lite.rows(clicks) if each.owner_telegram_id == 5]) == 2
    assert {each.state for each in lite.rows(outbox)} == {"skipped"}
    assert timedelta(milliseconds=CLOCK.now_ms() - NOW) < timedelta(hours=1), "these tests are of one hour"
