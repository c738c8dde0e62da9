"""Fixtures every test may ask for. The servers are real, start once, and are asked for by need: no test is skipped."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from backends.sql.engine import make_engine
from backends.sql.migrate import migrate
from chaos.servers import PostgresServer, ValkeyServer
from tests.daemon_fixture import Door, Site

if TYPE_CHECKING:
    from tests.bot.office import Office
    from tests.meta.server import FakeMeta
    from tests.telegram.server import LoopbackTelegram

_databases = itertools.count(1)


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """The session's Valkey. A test that kills its server makes one of its own."""
    with ValkeyServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The session's PostgreSQL. A test that kills its server makes one of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def valkey_url(valkey: ValkeyServer) -> str:
    """An empty Valkey."""
    valkey.start()
    valkey.flush()
    return valkey.url


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of PostgreSQL with nothing in it, for this test alone."""
    postgres.start()
    name = f"trilha_{next(_databases)}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite+aiosqlite:///{tmp_path / 'trilha.db'}"


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a database with our tables: made once, as every test that needs tables gets a copy of it."""
    postgres.start()
    _migrate(postgres.create_database("with_tables"))
    return "with_tables"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with our tables."""
    file = tmp_path_factory.mktemp("with_tables") / "trilha.db"
    _migrate(f"sqlite+aiosqlite:///{file}")
    return file


@pytest.fixture
def postgres_tables(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A database of PostgreSQL with our tables, empty, for this test alone."""
    postgres.start()
    name = f"trilha_{next(_databases)}"
    yield postgres.create_database(name, template=postgres_template)
    postgres.drop_database(name)


@pytest.fixture
def sqlite_tables(sqlite_url: str, sqlite_template: Path) -> str:
    """A SQLite file with our tables, empty."""
    shutil.copy(sqlite_template, sqlite_url.removeprefix("sqlite+aiosqlite:///"))
    return sqlite_url


def _migrate(url: str) -> None:
    async def whole() -> None:
        engine = make_engine(url, patience=30.0)
        await migrate(engine)
        await engine.dispose()

    # In a thread: whoever asks for a fixture may do so from within a loop.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(lambda: asyncio.run(whole())).result()


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> Site:
    """Tables, key ring, API key, bots and a link on SQLite; nothing runs."""
    made = Site(tmp_path)
    await made.prepare()
    return made


@pytest_asyncio.fixture
async def door(site: Site) -> AsyncIterator[Door]:
    """A daemon that runs on the site."""
    async with site.running() as running:
        yield running


@pytest_asyncio.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LoopbackTelegram]:
    """A Telegram of this test alone."""
    from tests.telegram.server import LoopbackTelegram  # only whoever asks for it loads the client library

    async with LoopbackTelegram(tmp_path / "telegram") as server:
        yield server


@pytest_asyncio.fixture
async def office(telegram: LoopbackTelegram, tmp_path: Path) -> Office:
    """A home with a bot that Telegram knows; no worker runs."""
    from tests.bot.office import Office

    return await Office.prepared(tmp_path / "home", telegram)


@pytest_asyncio.fixture
async def meta() -> AsyncIterator[FakeMeta]:
    """A Meta of this test alone, without pixels."""
    from tests.meta.server import FakeMeta

    async with FakeMeta() as server:
        yield server
