"""Child processes: on the core they are given, with a log, ended by their pid whatever happens."""

from __future__ import annotations

import ctypes
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtests.machine import on_core
from loadtests.plan import HOST, ROOT, RungFailed

READY_SECONDS = 30.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.02
LOG_TAIL = 600
PDEATHSIG = 1
# Below every usual ephemeral range: on loopback, who dials a dead port inside that range may connect to itself.
_PORTS = range(15_000, 32_000)
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Child:
    """One process of ours, in a session of its own: a Ctrl-C on the terminal is for the ladder alone."""

    def __init__(self, command: list[str], *, core: int | None, log: Path, env: Mapping[str, str]) -> None:
        self._log = log
        self._name = " ".join(Path(part).name for part in command[:4])
        with log.open("ab") as sink, on_core(core):
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  one system call; no thread of ours runs yet
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
        """Return when `ready`; RungFailed when it ends before, or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise RungFailed(f"{self._name} ended at its start: {self.tail()}")
            if time.monotonic() > deadline:
                raise RungFailed(f"{self._name} was not ready in {seconds:.0f} s: {self.tail()}")
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.alive:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """SIGTERM, and wait for an orderly end. RungFailed when it had died before, or does not end."""
        if not self.alive:
            raise RungFailed(f"{self._name} died during the measurement: {self.tail()}")
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RungFailed(f"{self._name} did not end in {STOP_SECONDS:.0f} s: {self.tail()}") from None

    def tail(self) -> str:
        """The end of its log, on one line."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return " | ".join(text.strip().splitlines())[-LOG_TAIL:] or "(no log)"


class Children:
    """All processes of a ladder. However it is left, none of them is left behind."""

    def __init__(self) -> None:
        self._all: list[Child] = []

    def start(self, command: list[str], *, core: int | None, log: Path, env: Mapping[str, str]) -> Child:
        """Start one."""
        self._all = [child for child in self._all if child.alive]
        child = Child(command, core=core, log=log, env=env)
        self._all.append(child)
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for child in self._all:
            child.kill()


def clean_environment() -> dict[str, str]:
    """Ours, without settings of a Trilha that may live on this machine."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TRILHA_")}


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    for _ in range(1000):
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise RungFailed("no free port between 15000 and 31999")


def listens(port: int) -> bool:
    """True when somebody accepts connections there."""
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def fetch(port: int, path: str) -> tuple[int, str]:
    """Status and text of a GET; status 0 when there is no answer."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def _die_with_parent() -> None:
    if _libc is not None:
        _libc.prctl(PDEATHSIG, signal.SIGKILL)
