"""One serving process below a parent: handed its sockets, waited for until it answers, watched, ended in order.

The parent speaks to it as systemd does to a service (LISTEN_FDS, NOTIFY_SOCKET, WATCHDOG_USEC). So the process may be of
a newer or an older release than its parent.
"""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domain.clock import Clock
from runtime.lifecycle import tie_to_parent

WATCHDOG_SECONDS = 30.0
# LISTEN_PID is known in the new process only, and the protocol wants the descriptors from 3 on. Ours may be in the way.
_HAND_ON = """
import fcntl, os, sys
given = [int(fd) for fd in sys.argv[1].split(",")]
held = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in given]
for fd in given: os.close(fd)
for place, fd in enumerate(held, 3): os.dup2(fd, place)
for fd in held: os.close(fd)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def with_sockets(command: list[str], descriptors: list[int]) -> list[str]:
    """A command that runs `command` with these descriptors handed over; the caller passes them and sets the other variables."""
    given = ",".join(map(str, descriptors))
    return [sys.executable, "-I", "-S", "-c", _HAND_ON, given, *command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How serving processes are started. `environment` is asked each time; `sockets` come with their names."""

    command: list[str]
    environment: Callable[[], Mapping[str, str]]
    sockets: tuple[tuple[str, socket.socket], ...]
    folder: Path
    clock: Clock


class ServingChild:
    """A serving process. Made and started once."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._plan = plan
        self._notify = plan.folder / f"{number}.notify"
        self._ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready = asyncio.Event()
        self._heard = self.started = plan.clock.monotonic()
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it. It runs the code that is on the disk now."""
        plan = self._plan
        self._ears.setblocking(False)  # noqa: FBT003  the standard library's own signature
        self._ears.bind(str(self._notify))
        asyncio.get_running_loop().add_reader(self._ears, self._listen)
        descriptors = [each.fileno() for _, each in plan.sockets]
        self._process = await asyncio.create_subprocess_exec(
            *with_sockets(plan.command, descriptors),
            env={
                **plan.environment(),
                "LISTEN_FDS": str(len(descriptors)),
                "LISTEN_FDNAMES": ":".join(name for name, _ in plan.sockets),
                "NOTIFY_SOCKET": str(self._notify),
                "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1_000_000)),
            },
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=descriptors,
            preexec_fn=tie_to_parent,
        )

    @property
    def pid(self) -> int:
        """Its process id; 0 before it is started."""
        return self._process.pid if self._process else 0

    @property
    def code(self) -> int | None:
        """Its exit code; None while it lives."""
        return self._process.returncode if self._process else None

    @property
    def stalled(self) -> bool:
        """It has answered, and its event loop has said nothing for WATCHDOG_SECONDS."""
        silent = self._plan.clock.monotonic() - self._heard
        return self._ready.is_set() and self.code is None and silent > WATCHDOG_SECONDS

    async def until_ready(self, seconds: float, stop: asyncio.Event) -> bool:
        """True once it says that it answers; False when it ends first, takes longer, or `stop` is set."""
        assert self._process is not None  # noqa: S101  it was started
        tasks = [
            asyncio.ensure_future(each) for each in (self._ready.wait(), self._process.wait(), stop.wait())
        ]
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        return self._ready.is_set() and self.code is None and not stop.is_set()

    def kill(self) -> None:
        """SIGKILL."""
        self._send(lambda process: process.kill())

    async def end(self, seconds: float) -> None:
        """SIGTERM, and wait until it has finished what is in flight; SIGKILL for one that takes longer."""
        self._send(lambda process: process.terminate())
        if self._process is not None:
            try:
                await asyncio.wait_for(self._process.wait(), seconds)
            except TimeoutError:
                self.kill()
                await self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Hear no more of it."""
        if self._ears.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._ears)
            self._ears.close()
        self._notify.unlink(missing_ok=True)

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                lines = self._ears.recv(4096).split(b"\n")
                self._heard = self._plan.clock.monotonic()
                if b"READY=1" in lines:
                    self._ready.set()

    def _send(self, how: Callable[[asyncio.subprocess.Process], None]) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                how(self._process)
