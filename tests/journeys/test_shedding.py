"""More redirects at once than the stores keep up with: everybody is sent on, and what was shed arrives later, whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.system import Load, System

CLICKS = 400
CONNECTIONS = 32


async def shed(system: System) -> dict[str, int]:
    """Redirects that kept less, by level, as the daemon counts them."""
    async with system.api() as api:
        page = (await api.get("/metrics")).text
    found = re.findall(r'^trilha_redirects_shed_total\{level="(\w+)"\} ([0-9.]+)$', page, re.MULTILINE)
    return {level: int(float(value)) for level, value in found}


async def crowded(system: System) -> Load:
    """A burst on a spool whose every fsync takes its time, with room for two who wait for it."""
    system.start("serve", faults=["disk"])
    system.switches.on("disk", sync_ms=40)
    load = Load(system.public, rate=0, total=CLICKS)
    await load.burst(CONNECTIONS)
    assert (load.errors, load.others, len(set(load.tokens))) == (0, [], CLICKS)
    return load


async def test_shed_clicks_reach_sql_with_everything_and_the_books_balance(tmp_path: Path) -> None:
    """I8, I9, I11: what was shed is promised nothing, and is kept all the same."""
    system = await System.on_sqlite(tmp_path, "", deadline_ms="5000", redirects_at_once="2")
    try:
        load = await crowded(system)
        levels = await shed(system)
        system.switches.off("disk")
        system.start("work")
        books = await system.settled_books(issued=CLICKS, clicks=CLICKS)
        rows = await system.rows()
    finally:
        system.stop()
    assert levels["later"] > CLICKS / 2
    assert levels.get("token", 0) == 0
    assert books.faults == []
    assert (books.issued, books.token_only) == (CLICKS, levels["later"])
    assert {system.click_id(token) for token in load.tokens} == set(rows)


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_an_orderly_end_loses_no_shed_click_and_a_kill_those_that_were_promised_nothing(
    tmp_path: Path, end: str
) -> None:
    system = await System.on_sqlite(tmp_path, "", deadline_ms="5000", redirects_at_once="1")
    try:
        load = await crowded(system)
        levels = await shed(system)
        system.kill("serve") if end == "kill" else system.stop()
        system.start("work")
        kept = CLICKS if end == "stop" else CLICKS - levels["later"]
        await system.settled_books(issued=0, clicks=kept)
        rows = set(await system.rows())
    finally:
        system.stop()
    assert rows <= {system.click_id(token) for token in load.tokens}
    assert kept <= len(rows) <= CLICKS
