"""The release before this one and this one side by side: on one database, one Redis, one folder of spools.

The supported order is migrate, work, serve; back it goes the other way round, and the schema stays.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from analytics.tally import Tally
from backends.sql.engine import make_engine, query
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from backends.sql.partitions import DAY_MS, DAYS_AHEAD, SqlPartitions, name_of, partitions
from backends.sql.rollup_check import SqlRollupCheck
from chaos.servers import PostgresServer, ValkeyServer
from privacy.api_keys import make_api_key
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.restarting import Visitors, all_in_sql, previous_release
from tests.system import BOT, ROOT, SLUG, System


class Installation:
    """A system whose processes are of this release or of the one before, each as asked."""

    def __init__(self, system: System, older: Path) -> None:
        self.system, self.older = system, older
        self.tokens: list[str] = []

    def run(self, *words: str, old: bool = False) -> None:
        """A command to its end."""
        subprocess.run(
            self._command(*words), env=self._environment(old=old), cwd=self.system.home, check=True
        )

    def start(self, name: str, *, old: bool = False) -> None:
        """Start a process; one of that name is stopped first."""
        before = self.system.processes.get(name)
        if before is not None:
            before.send_signal(signal.SIGTERM)
            assert before.wait(40) == 0
        with (self.system.home / f"{name}.log").open("ab") as log:
            self.system.processes[name] = subprocess.Popen(
                self._command(name),
                env=self._environment(old=old),
                cwd=self.system.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if name == "serve":
            self.system._wait_for_port()

    async def click(self, count: int = 40) -> list[str]:
        """Clicks, all of which are redirected; their tokens."""
        load = self.system.load(rate=100, seconds=count / 100)
        await load.run()
        assert (load.errors, load.others) == (0, [])
        self.tokens += load.tokens
        return load.tokens

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        async with self.system.api() as api:
            answer = await api.post(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def start_and_buy(self, token: str, person: int) -> None:
        """A person presses START at this click, and buys. Both are kept, at once or in the spool."""
        started = await self.post("/v1/starts", bot=BOT, telegram_id=person, token=token)
        assert started["state"] in {"settled", "deferred"}, started
        await self.post(
            "/v1/conversions",
            event="Purchase",
            order_id=f"order-{person}",
            bot=BOT,
            telegram_id=person,
            value="10.00",
            currency="BRL",
        )

    async def press_until_kept(self, token: str, person: int) -> None:
        """A person presses START; where neither SQL nor a spool can keep it, the bot asks again, as it is told to."""
        async with self.system.api() as api, asyncio.timeout(60):
            while True:
                given = {"bot": BOT, "telegram_id": person, "token": token}
                answer = await api.post("/v1/starts", json=given)
                if answer.status_code == 200:
                    assert answer.json()["state"] in {"settled", "deferred"}, answer.text
                    return
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.1)

    async def owners(self, *tokens: str) -> list[int | None]:
        """Who owns those clicks, in SQL."""
        rows = await self.system.rows()
        found = [rows[self.system.click_id(token)] for token in tokens]
        return [owner[1] if owner else None for owner in found]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cli.main", *words]

    def _environment(self, *, old: bool) -> dict[str, str]:
        return os.environ | self.system.environment | {"PYTHONPATH": str(self.older if old else ROOT)}


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def both(
    request: pytest.FixtureRequest, tmp_path: Path, own_valkey: ValkeyServer
) -> AsyncIterator[Installation]:
    """An installation of the older release, with its schema; nothing runs."""
    sql_url = f"sqlite+aiosqlite:///{tmp_path / 'trilha.db'}"
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("own_postgres")
        sql_url = server.create_database("upgrades")
    system = System(tmp_path / "home", sql_url, own_valkey.url, extra={"TRILHA_DEADLINE_MS": "5000"})
    system.home.mkdir()
    made = Installation(system, previous_release(tmp_path / "older"))
    ring = Keyring.create(system.settings.secrets, system.clock)
    system.minter = Minter(ring, system.clock, node=0, attribution_days=28)
    system.api_key = make_api_key(system.settings.api_keys, "upgrades")
    made.run("migrate", old=True)
    engine = make_engine(sql_url, patience=5)
    catalog = SqlCatalog(engine, system.clock)
    await catalog.add_bot(BOT)
    await catalog.add_link(SLUG, bot=BOT, pixel="1234567890")
    await engine.dispose()
    yield made
    system.stop()


async def test_the_supported_order_and_its_rollback_lose_nothing(both: Installation) -> None:
    both.start("work", old=True)
    both.start("serve", old=True)
    first = await both.click()
    both.run("migrate")
    # The older processes go on, on the newer schema.
    second = await both.click()
    await both.start_and_buy(second[0], 1)
    both.start("work")
    third = await both.click()
    await both.start_and_buy(first[0], 2)
    await both.start_and_buy(third[0], 3)
    both.start("serve")
    fourth = await both.click()
    await both.start_and_buy(third[1], 4)
    await both.start_and_buy(fourth[0], 5)
    # And back. The schema stays.
    both.start("serve", old=True)
    await both.start_and_buy(fourth[1], 6)
    both.start("work", old=True)
    fifth = await both.click()
    await both.start_and_buy(fifth[0], 7)
    assert await all_in_sql(both.system, both.tokens) == set()
    asked = (second[0], first[0], third[0], third[1], fourth[0], fourth[1], fifth[0])
    assert await both.owners(*asked) == [1, 2, 3, 4, 5, 6, 7]
    books = await both.system.settled_books(issued=len(both.tokens))
    assert books.balanced, books.faults


async def test_what_the_older_serve_left_in_spool_and_redis_is_taken_up_by_the_newer(
    both: Installation,
) -> None:
    both.start("serve", old=True)
    left = await both.click()
    both.run("migrate")
    both.start("serve")
    # Nothing is settled yet: the click of this start is in Redis, and in a spool of the older release.
    await both.start_and_buy(left[0], 1)
    both.start("work")
    assert await all_in_sql(both.system, left) == set()
    assert await both.owners(left[0]) == [1]


async def test_a_newer_serve_before_the_migration_redirects_and_spools(both: Installation) -> None:
    """The wrong order costs nothing that was acknowledged: the older worker settles what the newer daemon spools."""
    both.start("serve")
    both.start("work", old=True)
    early = await both.click()
    assert await all_in_sql(both.system, early) == set()
    both.run("migrate")
    both.start("work")
    await both.click()
    assert await all_in_sql(both.system, both.tokens) == set()


# ---------------------------------------------------------------- PostgreSQL: a table becomes partitions (migration 0010)

DAYS_THERE = "SELECT relname FROM pg_class WHERE relname ~ '^clicks_d[0-9]{8}$'"
ON_POSTGRES = pytest.mark.parametrize("both", ["postgres"], indirect=True)


async def _said(installation: Installation, statement: str) -> list[tuple[Any, ...]]:
    engine = make_engine(installation.system.sql_url, patience=30)
    rows = await query(engine, lambda connection: connection.execute(text(statement)))
    await engine.dispose()
    return [tuple(row) for row in rows]


@ON_POSTGRES
@pytest.mark.parametrize("direct", [False, True], ids=["spooled", "direct"])
async def test_older_processes_go_on_while_the_table_becomes_partitions(
    both: Installation, *, direct: bool
) -> None:
    """Clicks and starts come at every moment of the migration, into spools that the older worker settles or into SQL at once."""
    if direct:
        # No click fits into the spool: the redirect writes SQL itself.
        both.system.environment["TRILHA_SPOOL_QUOTA"] = "1"
    both.start("work", old=True)
    both.start("serve", old=True)
    early = await both.click()
    assert await all_in_sql(both.system, early) == set()
    visitors = Visitors(both.system.public, rate=60)
    coming, owners = asyncio.create_task(visitors.run()), dict[str, int]()

    async def press_start() -> None:
        while not visitors._over.is_set():
            token = visitors.tokens[-1]
            if token in owners:
                await asyncio.sleep(0.01)
            else:
                owners[token] = len(owners) + 1
                await both.press_until_kept(token, owners[token])

    await visitors.answered(30)
    pressing = asyncio.create_task(press_start())
    await asyncio.to_thread(both.run, "migrate")
    await visitors.answered(120)
    visitors.leave()
    await asyncio.gather(coming, pressing)
    assert (visitors.others, visitors.lost, visitors.refused) == ([], [], 0)
    assert await _said(both, "SELECT version_num FROM alembic_version") == [("0010",)]
    assert await _said(both, "SELECT relkind::text FROM pg_class WHERE relname = 'clicks'") == [("p",)]
    everyone = [*early, *visitors.tokens]
    assert await all_in_sql(both.system, everyone) == set()
    if direct:
        [(spooled,)] = await _said(both, "SELECT count(*) FROM clicks WHERE spooled")
        assert spooled < len(everyone) / 10
    assert len(owners) > 10
    both.start("work")  # starts that were deferred are settled by either
    async with asyncio.timeout(60):
        while await both.owners(*owners) != [*owners.values()]:
            await asyncio.sleep(0.2)
        # And it makes the days to come, which nobody else does.
        while len(await _said(both, DAYS_THERE)) < DAYS_AHEAD - 1:
            await asyncio.sleep(0.2)
    books = await both.system.settled_books(issued=len(everyone))
    assert books.balanced, books.faults


OLDER_CODE = """
import asyncio, json, sys
from uuid import UUID
from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.retention import SqlRetention
from domain.attribution import ClickRef, Owner, Start
from domain.click import Click
from domain.ids import ClickIds

async def main(url, first):
    engine = make_engine(url, patience=30)
    ledger = SqlLedger(engine, lambda person: person.to_bytes(16, "big"))
    ids, day = ClickIds(), 86_400_000
    times = [first - day, first - 1, *(first + n * day // 2 for n in range(8)), first + 60 * day]
    batch = [Click(id=ids.new(at), link_id=1, node=0, ad_key=bytes(8)) for at in times for _ in range(4)]
    begun = []
    for n, click in enumerate(batch[::2]):
        named = ClickRef(id=click.id, link_id=1, node=0, ad_key=bytes(8))
        owner = Owner(bot_id=1, telegram_id=n)
        begun.append(Start.with_token(owner, named, at_ms=click.at_ms + 5, update_id=None))
    await ledger.settle(batch[:-4], begun[:10], [])
    for click in batch[-4:]:
        await ledger.put(click)
    won = [await ledger.record_start(start, None) for start in begun[10:]]
    await ledger.settle(batch, begun, [])
    await ledger.discard(batch[9].id)
    erased = await SqlErasures(engine).erase(6, person_key=bytes(15) + b"\x06", at_ms=times[-1] + day)
    retention = SqlRetention(engine)
    gone = 0
    while done := await retention.aggregate_and_delete(first + day, 5):
        gone += done.clicks
    await engine.dispose()
    print(json.dumps({
        "won": all(row.owner == start.owner for row, start in zip(won, begun[10:])),
        "erased": erased.clicks, "gone": gone, "left": [c.id.hex for c in batch if c.at_ms >= first + day],
    }))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@ON_POSTGRES
async def test_the_older_code_writes_into_days_erases_and_deletes_there(both: Installation) -> None:
    """As it does when a rollback lasts for days: partitions are there, and it does not know of them."""
    engine = make_engine(both.system.sql_url, patience=30)
    await migrate(engine)
    [before] = await query(engine, partitions)
    first = before.until_ms
    await SqlPartitions(engine).make_ahead(first, 5)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", OLDER_CODE, both.system.sql_url, str(first)],
        env=both._environment(old=True),
        cwd=both.system.home,
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout)
    assert (found["won"], found["erased"]) == (True, 1)
    # Its own two times before the first day, and two halves of it, less what was erased.
    assert found["gone"] == 16
    rows = await _said(both, "SELECT tableoid::regclass::text, replace(id::text, '-', '') FROM clicks")
    assert {click_id for _, click_id in rows} == set(found["left"])
    days = {name_of(first + n * DAY_MS) for n in (1, 2, 3)}
    assert {name for name, _ in rows} == days | {"clicks_default"}
    assert (await SqlRollupCheck(engine, "America/Sao_Paulo", Tally).check()).differences == ()
    await engine.dispose()
