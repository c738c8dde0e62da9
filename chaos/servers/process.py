"""One server process: a port, a directory, and the ways to hurt it."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import psutil

HOST = "127.0.0.1"
START_SECONDS = 30.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.02
LOG_TAIL = 2000


class ServerMissing(Exception):
    """No binary of a server that the tests need; the message says how to get one."""


class ServerFailed(Exception):
    """A server did not start, stop or obey; the message ends with its log."""


_given: set[int] = set()
# Below every usual ephemeral range: a client that keeps dialling a dead port *inside* that range may, on
# loopback, connect to itself and so keep the server from coming back.
_PORTS = range(15_000, 32_000)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, never the same twice in one process."""
    for _ in range(1000):
        port = random.SystemRandom().choice(_PORTS)
        if port not in _given and _can_bind(port):
            _given.add(port)
            return port
    raise ServerFailed("no free port between 15000 and 31999")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class _Child:
    """One server process and its directory. Holds no reference to the server, so that a finalizer can own it."""

    def __init__(self, prefix: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix=prefix))
        self.log = self.directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        return self.process.returncode if self.process is not None else None

    def spawn(
        self, command: list[str], user: User | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # stopped in end(), at the latest by the finalizer
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment() | dict(settings or {}),
                start_new_session=True,  # a Ctrl-C on the terminal is for pytest alone
                **(user.as_popen() if user else {}),
            )

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants, parents first."""
        if self.process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def signal_family(self, number: signal.Signals) -> list[psutil.Process]:
        """Send to the parent and every descendant, none of which is missed by being born meanwhile."""
        if not self.alive:
            return []
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP if number is not signal.SIGCONT else number)
        family = self.family()  # of a stopped parent: no more children come
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.send_signal(number)
        return family

    def kill(self) -> None:
        if self.process is None:
            return
        family = self.signal_family(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        psutil.wait_procs(family, STOP_SECONDS)

    def end(self, polite: signal.Signals) -> None:
        """Ask, wait, then kill."""
        if self.alive:
            assert self.process is not None
            self.signal_family(signal.SIGCONT)
            self.process.send_signal(polite)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        self.kill()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-LOG_TAIL:] if self.log.exists() else "(no log)"


def environment() -> dict[str, str]:
    """Nothing of the caller's settings (PG*, locale, time zone) reaches a server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


class Server(ABC):
    """What both servers share: a port, a child, and the ways to hurt it."""

    polite = signal.SIGTERM
    prefix = "trilha-"

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self._child = _Child(self.prefix)
        self._finalizer = weakref.finalize(self, self._child.remove)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start and return when the server answers; no effect on one that runs."""
        if self._child.alive:
            return
        self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._died_within(POLL_SECONDS):
                raise ServerFailed(f"{type(self).__name__} ended at start:\n{self._child.tail()}")
            if time.monotonic() > deadline:
                self._child.kill()
                raise ServerFailed(f"{type(self).__name__} does not answer:\n{self._child.tail()}")

    def stop(self) -> None:
        """Stop as an operator would; `start` brings it back."""
        self._child.end(self.polite)

    def kill(self) -> None:
        """SIGKILL to every process of the server; returns when they are gone."""
        self._child.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections open and nothing answers."""
        self._child.signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self._child.signal_family(signal.SIGCONT)

    def close(self) -> None:
        """Stop for good and remove the directory."""
        self.stop()
        self._finalizer()

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def pid(self) -> int:
        if self._child.process is None:
            raise ServerFailed(f"{type(self).__name__} was never started")
        return self._child.process.pid

    @property
    def directory(self) -> Path:
        return self._child.directory

    def _died_within(self, seconds: float) -> bool:
        assert self._child.process is not None
        try:
            self._child.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @abstractmethod
    def _launch(self) -> None: ...

    @abstractmethod
    def _answers(self) -> bool: ...


def wait_for(what: str, holds: Callable[[], bool], seconds: float) -> None:
    """Return once it holds. ServerFailed when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise ServerFailed(f"waited {seconds:g} s in vain until {what}")
        time.sleep(POLL_SECONDS)


def existing(path: Path, otherwise: str) -> Path:
    """The path, or ServerMissing, which says what to do otherwise."""
    if not path.exists():
        raise ServerMissing(f"{path} does not exist. {otherwise}")
    return path


class User:
    """Who runs PostgreSQL when we are root, which it refuses to be."""

    def __init__(self) -> None:
        entry = pwd.getpwnam("nobody")
        self.uid, self.gid = entry.pw_uid, entry.pw_gid

    def as_popen(self) -> dict[str, Any]:
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def reaches(self, path: Path) -> bool:
        """Whether the user may read the file, through every directory above it."""
        return all(self._may(parent, 0o1) for parent in path.parents) and self._may(path, 0o5)

    def _may(self, path: Path, bits: int) -> bool:
        entry = path.stat()
        shift = 6 if entry.st_uid == self.uid else 3 if entry.st_gid == self.gid else 0
        return entry.st_mode >> shift & bits == bits
