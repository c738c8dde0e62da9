"""One leader among workers on one PostgreSQL: elected, lost, taken over; and what it alone does is done once."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from backends.sql.engine import make_engine
from backends.sql.leader import IDLE_SECONDS, LEASE_SECONDS, PostgresLeader, worker_sessions
from backends.sql.outbox import SqlOutbox
from chaos.proxy import Proxy, Trouble
from chaos.servers import HOST, PostgresServer, free_port
from cli.doctor import findings_of
from cli.doctor_sql import workers
from domain.clock import ManualClock, SystemClock
from runtime.settings import Bind, child_environment
from tests.daemon_fixture import SLUG, Site
from tests.making import PATIENT
from tests.receiver import LOOPBACK, Receiver, receiving

SECRET = "0123456789abcdef0123456789abcdef"
LONG = 90.0


@asynccontextmanager
async def leaders(*urls: str, clock: ManualClock | None = None) -> AsyncIterator[list[PostgresLeader]]:
    made = [PostgresLeader(url, node, clock or SystemClock()) for node, url in enumerate(urls)]
    try:
        yield made
    finally:
        for each in made:
            await each.resign()


async def look(*them: PostgresLeader) -> list[bool]:
    for each in them:
        await each.look()
    return [each.leads for each in them]


async def sql(url: str, statement: str) -> None:
    engine = make_engine(url, patience=PATIENT)
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def test_of_two_workers_one_leads_and_the_other_takes_over_when_it_resigns(postgres_url: str) -> None:
    async with leaders(postgres_url, postgres_url) as (first, second):
        assert await look(first, second, first) == [True, False, True]
        await first.resign()
        assert not first.leads
        assert await look(second) == [True]


async def test_a_leader_whose_session_postgresql_ended_leads_no_more_once_it_looks(postgres_url: str) -> None:
    async with leaders(postgres_url, postgres_url) as (first, second):
        assert await look(first, second) == [True, False]
        ended = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        await sql(postgres_url, ended)
        assert await look(first) == [False]
        assert await look(second, first) == [True, False]


async def test_who_has_not_heard_from_postgresql_for_a_while_leads_no_more(postgres_url: str) -> None:
    clock = ManualClock()
    async with leaders(postgres_url, clock=clock) as (only,):
        assert await look(only) == [True]
        clock.advance(LEASE_SECONDS - 0.1)
        assert only.leads
        clock.advance(0.1)
        assert not only.leads
        assert await look(only) == [True]
    assert LEASE_SECONDS < IDLE_SECONDS, "a leader must have stopped before another one can begin"


async def test_a_leader_that_is_cut_off_stops_and_another_one_takes_over(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """Nothing gets through, and no connection is closed: neither side is told."""
    with Proxy(HOST, postgres.port) as proxy:
        through = postgres_url.replace(f":{postgres.port}/", f":{proxy.port}/")
        async with leaders(through, postgres_url) as (cut, other):
            assert await look(cut, other) == [True, False]
            await asyncio.to_thread(proxy.set, Trouble(blackhole=True))
            assert await look(cut) == [False]
            async with asyncio.timeout(LONG):
                while await look(other) != [True]:
                    assert await look(cut) == [False]
            await asyncio.to_thread(proxy.heal)
            assert await look(cut, other) == [False, True]


async def test_sessions_say_which_node_leads_and_whose_number_is_there_twice(postgres_tables: str) -> None:
    site = Site(Path("/nonexistent"), sql_url=postgres_tables)
    engine = make_engine(postgres_tables, patience=PATIENT)
    try:
        assert await worker_sessions(engine) == []
        async with leaders(postgres_tables, postgres_tables) as (first, second):
            await look(first, second)
            assert [(each.node, each.leads) for each in await worker_sessions(engine)] == [
                (0, True),
                (1, False),
            ]
            assert await workers_finding(site) == ("ok", "nodes [0, 1]; node 0 leads")
            async with leaders(postgres_tables) as (twin,):
                await look(twin)
                verdict, detail = await workers_finding(site)
                assert verdict == "warning"
                assert "two workers say TRILHA_NODE=0" in detail
    finally:
        await engine.dispose()


async def workers_finding(site: Site) -> tuple[str, str]:
    found = await workers(site.settings)
    return found.verdict, found.detail


async def test_doctor_asks_for_a_worker_where_none_leads(postgres_tables: str, tmp_path: Path) -> None:
    site = Site(tmp_path, sql_url=postgres_tables)
    found = {finding.check: finding for finding in await findings_of(site.settings)}
    assert found["workers"].verdict == "warning"
    assert "trilha work" in found["workers"].detail


# ---------------------------------------------------------------- whole workers


@dataclass
class Worker:
    """`trilha work` of one node, a process of its own."""

    process: asyncio.subprocess.Process
    port: int

    async def leads(self) -> bool:
        return bool((await self._get("/readyz")).json()["leads"])

    async def folded(self) -> float:
        lines = (await self._get("/metrics")).text.splitlines()
        return float(
            next(line for line in lines if line.startswith("trilha_rollup_folded_total ")).split()[1]
        )

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def _get(self, path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            return await client.get(f"http://{HOST}:{self.port}{path}")


async def until(what: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(LONG):
        while True:
            try:
                if await what():
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(0.1)


@asynccontextmanager
async def node(home: Path, number: int, url: str, hook: str) -> AsyncIterator[Worker]:
    port = free_port()
    known = {
        "home_dir": str(home),
        "sql_url": url,
        "node": str(number),
        "work_bind": f"{HOST}:{port}",
        "alert_webhook": f"http://{hook}/",
        "webhook_hosts": hook,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "work"),
        env=child_environment(**known),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Worker(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def told_of(there: Receiver) -> list[tuple[str, str]]:
    said = [alert for call in there.calls for alert in json.loads(call.body)["alerts"]]
    return [(alert["state"], alert["subject"]) for alert in said if alert["rule"] == "lane_held"]


async def click(site: Site, count: int) -> None:
    """Clicks through a daemon, and into SQL."""
    async with site.running() as door:
        for _ in range(count):
            await door.get(f"/go/{SLUG}")
    await site.settle()


async def changes(site: Site) -> int:
    async with site.engine() as engine, engine.connect() as connection:
        return int((await connection.execute(text("SELECT count(*) FROM click_changes"))).scalar_one())


async def hold(site: Site, lane: str) -> None:
    async with site.engine() as engine:
        await SqlOutbox(engine).hold(lane, "ended", at_ms=SystemClock().now_ms())


@pytest.fixture
async def shop(tmp_path: Path, postgres_tables: str) -> Site:
    site = Site(tmp_path / "first", sql_url=postgres_tables)
    await site.prepare()
    site.settings.alert_webhook_secret.write_text(SECRET)
    site.settings.alert_webhook_secret.chmod(0o600)
    # Its clicks come through a home of their own, whose spool no worker here settles.
    shutil.copytree(site.settings.home_dir, tmp_path / "second")
    shutil.copytree(site.settings.home_dir, tmp_path / "clicks")
    site.settings = site.settings.model_copy(
        update={"home_dir": tmp_path / "clicks", "public_bind": Bind(host=HOST, port=free_port())}
    )
    return site


async def test_each_alert_is_told_once_each_change_folded_once_and_a_killed_leader_is_replaced(
    shop: Site, tmp_path: Path, postgres_tables: str
) -> None:
    await click(shop, 20)
    waiting = await changes(shop)
    assert waiting >= 20
    await hold(shop, "meta/1")
    async with receiving() as there, AsyncExitStack() as stack:
        hook = f"{LOOPBACK}:{there.port}"
        homes = [tmp_path / "first" / "var", tmp_path / "second"]
        pair = [
            await stack.enter_async_context(node(home, number, postgres_tables, hook))
            for number, home in enumerate(homes)
        ]

        async def one_leads() -> bool:
            return [await each.leads() for each in pair].count(True) == 1

        async def folded() -> bool:
            return await changes(shop) == 0

        async def told() -> bool:
            return bool(told_of(there))

        for happened in (one_leads, folded, told):
            await until(happened)
        (leader,) = [each for each in pair if await each.leads()]
        (other,) = [each for each in pair if each is not leader]
        assert await leader.folded() >= waiting
        assert await other.folded() == 0
        assert told_of(there) == [("firing", "meta/1")]

        await leader.kill()
        await until(other.leads)
        await click(shop, 5)
        await hold(shop, "meta/2")
        await until(folded)

        async def told_again() -> bool:
            return len(told_of(there)) > 1

        await until(told_again)
        assert told_of(there) == [("firing", "meta/1"), ("firing", "meta/2")]
        assert await other.folded() >= 5
