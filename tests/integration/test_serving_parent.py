"""The parent of serving processes, with small real processes in the place of `trilha serve`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.serving_child import WATCHDOG_SECONDS, Plan
from daemon.supervisor import CALM_SECONDS, Supervisor
from domain.clock import ManualClock
from domain.errors import ConfigError
from runtime.service_manager import ServiceManager
from runtime.settings import Settings, load_settings

PATIENCE = 30.0
_CHILD = """
import os, pathlib, signal, socket, sys, time
notify = os.environ["NOTIFY_SOCKET"]
number = int(pathlib.Path(notify).name.split(".")[0])
ways, *_ = [way for first, _, way in (each.partition(":") for each in sys.argv[1].split(",")) if number <= int(first)]
def say(text):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
        way.sendto(text, notify)
assert os.environ["LISTEN_PID"] == str(os.getpid()) and os.environ["LISTEN_FDNAMES"] == "public"
socket.socket(fileno=3).getsockname()
(pathlib.Path(notify).parent / f"{number}.pid").write_text(str(os.getpid()))
if ways == "fails":
    sys.exit(2)
say(b"READY=1\\nSTATUS=answering")
if ways == "dies":
    sys.exit(1)
if ways == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(600)
"""


class Parent:
    """A supervisor in this process; its children do as `ways` say: `1:dies,9:stays` is the first dies, up to the ninth stay."""

    def __init__(self, folder: Path, ways: str, processes: int) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.stop, self.reload = asyncio.Event(), asyncio.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        plan = Plan(
            command=[sys.executable, "-S", "-c", _CHILD, ways],
            environment=lambda: {"PATH": os.environ["PATH"]},
            sockets=(("public", self.listening),),
            folder=folder,
            clock=self.clock,
        )
        self.supervisor = Supervisor(plan, ServiceManager({}, self.clock), processes=processes)
        self.loaded: Callable[[], Settings] = lambda: load_settings({"TRILHA_SERVE_PROCESSES": "1"})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            await self.supervisor.start(self.stop)
            watching = asyncio.create_task(self.supervisor.run(self.stop, self.reload, self._load))
            yield
            self.stop.set()
            await watching
        finally:
            self.stop.set()
            await self.supervisor.stop()
            self.listening.close()

    def _load(self) -> Settings:
        return self.loaded()

    def pid(self, number: int) -> int:
        """Of the child with that number, once it was started; 0 before."""
        try:
            return int((self.folder / f"{number}.pid").read_text() or 0)
        except FileNotFoundError:
            return 0

    async def until_answers(self, number: int) -> int:
        """The process id of the child with that number, once it is one of those that answer."""
        await until(lambda: self.pid(number) > 0 and self.pid(number) in self.answering)
        return self.pid(number)

    @property
    def answering(self) -> list[int]:
        return [child.pid for child in self.supervisor._children]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_process_whose_loop_says_nothing_for_too_long_is_killed_and_replaced(tmp_path: Path) -> None:
    """It ignores SIGTERM, as one does whose loop stands still."""
    parent = Parent(tmp_path, "1:deaf,9:stays", 1)
    async with parent.running():
        stalled = await parent.until_answers(1)
        parent.clock.advance(WATCHDOG_SECONDS)
        await asyncio.sleep(0.3)  # several looks
        assert parent.answering == [stalled]
        parent.clock.advance(0.1)
        assert await parent.until_answers(2) != stalled
        assert not lives(stalled)


async def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "9:stays", 2)
    async with parent.running():
        first, second = await parent.until_answers(1), await parent.until_answers(2)
        os.kill(first, signal.SIGKILL)
        third = await parent.until_answers(3)
        assert sorted(parent.answering) == sorted([second, third])


async def test_those_that_die_young_are_started_ever_more_rarely_until_one_stays(tmp_path: Path) -> None:
    """The clock stands still, so the next one comes only when the wait is over: 0.2 s, 0.4 s, 0.8 s."""
    parent = Parent(tmp_path, "3:dies,9:stays", 1)
    async with parent.running():
        await until(lambda: parent.pid(2) > 0)  # the first death is answered at once
        for number, wait in ((3, 0.2), (4, 0.4)):
            await until(lambda: parent.answering == [])
            parent.clock.advance(wait / 2)
            await asyncio.sleep(0.3)
            assert parent.pid(number) == 0
            parent.clock.advance(wait / 2 + 0.001)
            await until(lambda number=number: parent.pid(number) > 0)  # type: ignore[misc]
        fourth = await parent.until_answers(4)
        parent.clock.advance(CALM_SECONDS + 1)
        os.kill(fourth, signal.SIGKILL)
        await parent.until_answers(5)


async def test_a_first_process_that_does_not_become_ready_is_an_error_and_leaves_nobody(
    tmp_path: Path,
) -> None:
    parent = Parent(tmp_path, "9:fails", 2)
    with pytest.raises(ConfigError, match="did not become ready"):
        async with parent.running():
            pass
    assert (parent.pid(2), lives(parent.pid(1))) == (0, False)


async def test_a_reload_whose_process_fails_leaves_the_old_ones_as_they_are(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "2:stays,3:fails,9:stays", 2)
    async with parent.running():
        before = [await parent.until_answers(1), await parent.until_answers(2)]
        parent.reload.set()
        await until(lambda: parent.pid(3) > 0 and not lives(parent.pid(3)))
        assert sorted(parent.answering) == sorted(before)
        parent.reload.set()  # mended
        await until(lambda: not any(map(lives, before)))
        await parent.until_answers(4)


async def test_a_reload_takes_up_another_number_of_processes(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "9:stays", 1)
    parent.loaded = lambda: load_settings({"TRILHA_SERVE_PROCESSES": "3"})
    async with parent.running():
        await parent.until_answers(1)
        parent.reload.set()
        await until(lambda: len(parent.answering) == 3)
        parent.loaded = lambda: load_settings({"TRILHA_SERVE_PROCESSES": "1"})
        parent.reload.set()
        await until(lambda: len(parent.answering) == 1)


async def test_nothing_of_a_process_is_left_in_the_folder_once_it_has_ended(tmp_path: Path) -> None:
    parent = Parent(tmp_path, "9:stays", 2)
    async with parent.running():
        pids = [await parent.until_answers(number) for number in (1, 2)]
    assert list(tmp_path.glob("*.notify")) == []
    assert not any(map(lives, pids))
