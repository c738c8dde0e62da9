"""The release before this one and this one side by side: on one database, one Redis, one folder of spools.

The supported order is migrate, work, serve; back it goes the other way round, and the schema stays.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from chaos.servers import PostgresServer, ValkeyServer
from privacy.api_keys import make_api_key
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.restarting import all_in_sql, previous_release
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
