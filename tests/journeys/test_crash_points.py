"""SIGKILL at every named point of a click's way, on the real processes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from chaos.servers import ValkeyServer
from tests.system import BOT, System

BEFORE, AFTER, RATE = 20, 400, 400


@pytest.mark.parametrize("count", [1, 7])
@pytest.mark.parametrize("point", ["before_write", "after_write", "after_fsync", "after_302"])
async def test_a_daemon_killed_there_has_kept_every_click_that_it_answered(
    tmp_path: Path, own_valkey: ValkeyServer, point: str, count: int
) -> None:
    """I1, I8: Redis is emptied too. What was answered is in SQL afterwards, and the books balance."""
    made = await System.on_sqlite(tmp_path, own_valkey.url, deadline_ms="5000")
    made.start("serve", faults=["crash"])
    try:
        first = made.load(rate=RATE, seconds=BEFORE / RATE)
        await first.run()
        made.switches.on("crash", point=point, count=count)
        second = made.load(rate=RATE, seconds=AFTER / RATE)
        await second.run()
        assert made.processes["serve"].wait(20) == -signal.SIGKILL, "it did not die there: nothing was tested"
        assert second.errors > 0
        own_valkey.flush()
        made.start("serve", "work")
        books = await made.settled_books(issued=0)
        rows = await made.rows()
    finally:
        made.stop()
    answered = {made.click_id(token) for token in (*first.tokens, *second.tokens)}
    assert len(answered) >= BEFORE
    assert answered <= set(rows), f"{len(answered - set(rows))} answered clicks are missing"
    assert books.spooled == books.in_sql, books.faults
    assert books.balanced, books.faults


async def test_a_worker_killed_after_commit_and_before_trim_settles_again_without_effect(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    """I3, I4, I12: nothing is doubled, nothing is lost, and each conversion is there once."""
    made = await System.on_sqlite(tmp_path, own_valkey.url)
    made.start("serve")
    try:
        load = made.load(rate=RATE, seconds=AFTER / RATE)
        await load.run()
        async with made.api() as api:
            for token in load.tokens[:20]:
                await api.post("/v1/starts", json={"token": token, "bot": BOT, "telegram_id": 7})
        made.switches.before_start("crash", point="after_commit_before_trim", count=2)
        made.start("work", faults=["crash"])
        assert await asyncio.to_thread(made.processes["work"].wait, 20) == -signal.SIGKILL
        made.start("work")
        books = await made.settled_books(issued=load.total)
        rows, conversions = await made.rows(), await made.outbox_clicks()
    finally:
        made.stop()
    assert {made.click_id(token) for token in load.tokens} == set(rows)
    assert sorted(conversions) == sorted(made.click_id(token) for token in load.tokens[:20])
    assert books.balanced, books.faults
