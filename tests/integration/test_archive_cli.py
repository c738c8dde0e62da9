"""trilha archive, as the operator's hands use it: what it says, how it ends, and what is left when it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from backends.sql.engine import make_engine
from domain.click import Ad
from domain.clock import SystemClock
from privacy.keyring import Keyring
from tests.making import PATIENT
from tests.trading import Trade

ROOT = Path(__file__).parents[2]
KILLED = -9
# The command itself, which is killed as soon as three row groups of a day are on the disk.
KILL = """
import os, signal, sys
from analytics.archive import part
from backends.sql import archived
archived.BATCH = part.ROW_GROUP = 10
written = part.Part._to_disk
def to_disk(self, seen=[]):
    written(self)
    seen.append(1)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
part.Part._to_disk = to_disk
from cli.main import run
run()
"""


class Home:
    """A home with a database of its own, and commands."""

    def __init__(self, path: Path, sql: str) -> None:
        self.path, self.sql = path, sql
        self.folder = path / "archive"

    def __call__(
        self, *words: str, code: int = 0, by: tuple[str, ...] = ("-m", "cli.main")
    ) -> tuple[str, str]:
        environment = os.environ | {
            "TRILHA_HOME_DIR": str(self.path),
            "TRILHA_SQL_URL": self.sql,
            "TRILHA_TIMEZONE": "America/Sao_Paulo",
        }
        command = [sys.executable, *by, "archive", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout, done.stderr

    def run(self, *words: str, code: int = 0) -> tuple[str, str]:
        return self("--to", str(self.folder), *words, code=code)

    def count(self) -> int:
        ((found,),) = duckdb.sql(f"SELECT count(*) FROM '{self.folder}/clicks/*/*.parquet'").fetchall()
        return int(found)

    async def click(self, count: int) -> None:
        engine = make_engine(self.sql, patience=PATIENT)
        trade = Trade(engine, SystemClock())
        made = await trade.clicks(Ad("FB", "Natal"), count)
        await trade.start(made[0], after_ms=0)  # of the same day, whenever this runs
        await engine.dispose()


@pytest.fixture
def home(tmp_path: Path, sqlite_tables: str) -> Home:
    made = Home(tmp_path, sqlite_tables)
    asyncio.run(made.click(50))
    return made


def test_it_says_what_it_has_written_and_the_second_time_that_nothing_is_new(home: Home) -> None:
    first = json.loads(home.run("--json")[0])
    assert {(each["table"], each["rows"]) for each in first["written"]} == {
        ("clicks", 50),
        ("starts", 1),
        ("conversions", 1),
    }
    assert all(each["bytes"] > 0 for each in first["written"])
    again = json.loads(home.run("--json", "--refresh")[0])
    assert (again["written"], again["removed"], again["same"]) == ([], [], 3)
    assert "0 files written, 0 removed, 3 as they were" in home.run()[0]
    assert home.folder.stat().st_mode & 0o777 == 0o700
    assert home.count() == 50


def test_killed_in_the_middle_it_leaves_no_half_that_a_reader_takes_and_the_next_run_goes_on(
    home: Home,
) -> None:
    home.run()
    asyncio.run(home.click(50))
    home("--to", str(home.folder), code=KILLED, by=("-c", KILL))
    assert len([*home.folder.rglob(".part-0.parquet.half")]) == 1
    assert home.count() == 50
    home.run()
    assert home.count() == 100
    assert not [*home.folder.rglob("*.half")]


def test_killed_in_its_first_run_it_leaves_nothing_that_a_reader_takes(home: Home) -> None:
    home("--to", str(home.folder), code=KILLED, by=("-c", KILL))
    assert not [*home.folder.rglob("*.parquet")]
    home.run()
    assert home.count() == 50


def test_owners_are_digests_under_the_key_ring(home: Home) -> None:
    keyring = Keyring.create(home.path / "secrets" / "keyring.json", SystemClock())
    home.run("--with-owners")
    found = duckdb.sql(f"SELECT owner FROM '{home.folder}/starts/*/*.parquet'").fetchall()
    assert found == [(keyring.archive_key(101).hex(),)]
    assert keyring.archive_key(101) not in {
        keyring.person_key(101),
        bytes.fromhex(keyring.external_id(101))[:16],
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--days", "0"), "1 to 3660"),
        (("--days", "2", "--since", "2026-11-01"), "give --days, or --since"),
        (("--until", "2026-11-01"), "give --days, or --since"),
        (("--since", "yesterday"), "not a date"),
        (("--since", "2026-11-01", "--until", "9999-01-01"), "not a period"),
    ],
)
def test_days_that_are_none_are_refused_with_what_to_write(
    home: Home, words: tuple[str, ...], said: str
) -> None:
    assert said in home.run(*words, code=2)[1]
    assert not home.folder.exists()


def test_without_pyarrow_it_says_how_to_get_it(home: Home) -> None:
    without = "import sys; sys.modules['pyarrow'] = None; from cli.main import run; run()"
    said = home("--to", str(home.folder), code=2, by=("-c", without))[1]
    assert "pip install 'trilha[parquet]'" in said
    assert not home.folder.exists()


def test_a_folder_that_cannot_be_one_and_a_database_that_is_away_have_codes_of_their_own(home: Home) -> None:
    home.folder.write_text("a file")
    assert "cannot be written" in home.run(code=2)[1]
    home.folder.unlink()
    home.sql = "postgresql+asyncpg://nobody@127.0.0.1:1/none"
    home.run(code=3)
    home.sql = f"sqlite+aiosqlite:///{home.path}/new.db"
    assert "trilha migrate" in home.run(code=3)[1]
