"""`trilha work`, a process of its own, shows how it is where TRILHA_WORK_BIND says, and listens nowhere without it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import psutil

from chaos.servers import HOST, free_port
from runtime.lifecycle import GIVE_WAY
from runtime.settings import child_environment
from tests.bot.office import until
from tests.daemon_fixture import Site


@asynccontextmanager
async def worker(site: Site, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process; it is gone afterwards."""
    given = site.settings
    names = ("home_dir", "sql_url", "private_bind", "public_bind")
    known = {name: str(getattr(given, name)) for name in names if getattr(given, name) is not None}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "work"),
        env=child_environment(**known, **more),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def told(url: str) -> httpx2.Response | None:
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        try:
            return await client.get(url)
        except httpx2.HTTPError:
            return None


async def test_health_and_metrics_of_delivery_are_where_the_setting_says(site: Site) -> None:
    port = free_port()
    async with worker(site, work_bind=f"{HOST}:{port}") as process, asyncio.timeout(30):
        while (ready := await told(f"http://{HOST}:{port}/readyz")) is None:
            assert process.returncode is None
            await asyncio.sleep(0.05)
        while 'trilha_lanes{state="ok"}' not in (shown := await told(f"http://{HOST}:{port}/metrics")).text:
            await asyncio.sleep(0.05)
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "leads": True})
        assert "trilha_deliveries_pending 0.0" in shown.text
        assert psutil.Process(process.pid).nice() >= GIVE_WAY, "a backlog must not slow redirects"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_taken_port_is_a_clear_error(site: Site) -> None:
    server = await asyncio.start_server(lambda _r, _w: None, HOST, 0)
    host, port = server.sockets[0].getsockname()
    async with worker(site, work_bind=f"{host}:{port}") as process:
        _, said = await asyncio.wait_for(process.communicate(), 30)
    server.close()
    assert process.returncode == 2
    assert "TRILHA_WORK_BIND" in said.decode()


async def test_without_the_setting_it_listens_nowhere(site: Site) -> None:
    async with worker(site) as process:
        inside = psutil.Process(process.pid)
        await until(lambda: inside.num_threads() > 3 or process.returncode is not None)
        assert [held for held in inside.net_connections() if held.status == psutil.CONN_LISTEN] == []
