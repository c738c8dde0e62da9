"""Clicks at 200 a second while stores die for five seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from chaos.servers import PostgresServer, ValkeyServer
from tests.system import BOT, System, locked_sqlite

RATE = 200
OUTAGE = 5.0
MARGIN = 1.0


@asynccontextmanager
async def _without_valkey(server: ValkeyServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.kill)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def _without_sql(request: pytest.FixtureRequest, system: System) -> AsyncIterator[None]:
    if system.sql_url.startswith("sqlite"):
        with locked_sqlite(Path(system.sql_url.partition(":///")[2])):
            yield
    else:
        server: PostgresServer = request.getfixturevalue("own_postgres")
        await asyncio.to_thread(server.kill)
        yield
        await asyncio.to_thread(server.start)


@pytest.mark.parametrize("victims", ["redis", "sql", "redis and sql"])
async def test_an_outage_of_five_seconds_costs_no_redirect_and_no_click(
    system: System, own_valkey: ValkeyServer, request: pytest.FixtureRequest, victims: str
) -> None:
    """I1, I2, I8, I9, I10: no non-302, no acknowledged click missing after heal, no double owner, balanced books."""
    system.start("serve", "work")
    load = system.load(rate=RATE, seconds=OUTAGE + 2 * MARGIN)
    running = asyncio.create_task(load.run())
    await asyncio.sleep(MARGIN)
    async with AsyncExitStack() as outage, system.api() as api:
        if "redis" in victims:
            await outage.enter_async_context(_without_valkey(own_valkey))
        if "sql" in victims:
            await outage.enter_async_context(_without_sql(request, system))
        token = load.tokens[-1]
        answers = await asyncio.gather(
            *(
                api.post("/v1/starts", json={"token": token, "bot": BOT, "telegram_id": person})
                for person in (11, 12)
            )
        )
        await asyncio.sleep(OUTAGE)
    await running
    assert not load.others
    assert load.errors == 0
    assert len(load.tokens) == load.total
    assert all(answer.status_code == 200 for answer in answers)
    assert sum(answer.json()["owner"] for answer in answers) <= 1, "two owners of one click"

    books = await system.settled_books(issued=load.total)
    rows = await system.rows()
    missing = {system.click_id(token) for token in load.tokens} - set(rows)
    assert books.balanced, books.faults
    assert len(missing) <= books.token_only, "an acknowledged click is missing"
    assert rows[system.click_id(token)] is not None, "a start was lost"
    deferred = [answer.json()["state"] == "deferred" for answer in answers]
    assert all(deferred) == ("sql" in victims)
