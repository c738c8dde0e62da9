"""SIGKILL the daemon under load, and start it again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from backends.spool import spools_under
from chaos.servers import ValkeyServer
from tests.system import POLL, SETTLE_SECONDS, System


async def test_every_acknowledged_click_of_before_the_kill_is_in_sql_afterwards(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    """I1: with a deadline that no put misses, every answer was `synced`; none of them may be missing after kill -9."""
    made = await System.on_sqlite(tmp_path, own_valkey.url, deadline_ms="5000")
    # Nothing is settled before the kill: what is in SQL afterwards came through the spool alone.
    made.start("serve")
    try:
        before = made.load(rate=1000, seconds=3)
        running = asyncio.create_task(before.run())
        while len(before.tokens) < 1000:
            await asyncio.sleep(0.005)
        made.kill("serve")
        await running
        assert before.errors > 0, "the daemon died under load, so some visitors must have felt it"
        made.start("serve", "work")
        after = made.load(rate=200, seconds=1)
        await after.run()
        books = await made.settled_books(issued=after.total)
        rows = await made.rows()
    finally:
        made.stop()
    answered = {made.click_id(token) for token in (*before.tokens, *after.tokens)}
    assert books.token_only == 0
    assert answered <= set(rows), f"{len(answered - set(rows))} acknowledged clicks are missing"
    assert books.spooled == books.in_sql, books.faults
    assert books.balanced, books.faults


async def test_two_daemons_of_one_home_keep_their_clicks_apart_and_one_worker_settles_both(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    """Each process has a spool of its own; when one dies its spool is adopted, settled and removed."""
    # With this deadline every answer is `synced`: what only the ring of the killed one held would rightly be gone.
    made = await System.on_sqlite(tmp_path, own_valkey.url, deadline_ms="5000")
    second = System(made.home, made.sql_url, own_valkey.url, extra=made.extra)
    made.start("serve")
    second.start("serve")
    try:
        loads = [made.load(rate=100, seconds=1), second.load(rate=100, seconds=1)]
        await asyncio.gather(*(load.run() for load in loads))
        folders = spools_under(made.settings.spools)
        second.kill("serve")
        made.start("work")
        books = await made.settled_books(issued=100, clicks=200)
        await gone(folders)
        rows = await made.rows()
    finally:
        second.stop()
        made.stop()
    assert len(folders) == 2
    assert books.token_only == 0
    assert {made.click_id(token) for load in loads for token in load.tokens} == set(rows)
    assert books.balanced, books.faults


async def gone(folders: list[Path]) -> None:
    """Wait until only one of them is left."""
    async with asyncio.timeout(SETTLE_SECONDS):
        while sum(folder.exists() for folder in folders) > 1:
            await asyncio.sleep(POLL)
