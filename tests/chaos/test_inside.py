"""Faults within a process: each is off until its switch is on, does what it says while it is, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import select

from backends.sql.engine import make_engine
from backends.sql.pixels import SqlPixels
from backends.sql.schema import outbox
from chaos.inside.faults import FAULTS
from chaos.inside.switches import Switches, SwitchFailed
from chaos.servers import ValkeyServer
from domain.ids import uuid7_ms
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, PixelTokens
from tests.meta.server import FakeMeta
from tests.system import BOT, ROOT, System

HOUR_MS = 3_600_000
PIXEL = "1234567890"  # of the system's link
TOKEN = "EAAtestZCOnlyZBnoRealTokenAtAll0123456789ZDZD"


@pytest.fixture
def switches(tmp_path: Path) -> Switches:
    return Switches(tmp_path / "switches")


@pytest_asyncio.fixture
async def system(tmp_path: Path, valkey_url: str) -> AsyncIterator[System]:
    made = await System.on_sqlite(tmp_path, valkey_url, deadline_ms="5000")
    yield made
    made.stop()


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that this test may kill."""
    with ValkeyServer() as server:
        yield server


async def tokens(system: System, number: int = 5) -> list[str]:
    """Of so many clicks, one after the other."""
    load = system.load(rate=1000, seconds=number / 1000)
    await load.burst(1)
    return load.tokens


async def tiers(system: System) -> dict[str, str]:
    async with system.api() as api:
        found: dict[str, str] = (await api.get("/readyz")).json()["tiers"]
        return found


async def until(wanted: object, ask) -> None:
    deadline = time.monotonic() + 15
    while (found := await ask()) != wanted:
        assert time.monotonic() < deadline, f"it stays {found}"
        await asyncio.sleep(0.05)


async def receipts(system: System, durability: str) -> float:
    """How many clicks were answered with that durability."""
    async with system.api() as api:
        text = (await api.get("/metrics")).text
    lines = [line for line in text.splitlines() if "receipt" in line and f'durability="{durability}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if "_created" not in line)


async def with_token(system: System) -> None:
    """The link's pixel has its token, as `trilha pixel add` gives it."""
    engine = make_engine(system.sql_url, patience=5)
    sealed = PixelTokens(Keyring(system.settings.secrets, system.clock)).seal(PIXEL, Credentials(token=TOKEN))
    await SqlPixels(engine).put(PIXEL, sealed, at_ms=system.clock.now_ms())
    await engine.dispose()


async def outbox_states(system: System) -> list[str]:
    engine = make_engine(system.sql_url, patience=5)
    async with engine.connect() as connection:
        found = list((await connection.execute(select(outbox.c.state))).scalars())
    await engine.dispose()
    return found


# ------------------------------------------------------------ switches


def test_a_switch_that_nobody_watches_is_an_error(switches: Switches) -> None:
    with pytest.raises(SwitchFailed, match="no process knows"):
        switches.on("stall", ms=1)


def test_a_process_hears_the_settings_before_on_returns_and_none_before_off_does(switches: Switches) -> None:
    heard: list[object] = []
    switches.watch("stall", heard.append)
    switches.start()
    switches.on("stall", ms=1)
    switches.on("stall", ms=1)
    switches.off("stall")
    assert heard == [{"ms": 1}, {"ms": 1}, None]


def test_what_was_on_before_a_process_began_is_on_in_it_at_once(switches: Switches) -> None:
    heard: list[object] = []
    switches.before_start("stall", ms=2)
    switches.watch("stall", heard.append)
    assert heard == [{"ms": 2}]


def test_a_fault_that_cannot_do_what_it_is_told_says_so_to_the_drill(switches: Switches) -> None:
    def refuse(_: object) -> None:
        raise ValueError("no such thing")

    switches.watch("stall", refuse)
    switches.start()
    with pytest.raises(SwitchFailed, match="no such thing"):
        switches.on("stall", ms=1)


@pytest.fixture
def deaf(switches: Switches, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has watched, and does not look any more."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / "switches" / f"stall.{child.pid}.seen").symlink_to("off")
    yield child
    child.kill()
    child.communicate()


def test_a_process_that_does_not_answer_is_an_error_and_one_that_is_dead_is_not(
    switches: Switches, deaf: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaos.inside.switches.LIMIT_SECONDS", 0.1)
    with pytest.raises(SwitchFailed, match="did not see"):
        switches.on("stall", ms=1)
    deaf.kill()  # and nobody has waited for it yet: it is a zombie
    while deaf.poll() is None:
        pass
    switches.off("stall")


# ------------------------------------------------------------ the front door


@pytest.mark.parametrize(
    "arguments",
    [[], ["crash"], ["crash", "--"], ["nothing", "--", "serve"], ["sabotage:nothing", "--", "serve"]],
)
def test_what_it_does_not_understand_is_answered_with_what_there_is(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chaos.inside", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "usage: " in done.stderr
    assert all(name in done.stderr for name in (*FAULTS, "sabotage:ack_before_fsync"))


def test_faults_without_a_folder_of_switches_are_refused() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CHAOS_SWITCHES"}
    command = [sys.executable, "-m", "chaos.inside", "stall", "--", "serve"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "CHAOS_SWITCHES must name the folder of the switches\n")


def test_every_fault_says_what_it_models() -> None:
    for fault in FAULTS.values():
        described = sys.modules[fault.__module__].__doc__  # type: ignore[attr-defined]
        assert described
        assert re.search(r"\b[Mm]odels\b", described), fault


async def test_with_every_fault_possible_and_none_on_nothing_is_different(system: System) -> None:
    system.start("serve", "work", faults=sorted(FAULTS))
    answered = {system.click_id(token) for token in await tokens(system, 50)}
    books = await system.settled_books(issued=50)
    assert (len(answered), set(await system.rows()), books.balanced) == (50, answered, True)
    system.stop()
    assert [process.returncode for process in system.processes.values()] == [0, 0]


# ------------------------------------------------------------ the faults


async def test_a_full_disk_of_the_spools_lets_clicks_into_sql_and_the_spool_comes_back(
    system: System,
) -> None:
    system.start("serve", faults=["disk"])
    await tokens(system)
    for settings in ({"write": "full"}, {"write": "io"}, {"sync": "io"}):
        system.switches.on("disk", **settings)
        assert len(await tokens(system)) == 5
        assert (await tiers(system))["disk"] == "open"
        system.switches.off("disk")
        await until("closed", lambda: _tier(system, "disk"))
    rows = await system.rows()
    assert len(rows) == 15


async def _tier(system: System, name: str) -> str:
    return (await tiers(system))[name]


async def test_a_failing_disk_of_sql_leaves_the_spool_alone(system: System) -> None:
    system.start("serve", "work", faults=["disk"])
    system.switches.on("disk", of="sql", write="full")
    answered = {system.click_id(token) for token in await tokens(system, 20)}
    async with system.api() as api:
        deferred = await api.post(
            "/v1/starts", json={"token": (await tokens(system, 1))[0], "bot": BOT, "telegram_id": 7}
        )
    assert deferred.json()["state"] == "deferred"
    assert await system.rows() == {}
    system.switches.off("disk")
    await system.settled_books(issued=21)
    assert answered < set(await system.rows())


async def test_a_slow_fsync_makes_each_click_wait_for_it(system: System) -> None:
    system.start("serve", faults=["disk"])
    await tokens(system)
    system.switches.on("disk", sync_ms=100)
    began = time.monotonic()
    await tokens(system, 3)
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(("synced", "kept"), [("full", True), ("normal", False)])
async def test_a_power_cut_takes_what_was_not_synced(tmp_path: Path, synced: str, kept: bool) -> None:
    """With the promise of fsync every answered click is there afterwards; the other case shows that the cut takes something."""
    system = await System.on_sqlite(tmp_path, "", deadline_ms="5000", spool_sync=synced)
    system.start("serve", faults=["disk:power"])
    try:
        answered = {system.click_id(token) for token in await tokens(system, 30)}
        system.switches.on("disk", power=True)
        assert system.processes["serve"].wait(10) == -signal.SIGKILL
        system.start("serve", "work")
        await system.settled_books(issued=0, clicks=30 if kept else 0)
        assert (answered <= set(await system.rows())) is kept
    finally:
        system.stop()


async def test_a_power_cut_without_a_memory_is_refused_and_the_process_lives(system: System) -> None:
    system.start("serve", faults=["disk"])
    with pytest.raises(SwitchFailed, match="does not remember"):
        system.switches.on("disk", power=True)
    assert len(await tokens(system)) == 5


async def test_a_stalled_loop_answers_nothing_meanwhile(system: System) -> None:
    system.start("serve", faults=["stall"])
    await tokens(system)
    system.switches.on("stall", ms=300, every_s=0.31)
    began = time.monotonic()
    await tokens(system, 3)
    assert time.monotonic() - began >= 0.3
    system.switches.off("stall")
    assert len(await tokens(system)) == 5


@pytest.mark.parametrize("seconds", [3600, -3600])
async def test_the_wall_clock_jumps_and_jumps_back(system: System, seconds: int) -> None:
    system.start("serve", faults=["clock"])
    jumps = []
    for change in (
        lambda: None,
        lambda: system.switches.on("clock", seconds=seconds),
        lambda: system.switches.off("clock"),
    ):
        change()
        token = (await tokens(system, 1))[0]
        jumps.append(round((uuid7_ms(_id(system, token)) - system.clock.now_ms()) / HOUR_MS))
    assert jumps == [0, seconds * 1000 // HOUR_MS, 0]


def _id(system: System, token: str) -> UUID:
    return UUID(hex=system.click_id(token))


async def test_without_descriptors_no_connection_is_accepted_and_those_that_are_open_go_on(
    system: System,
) -> None:
    system.start("serve", faults=["files"])
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{system.public}", timeout=2) as client:
        assert (await client.get("/go/journey")).status_code == 302
        system.switches.on("files")
        assert (await client.get("/go/journey")).status_code == 302
        with socket.create_connection(("127.0.0.1", system.public), 1) as refused:
            refused.settimeout(0.3)
            refused.sendall(b"GET /go/journey HTTP/1.1\r\nhost: go.example\r\n\r\n")
            assert _answer(refused) == b""
        system.switches.off("files")
        assert len(await tokens(system)) == 5


def _answer(connection: socket.socket) -> bytes:
    """The first bytes; none when they do not come."""
    try:
        return connection.recv(100)
    except OSError:
        return b""


@pytest.mark.parametrize("settings", [{}, {"hang_s": 30}])
async def test_without_names_redis_is_not_reached_again_once_its_connection_is_gone(
    tmp_path: Path, own_valkey: ValkeyServer, settings: dict[str, float]
) -> None:
    system = await System.on_sqlite(tmp_path, own_valkey.url.replace("127.0.0.1", "localhost"))
    system.start("serve", faults=["dns"])

    async def clicked() -> str:
        await tokens(system)
        return (await tiers(system))["redis"]

    try:
        await tokens(system)
        assert own_valkey.command("DBSIZE") != b":0"
        system.switches.on("dns", **settings)
        own_valkey.kill()
        own_valkey.start()
        await until("open", clicked)
        await asyncio.sleep(1.5)  # longer than a breaker's first rest
        assert own_valkey.command("DBSIZE") == b":0"
        system.switches.off("dns")
        await until("closed", clicked)
    finally:
        system.stop()


async def test_a_process_killed_after_a_start_was_committed_has_bound_it_and_the_next_call_says_so(
    system: System,
) -> None:
    """I2: the answer is lost, the owner is not."""
    system.start("serve", faults=["crash"])
    start = {"token": (await tokens(system, 1))[0], "bot": BOT, "telegram_id": 7}
    system.switches.on("crash", point="bot_after_upsert")
    async with system.api() as api:
        with pytest.raises(httpx2.TransportError):
            await api.post("/v1/starts", json=start)
    assert system.processes["serve"].wait(10) == -signal.SIGKILL
    assert set((await system.rows()).values()) == {(1, 7)}
    system.start("serve")
    async with system.api() as api:
        assert (await api.post("/v1/starts", json=start)).json()["owner"] is True
        other = await api.post("/v1/starts", json=start | {"telegram_id": 8})
    assert other.json()["owner"] is False


async def test_a_worker_killed_between_a_destinations_answer_and_its_mark_sends_the_same_event_again(
    tmp_path: Path, valkey_url: str, meta: FakeMeta
) -> None:
    """The event has its id both times: Meta counts it once."""
    system = await System.on_sqlite(tmp_path, valkey_url, meta_url=meta.url)
    meta.add_pixel(PIXEL, TOKEN)
    await with_token(system)
    system.start("serve")
    try:
        async with system.api() as api:
            await api.post(
                "/v1/starts", json={"token": (await tokens(system, 1))[0], "bot": BOT, "telegram_id": 7}
            )
        system.switches.before_start("crash", point="relay_after_send")
        system.start("work", faults=["crash"])
        assert await asyncio.to_thread(system.processes["work"].wait, 20) == -signal.SIGKILL
        states = await outbox_states(system)
    finally:
        system.stop()
    assert len(meta.accepted) == 1
    assert states == ["pending"]
