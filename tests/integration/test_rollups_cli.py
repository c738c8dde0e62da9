"""trilha rollups, as the operator's hands use it, beside a worker that keeps them up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import update

from backends.sql.rollup_schema import rollup_days, rollup_hours
from daemon.worker import work
from tests.daemon_fixture import Door, Site

ROOT = Path(__file__).parents[2]
SOON = 20.0


def trilha(site: Site, *words: str, code: int = 0, zone: str = "America/Sao_Paulo") -> str:
    environment = os.environ | {
        "TRILHA_HOME_DIR": str(site.settings.home_dir),
        "TRILHA_SQL_URL": site.settings.sql,
        "TRILHA_TIMEZONE": zone,
    }
    command = [sys.executable, "-m", "cli.main", "rollups", *words]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def read(site: Site, *words: str, code: int = 0, zone: str = "America/Sao_Paulo") -> Any:
    return json.loads(trilha(site, *words, "--json", code=code, zone=zone))


async def clicks_of(site: Site) -> list[int]:
    return [row.clicks for row in await site.rows(rollup_hours) if row.trait == ""]


async def test_the_worker_folds_what_it_settles_while_it_runs_and_when_it_stops(
    site: Site, door: Door
) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(work(site.settings, site.clock, stop))
    for _ in range(3):
        await door.click("fbclid=IwAR2F4dbP0l7Mn1")
    async with asyncio.timeout(SOON):
        while await clicks_of(site) != [3]:
            await asyncio.sleep(0.05)
    await door.click("fbclid=IwAR2F4dbP0l7Mn1")
    stop.set()
    await working
    assert await clicks_of(site) == [4]
    assert read(site, "check")["differences"] == []


async def test_status_check_and_rebuild_say_how_it_is_and_mend_it(site: Site, door: Door) -> None:
    await door.click("fbclid=IwAR2F4dbP0l7Mn1")
    assert read(site, "status") == {"waiting": 0, "zone": None, "wanted_zone": "America/Sao_Paulo"}
    stop = asyncio.Event()
    stop.set()
    await work(site.settings, site.clock, stop)
    assert "All agree." in trilha(site, "check")
    async with site.engine() as engine, engine.begin() as connection:
        await connection.execute(update(rollup_days).where(rollup_days.c.trait == "app").values(clicks=9))
    [wrong] = read(site, "check", code=1)["differences"]
    assert (wrong["rollup"], wrong["kept"][0], wrong["counted"][0]) == ("rollup_days", 9, 1)
    assert "figures that differ: 1" in trilha(site, "check", code=1)
    assert "TRILHA_TIMEZONE says Asia/Tokyo" in trilha(site, "status", zone="Asia/Tokyo")
    assert read(site, "rebuild", zone="Asia/Tokyo") == {"rows": 1, "zone": "Asia/Tokyo"}
    assert read(site, "check") | {"rows": 0} == {
        "zone": "Asia/Tokyo",
        "rows": 0,
        "waiting": 0,
        "buckets": 18,
        "differences": [],
    }
