"""SIGKILL the daemon under load, and start it again."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.servers import ValkeyServer
from tests.system import ROOT, System


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


async def test_a_second_daemon_on_the_same_spool_is_refused_with_a_clear_error(
    tmp_path: Path, own_valkey: ValkeyServer
) -> None:
    """Two writers on one spool would break its counts: the second ends with exit code 2 and says what to change."""
    made = await System.on_sqlite(tmp_path, own_valkey.url)
    made.start("serve")
    try:
        second = System(made.home, made.sql_url, own_valkey.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            "serve",
            cwd=ROOT,
            env=os.environ | second.environment,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
    finally:
        made.stop()
    assert process.returncode == 2
    assert "TRILHA_SPOOL_DIR" in said.decode()
