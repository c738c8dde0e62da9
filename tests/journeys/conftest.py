"""A running system per test, on SQLite and on PostgreSQL, with a Valkey of its own that may be killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.servers import PostgresServer, ValkeyServer
from tests.system import System


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that this test may kill."""
    with ValkeyServer() as server:
        yield server


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def system(
    request: pytest.FixtureRequest, tmp_path: Path, own_valkey: ValkeyServer
) -> AsyncIterator[System]:
    """Prepared, not started; stopped afterwards."""
    if request.param == "sqlite":
        sql_url = f"sqlite+aiosqlite:///{tmp_path / 'trilha.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("own_postgres")
        sql_url = server.create_database("journey")
    made = System(tmp_path / "home", sql_url, own_valkey.url)
    await made.prepare()
    yield made
    made.stop()


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that this test may kill."""
    with PostgresServer() as server:
        yield server
