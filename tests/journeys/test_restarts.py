"""Restarts, reloads and upgrades of `trilha serve` while people click: nobody is refused, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest_asyncio

from tests.restarting import KEEP_ALIVE_EVERY, Manager, Visitors, all_in_sql, this_release
from tests.system import System

RATE = 300


@pytest_asyncio.fixture
async def made(tmp_path: Path) -> AsyncIterator[System]:
    """On SQLite; with this deadline every answer is `synced` on a slow machine too."""
    system = await System.on_sqlite(tmp_path, "", deadline_ms="5000")
    yield system
    system.stop()


async def clicked_through(manager: Manager, change: Callable[[], Awaitable[None]]) -> Visitors:
    """`change` while visitors come and go; what they were told."""
    visitors = Visitors(manager.system.public, rate=RATE)
    coming = asyncio.create_task(visitors.run())
    try:
        await visitors.answered(RATE)
        await change()
        await visitors.answered(RATE)
    finally:
        visitors.leave()
        await coming
    return visitors


async def assert_nobody_felt_it(system: System, visitors: Visitors) -> None:
    """Kept connections that the server closed between requests were tried again, and count apart."""
    assert (visitors.refused, visitors.others, visitors.lost) == (0, [], []), (visitors.closed, system.logs())
    assert len(visitors.tokens) == visitors.sent
    # Most kept connections hear `connection: close` with their last answer.
    assert visitors.closed < visitors.sent / KEEP_ALIVE_EVERY
    system.start("work")
    assert await all_in_sql(system, visitors.tokens) == set()


async def ready(system: System) -> dict[str, object]:
    async with system.api() as api:
        return (await api.get("/readyz")).json()  # type: ignore[no-any-return]


async def test_a_restart_under_socket_activation_refuses_nobody(made: System) -> None:
    """The manager holds the sockets: while no process is there, connections wait in the queue."""
    manager = Manager(made)
    try:
        manager.start()
        await manager.until("READY=1")

        async def restart() -> None:
            assert await manager.ended() == 0
            manager.start()
            await manager.until("READY=1")

        visitors = await clicked_through(manager, restart)
        assert "STOPPING=1" in manager.heard
    finally:
        manager.close()
    await assert_nobody_felt_it(made, visitors)


async def test_a_reload_with_a_changed_setting_refuses_nobody_and_takes_effect(
    made: System, tmp_path: Path
) -> None:
    config = tmp_path / "trilha.toml"
    config.write_text('telegram_host = "t.me"\n')
    manager = Manager(made, TRILHA_CONFIG=str(config), TRILHA_SERVE_PROCESSES="2")
    try:
        manager.start()
        await manager.until("READY=1")
        before = {str((await ready(made))["process"]) for _ in range(5)}

        async def reload() -> None:
            config.write_text('telegram_host = "telegram.me"\n')
            manager.send(signal.SIGHUP)
            await manager.until("RELOADING=1")
            await manager.until("READY=1")

        visitors = await clicked_through(manager, reload)
        after = {str((await ready(made))["process"]) for _ in range(5)}
        async with made.api() as api:
            target = (await api.get(f"http://127.0.0.1:{made.public}/go/journey")).headers["location"]
    finally:
        manager.close()
    assert target.startswith("https://telegram.me/")
    assert not before & after
    await assert_nobody_felt_it(made, visitors)


async def test_an_upgrade_and_its_rollback_by_reload_refuse_nobody(made: System, tmp_path: Path) -> None:
    """What is on the disk changes, as `pip install` does it; a reload takes it up."""
    for version in ("1.0.0", "1.1.0"):
        (tmp_path / version).mkdir()
        this_release(tmp_path / version, version)
    current = tmp_path / "current"

    def install(version: str) -> None:
        (tmp_path / "next").symlink_to(tmp_path / version)
        (tmp_path / "next").rename(current)

    install("1.0.0")
    manager = Manager(made, pythonpath=current, TRILHA_SERVE_PROCESSES="1")
    versions = []
    try:
        manager.start()
        await manager.until("READY=1")
        versions.append((await ready(made))["version"])

        async def there_and_back() -> None:
            for version in ("1.1.0", "1.0.0"):
                install(version)
                manager.send(signal.SIGHUP)
                await manager.until("RELOADING=1")
                await manager.until("READY=1")
                versions.append((await ready(made))["version"])

        visitors = await clicked_through(manager, there_and_back)
    finally:
        manager.close()
    assert versions == ["1.0.0", "1.1.0", "1.0.0"]
    await assert_nobody_felt_it(made, visitors)


async def test_a_reload_with_a_mistake_keeps_the_old_processes_and_says_what_it_is(
    made: System, tmp_path: Path
) -> None:
    config = tmp_path / "trilha.toml"
    config.write_text("")
    manager = Manager(made, TRILHA_CONFIG=str(config), TRILHA_SERVE_PROCESSES="1")
    try:
        manager.start()
        await manager.until("READY=1")
        before = (await ready(made))["process"]
        config.write_text('ack = "perhaps"\n')
        manager.send(signal.SIGHUP)
        await manager.until("RELOADING=1")
        await manager.until("READY=1")
        assert (await ready(made))["process"] == before
        assert "TRILHA_ACK" in made.logs()
        assert "the reload is refused" in made.logs()
    finally:
        manager.close()


async def test_a_process_that_is_killed_is_replaced_and_its_clicks_stay(made: System) -> None:
    manager = Manager(made, TRILHA_SERVE_PROCESSES="2")
    try:
        manager.start()
        await manager.until("READY=1")
        visitors = Visitors(made.public, rate=100)
        coming = asyncio.create_task(visitors.run())
        await visitors.answered(50)
        killed = int(str((await ready(made))["process"]))
        os.kill(killed, signal.SIGKILL)
        await manager.until("STATUS=2 of 2 processes answer")
        await visitors.answered(50)
        visitors.leave()
        await coming
    finally:
        manager.close()
    assert (visitors.refused, visitors.others) == (0, [])
    made.start("work")
    assert await all_in_sql(made, visitors.tokens) == set()


async def test_the_end_of_the_parent_is_the_end_of_its_processes(made: System) -> None:
    """Also when it is killed: nobody serves with sockets that no manager knows of."""
    manager = Manager(made, TRILHA_SERVE_PROCESSES="1")
    try:
        manager.start()
        await manager.until("READY=1")
        child = int(str((await ready(made))["process"]))
        assert manager.process is not None
        manager.process.kill()
        manager.process.wait()
        async with asyncio.timeout(30):
            while Path(f"/proc/{child}").exists() and "Z" not in _state(child):
                await asyncio.sleep(0.05)
    finally:
        manager.close()


async def test_metrics_of_all_processes_are_shown_by_whichever_is_asked(made: System) -> None:
    """Their sum is what the visitors got, and a process that is gone is shown no more."""
    manager = Manager(made, TRILHA_SERVE_PROCESSES="2")
    visitors = Visitors(made.public, rate=RATE)
    try:
        manager.start()
        await manager.until("READY=1")
        coming = asyncio.create_task(visitors.run())
        await visitors.answered(RATE)
        visitors.leave()
        await coming
        page = await metrics(made)
        redirected = processes(page, 'trilha_redirects_total{outcome="redirected"}')
        killed = int(str((await ready(made))["process"]))
        os.kill(killed, signal.SIGKILL)
        await manager.until("STATUS=2 of 2 processes answer")
        after = processes(await metrics(made), "trilha_ring_waiting")
    finally:
        manager.close()
    assert sum(redirected.values()) == len(visitors.tokens) == visitors.sent
    assert page.count("# TYPE trilha_ring_waiting gauge") == 1
    assert len(processes(page, "trilha_ring_waiting")) == 2
    assert len(after) == 2
    assert str(killed) not in after


async def test_sighup_to_a_single_process_ends_nothing_and_says_so(made: System) -> None:
    manager = Manager(made)
    try:
        manager.start()
        await manager.until("READY=1")
        before = (await ready(made))["process"]
        manager.send(signal.SIGHUP)
        await manager.until("RELOADING=1")
        await manager.until("READY=1")
        assert (await ready(made))["process"] == before
        assert "SIGHUP changes nothing here" in made.logs()
    finally:
        manager.close()


async def metrics(system: System) -> str:
    async with system.api() as api:
        return (await api.get("/metrics")).text


def processes(page: str, sample: str) -> dict[str, float]:
    """The values of a sample by the process that it is of."""
    name, _, labels = sample.partition("{")
    more = f",{labels}" if labels else "}"
    pattern = rf'^{name}{{process="(\d+)"{re.escape(more)} (\S+)$'
    return {pid: float(value) for pid, value in re.findall(pattern, page, re.MULTILINE)}


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
