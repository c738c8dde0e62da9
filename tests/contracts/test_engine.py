"""What reading SQL promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import make_engine, snapshot, transaction
from backends.sql.migrate import migrate
from backends.sql.schema import bots
from tests.making import NOW, PATIENT


@pytest.fixture(params=["sqlite_url", "postgres_url"])
async def engines(request: pytest.FixtureRequest) -> AsyncIterator[tuple[AsyncEngine, AsyncEngine]]:
    """Two processes' engines for one database."""
    url = request.getfixturevalue(request.param)
    pair = make_engine(url, patience=PATIENT), make_engine(url, patience=PATIENT)
    await migrate(pair[0])
    yield pair
    for engine in pair:
        await engine.dispose()


async def test_a_snapshot_sees_one_moment_whatever_is_committed_meanwhile(
    engines: tuple[AsyncEngine, AsyncEngine],
) -> None:
    """I8: books that are read while spools are settled balance."""
    reader, writer = engines

    async def add(connection: AsyncConnection) -> None:
        await connection.execute(
            insert(bots).values(username="shop_bot", username_key="shop_bot", created_at=NOW)
        )

    async def read(connection: AsyncConnection) -> tuple[int, int]:
        count = select(func.count()).select_from(bots)
        before = (await connection.execute(count)).scalar_one()
        await transaction(writer, add)
        return before, (await connection.execute(count)).scalar_one()

    assert await snapshot(reader, read) == (0, 0)

    async def again(connection: AsyncConnection) -> int:
        return (await connection.execute(select(func.count()).select_from(bots))).scalar_one()

    assert await snapshot(reader, again) == 1
