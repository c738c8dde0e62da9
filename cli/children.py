"""Child processes of `trilha up`: started together, started again when they die, stopped in order, never orphaned."""

import asyncio
import sys
from dataclasses import dataclass, field

from cli.common import CLOCK
from runtime.lifecycle import sleep_until, tie_to_parent

STOP_SECONDS = 15.0
WATCH_SECONDS = 0.1
CONFIG_EXIT = 2
CALM_SECONDS = 10.0
MOST_RESTARTS = 20


@dataclass(slots=True)
class Child:
    """One child: how it is started, and how it fares."""

    name: str
    command: list[str]
    # Without one that is not needed the others go on.
    needed: bool = True
    process: asyncio.subprocess.Process | None = None
    started: float = field(default=0.0)
    restarts: int = 0


class Children:
    """The children of one supervisor."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._children: dict[str, Child] = {}
        self.failed: str | None = None

    def add(self, child: Child) -> None:
        """A child to start."""
        self._children[child.name] = child

    async def start(self) -> None:
        """Start all of them."""
        for child in self._children.values():
            await self._start(child)

    def exited(self, name: str) -> bool:
        """True when the child has ended."""
        process = self._children[name].process
        return process is not None and process.returncode is not None

    def give_up(self, name: str) -> None:
        """Remember which child could not run."""
        self.failed = name

    async def watch(self, stop: asyncio.Event) -> None:
        """Until `stop`: start again what dies. Ends when a child cannot run as configured, or dies over and over."""
        while not stop.is_set() and self.failed is None:
            for child in self._children.values():
                if self.exited(child.name):
                    await self._again(child)
            await sleep_until(stop, WATCH_SECONDS)

    async def stop(self, order: list[str]) -> None:
        """SIGTERM one after the other, each waited for; SIGKILL for one that does not end."""
        for child in (self._children[name] for name in order if name in self._children):
            if child.process is not None and child.process.returncode is None:
                await _end(child.process)

    async def _start(self, child: Child) -> None:
        child.started = CLOCK.monotonic()
        child.process = await asyncio.create_subprocess_exec(
            *child.command,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=tie_to_parent,
        )

    async def _again(self, child: Child) -> None:
        code = child.process.returncode if child.process else None
        if CLOCK.monotonic() - child.started > CALM_SECONDS:
            child.restarts = 0
        child.restarts += 1
        if code == CONFIG_EXIT or child.restarts > MOST_RESTARTS:
            self._leave(child)
            return
        print(f"{child.name} ended ({code}); starting it again", file=sys.stderr)
        await self._start(child)

    def _leave(self, child: Child) -> None:
        if child.needed:
            self.failed = child.name
            return
        child.process = None
        print(f"{child.name} cannot run; the others go on without it", file=sys.stderr)


async def _end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
