"""A Trilha moves from SQLite to PostgreSQL while people click and press START: nobody feels it, and everything arrives."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest_asyncio
from sqlalchemy import select

from backends.sql.engine import make_engine
from backends.sql.schema import bot_users, clicks, outbox
from chaos.servers import PostgresServer
from tests.restarting import Manager, Visitors, all_in_sql
from tests.system import BOT, ROOT, System

RATE = 100
EVERY = 3  # visitors, of which one presses START
RIVALS = 1_000_000


@pytest_asyncio.fixture
async def made(tmp_path: Path) -> AsyncIterator[System]:
    """On SQLite; with this deadline every answer is `synced` on a slow machine too."""
    system = await System.on_sqlite(tmp_path, "", deadline_ms="5000")
    yield system
    system.stop()


@dataclass
class People:
    """Press START for one click in EVERY as it is told to a visitor; a rival tries to take each tenth of them at once."""

    system: System
    visitors: Visitors
    asked: int = 0
    owned: dict[str, int] = field(default_factory=dict)
    deferred: int = 0
    acknowledged: set[str] = field(default_factory=set)
    over: bool = False
    _seen: int = 0

    async def run(self) -> None:
        """Until it is over, and all are answered."""
        async with self.system.api() as api, asyncio.TaskGroup() as group:
            while not self.over:
                for token in self.visitors.tokens[self._seen :]:
                    self._seen += 1
                    if self._seen % EVERY == 0:
                        self.asked += 1
                        group.create_task(self._press(api, token, self.asked))
                        if self.asked % 10 == 0:
                            group.create_task(self._press(api, token, self.asked + RIVALS))
                await asyncio.sleep(0.02)

    async def _press(self, api: httpx2.AsyncClient, token: str, person: int) -> None:
        wanted = {"token": token, "bot": BOT, "telegram_id": person}
        while True:
            try:
                answer = await api.post("/v1/starts", json=wanted)
            except httpx2.HTTPError:
                # The process was restarted under it: whoever asks repeats it.
                await asyncio.sleep(0.05)
                continue
            if answer.status_code != 503:
                break
        assert answer.status_code == 200, answer.text
        said = answer.json()
        self.acknowledged.add(self.system.click_id(token))
        if said["state"] == "deferred":
            self.deferred += 1
        elif said["owner"]:
            assert self.owned.setdefault(token, person) == person, "two owners of one click"


async def test_a_move_under_load_loses_nothing_and_refuses_nobody(
    made: System, own_postgres: PostgresServer
) -> None:
    target = own_postgres.create_database("journey")
    manager = Manager(made)
    visitors = Visitors(made.public, rate=RATE)
    people = People(made, visitors)
    try:
        manager.start()
        await manager.until("READY=1")
        made.start("work")
        coming, pressing = asyncio.create_task(visitors.run()), asyncio.create_task(people.run())
        await visitors.answered(5 * RATE)
        said = await moved(made, target)
        assert said["state"] == "moved"
        # Whoever runs on with the old database defers what it has; now the operator restarts with the new one.
        await visitors.answered(RATE)
        made.sql_url = made.environment["TRILHA_SQL_URL"] = target
        made.processes["work"].terminate()
        await asyncio.to_thread(made.processes["work"].wait, 60)
        assert await manager.ended() == 0
        manager.start()
        await manager.until("READY=1")
        made.start("work")
        await visitors.answered(3 * RATE)
        visitors.leave()
        await coming
        people.over = True
        await pressing
        assert (visitors.refused, visitors.others, visitors.lost) == (0, [], []), made.logs()
        assert people.deferred
        assert people.owned
        assert not await all_in_sql(made, visitors.tokens)
        await everything_is_right(made, people)
    finally:
        visitors.leave()
        people.over = True
        manager.close()


async def moved(system: System, target: str) -> dict[str, Any]:
    """What `trilha move` says. It runs at a whole Trilha's side."""
    environment = os.environ | system.environment | {"TRILHA_MOVE_TO": target}
    command = [sys.executable, "-m", "cli.main", "move", "--json"]
    ended = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


async def everything_is_right(system: System, people: People) -> None:
    """Each start has its one owner, who is told of once; books balance, and rollups are what was counted."""
    wanted = {system.click_id(token): person for token, person in people.owned.items()}
    found: dict[str, tuple[int, int] | None] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while not people.acknowledged <= {click for click, owner in found.items() if owner}:
                found = await system.rows()
                await asyncio.sleep(0.2)
    owners = {click: owner[1] for click, owner in found.items() if owner}
    assert people.acknowledged <= set(owners)
    assert {click: owners[click] for click in wanted} == wanted
    books = await system.settled_books(issued=len(people.visitors.tokens))
    assert books.balanced, books
    engine = make_engine(system.sql_url, patience=5)
    async with engine.connect() as connection:
        told = (await connection.execute(select(outbox.c.click_id, outbox.c.event))).all()
        known = (await connection.execute(select(bot_users.c.telegram_id))).scalars().all()
        owned = (
            await connection.execute(select(clicks.c.id).where(clicks.c.owner_telegram_id.is_not(None)))
        ).all()
    await engine.dispose()
    assert set(Counter((row.click_id.hex, row.event) for row in told).values()) == {1}
    assert {row.click_id.hex for row in told} >= {row.id.hex for row in owned}
    assert set(owners.values()) <= set(known)
    checked = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "cli.main", "rollups", "check", "--json"],
        cwd=ROOT,
        env=os.environ | system.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert checked.returncode == 0, checked.stdout
