"""The parent of several serving processes: it holds the sockets, answers nothing itself, and replaces its processes.

A reload (SIGHUP) starts one process more, waits until it answers, and then ends one of the old ones; so one after the
other. What does not become ready changes nothing: the old ones go on. New processes run the code that is on the disk then.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from daemon.listeners import HandedOver
from daemon.serving_child import Plan, ServingChild
from domain.clock import Clock
from domain.errors import ConfigError
from runtime.lifecycle import longer_waits
from runtime.logs import get_logger
from runtime.service_manager import ServiceManager
from runtime.settings import Settings, child_environment

READY_SECONDS = 60.0
STOP_SECONDS = 20.0
WATCH_SECONDS = 0.1
CALM_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0
# A unix socket's path has room for 108 bytes on Linux, 104 elsewhere.
LONGEST_FOLDER = 80
_log = get_logger("trilha.supervisor")


class Supervisor:
    """Keeps `processes` serving processes, all of which answer at the same sockets."""

    def __init__(self, plan: Plan, service: ServiceManager, *, processes: int) -> None:
        self._plan = plan
        self._service = service
        self._wanted = processes
        self._numbers = count(1)
        self._children: list[ServingChild] = []
        self._ending: set[ServingChild] = set()
        self._waits = longer_waits(FIRST_WAIT, LONGEST_WAIT)
        self._not_before = 0.0

    async def start(self, stop: asyncio.Event) -> None:
        """All of them, the first alone. ConfigError when that one does not become ready: its own words stand in the log."""
        if not await self._add(stop) and not stop.is_set():
            raise ConfigError("a serving process did not become ready; the lines before this one say why")
        await asyncio.gather(*(self._add(stop) for _ in range(self._wanted - len(self._children))))
        if not stop.is_set():
            self._service.ready(self._state)

    async def run(self, stop: asyncio.Event, reload: asyncio.Event, load: Callable[[], Settings]) -> None:
        """Until `stop`: start again what dies; at each `reload`, replace all. `load` reads the settings anew."""
        while not stop.is_set():
            self._bury()
            if reload.is_set():
                reload.clear()
                await self._reload(stop, load)
            elif len(self._children) < self._wanted and self._now() >= self._not_before:
                await self._refill(stop)
            await _either(stop, reload, WATCH_SECONDS)

    async def stop(self) -> None:
        """End all, at once; each finishes what is in flight."""
        await asyncio.gather(*(child.end(STOP_SECONDS) for child in (*self._children, *self._ending)))
        self._children.clear()

    async def _reload(self, stop: asyncio.Event, load: Callable[[], Settings]) -> None:
        self._service.reloading()
        _log.info("a reload begins", processes=len(self._children))
        done = await self._replaced(list(self._children), stop)
        if done:
            self._resize(load)
            for child in self._children[self._wanted :]:
                await self._retire(child)
            while len(self._children) < self._wanted and await self._add(stop):
                pass
        if not stop.is_set():
            self._service.ready(self._state if done else f"{self._state}; the last reload was refused")
            _log.info("the reload has ended", done=done, processes=len(self._children))

    async def _replaced(self, old: list[ServingChild], stop: asyncio.Event) -> bool:
        for child in old:
            if not await self._add(stop):
                if not stop.is_set():
                    _log.error(
                        "the reload is refused: a new process did not become ready, and the old ones go on. "
                        "The lines before this one say why"
                    )
                return False
            await self._retire(child)
        return True

    def _resize(self, load: Callable[[], Settings]) -> None:
        """How many there are to be from now on; as before if this code cannot read the settings of a newer one."""
        try:
            asked = load().serve_processes
        except ConfigError as error:
            _log.warning("the parent keeps its own settings", reason=str(error))
            return
        if asked > 0:
            self._wanted = asked
        else:
            _log.warning("TRILHA_SERVE_PROCESSES=0 takes a restart", processes=self._wanted)

    async def _add(self, stop: asyncio.Event) -> bool:
        """One more process, if it becomes ready."""
        child = ServingChild(self._plan, next(self._numbers))
        self._ending.add(child)  # until it is one of us it is one to be ended
        try:
            await child.start()
            ready = await child.until_ready(READY_SECONDS, stop)
        except OSError as error:
            _log.error("a serving process cannot be started", error=str(error))
            ready = False
        if ready:
            self._ending.discard(child)
            self._children.append(child)
        elif not stop.is_set():
            _log.warning("a serving process did not become ready", process=child.pid, code=child.code)
            await self._retire(child)
        return ready

    async def _retire(self, child: ServingChild) -> None:
        self._ending.add(child)
        if child in self._children:
            self._children.remove(child)
        await child.end(STOP_SECONDS)
        self._ending.discard(child)

    async def _refill(self, stop: asyncio.Event) -> None:
        """One of those that are missing; the longer apart, the more often they die young."""
        self._not_before = self._now() + next(self._waits)
        if await self._add(stop):
            self._service.status(self._state)

    def _bury(self) -> None:
        for child in list(self._children):
            if child.stalled:
                _log.error("a serving process has stalled and is killed", process=child.pid)
                child.kill()
            if child.code is not None:
                _log.error("a serving process has died", process=child.pid, code=child.code)
                self._children.remove(child)
                child.forget()
                if self._now() - child.started > CALM_SECONDS:
                    self._waits = longer_waits(FIRST_WAIT, LONGEST_WAIT)

    @property
    def _state(self) -> str:
        return f"{len(self._children)} of {self._wanted} processes answer"

    def _now(self) -> float:
        return self._plan.clock.monotonic()


async def supervise(
    settings: Settings,
    clock: Clock,
    stop: asyncio.Event,
    *,
    service: ServiceManager,
    handed: HandedOver,
    reload: asyncio.Event,
    load: Callable[[], Settings],
) -> None:
    """`trilha serve` with TRILHA_SERVE_PROCESSES of them, until `stop`. ConfigError: a taken port, a first one that fails."""
    listeners = {
        "public": handed.listener("public", settings.public_bind, "TRILHA_PUBLIC_BIND"),
        "private": handed.listener("private", settings.private_bind, "TRILHA_PRIVATE_BIND"),
    }
    with _folder(settings.home_dir / "run") as folder:
        plan = Plan(
            command=[sys.executable, "-m", "cli.main", "serve"],
            environment=lambda: child_environment(serve_processes="0", serve_peers=str(folder)),
            sockets=tuple((name, each) for name, found in listeners.items() for each in found.sockets),
            folder=folder,
            clock=clock,
        )
        supervisor = Supervisor(plan, service, processes=settings.serve_processes)
        try:
            await supervisor.start(stop)
            await supervisor.run(stop, reload, load)
        finally:
            await supervisor.stop()
            for _, each in plan.sockets:
                each.close()


@contextmanager
def _folder(run: Path) -> Iterator[Path]:
    """A folder of this parent's, 0700, for the sockets of its processes; those of parents that were killed go."""
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in run.glob("serve-*"):
        if not _lives(left.name.removeprefix("serve-")):
            shutil.rmtree(left, ignore_errors=True)
    folder = run.absolute() / f"serve-{os.getpid()}"
    if len(str(folder)) > LONGEST_FOLDER:
        folder = Path(tempfile.mkdtemp(prefix="trilha-serve-"))
    else:
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier life with this process id
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: str) -> bool:
    if not pid.isdigit():
        return True
    with suppress(PermissionError):
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return False
    return True


async def _either(stop: asyncio.Event, reload: asyncio.Event, seconds: float) -> None:
    """Wait for either, no longer than that."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (stop, reload)]
    await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
