"""Visitors who do not stop coming while a daemon is restarted, and daemons that are handed their sockets."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.serving_child import with_sockets
from tests.system import READY_SECONDS, ROOT, SLUG, System

KEEP_ALIVE_EVERY = 5
PATIENCE = 30.0


@dataclass
class Visitors:
    """Clicks at `rate` a second, each at its own moment. Most bring a connection of their own, one in five has kept one.

    A kept connection that the server closes before the request's answer began is counted in `closed`, and its click sent again on
    a fresh one, as every client does (RFC 9110, 9.2.2; RFC 9112, 9.3.1).
    """

    port: int
    rate: float
    tokens: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    closed: int = 0
    sent: int = 0
    _kept: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until `leave`, and until all answers are there."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not self._over.is_set():
                await asyncio.sleep(began + self.sent / self.rate - time.monotonic())
                group.create_task(self._click(self.sent))
                self.sent += 1
        for _, writer in self._kept:
            writer.close()

    def leave(self) -> None:
        self._over.set()

    async def answered(self, more: int) -> None:
        """Wait for so many more redirects."""
        wanted = len(self.tokens) + more
        async with asyncio.timeout(60):
            while len(self.tokens) < wanted:
                await asyncio.sleep(0.01)

    async def _click(self, number: int) -> None:
        keeps = number % KEEP_ALIVE_EVERY == 0
        if keeps and self._kept:
            streams = self._kept.pop()
            try:
                return await self._exchange(streams, number, keeps=True)
            except (OSError, asyncio.IncompleteReadError):
                self.closed += 1
                streams[1].close()
        try:
            async with asyncio.timeout(PATIENCE):
                streams = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            self.refused += 1
            return None
        try:
            await self._exchange(streams, number, keeps=keeps)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.lost.append(repr(error))
            streams[1].close()
        return None

    async def _exchange(
        self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], number: int, *, keeps: bool
    ) -> None:
        reader, writer = streams
        asks = "" if keeps else "connection: close\r\n"
        writer.write(
            f"GET /go/{SLUG}?fbclid=IwAR{number:08d} HTTP/1.1\r\nhost: go.example\r\nuser-agent: journey\r\n{asks}\r\n".encode()
        )
        async with asyncio.timeout(PATIENCE):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = head.split(" ", 2)[1]
        if status == "302":
            self.tokens.append(head.partition("?start=")[2].partition("\r\n")[0])
        else:
            self.others.append(status)
        if keeps and "connection: close" not in head.lower():
            self._kept.append(streams)
        else:
            writer.close()


class Manager:
    """What a service manager does for `trilha serve`: it holds the sockets, starts it, and hears how it is."""

    def __init__(self, system: System, *, pythonpath: Path = ROOT, **extra: str) -> None:
        self.system, self.pythonpath, self.extra = system, pythonpath, extra
        self.sockets = {"public": _listening(system.public), "private": _listening(system.private)}
        self.address = f"\0trilha-test-{os.getpid()}-{system.public}"
        self.ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ears.bind(self.address)
        self.ears.setblocking(False)
        self.heard: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it may not answer yet, and visitors wait in the queue."""
        descriptors = [each.fileno() for each in self.sockets.values()]
        with (self.system.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                with_sockets([sys.executable, "-m", "cli.main", "serve"], descriptors),
                cwd=self.system.home,
                env=os.environ
                | self.system.environment
                | {
                    "PYTHONPATH": str(self.pythonpath),
                    "LISTEN_FDS": str(len(descriptors)),
                    "LISTEN_FDNAMES": ":".join(self.sockets),
                    "NOTIFY_SOCKET": "@" + self.address[1:],
                }
                | self.extra,
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    async def until(self, line: str, *, seconds: float = 60) -> None:
        """Wait until it says so. What was heard before does not count."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(seconds):
            while True:
                lines = (await loop.sock_recv(self.ears, 4096)).decode().split("\n")
                self.heard += lines
                if line in lines:
                    return

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, READY_SECONDS)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for each in (*self.sockets.values(), self.ears):
            each.close()


def previous_release(folder: Path) -> Path:
    """The release before this one, unpacked: a folder for PYTHONPATH."""
    (wheel,) = (ROOT / "tests" / "upgrades").glob("trilha-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def this_release(folder: Path, version: str) -> Path:
    """The code of this tree as if it were installed there under another version."""
    for room in ("daemon", "backends", "bot", "delivery", "analytics", "privacy", "domain", "runtime", "cli"):
        (folder / room).symlink_to(ROOT / room)
    (folder / f"trilha-{version}.dist-info").mkdir()
    (folder / f"trilha-{version}.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: trilha\nVersion: {version}\n"
    )
    return folder


async def all_in_sql(system: System, tokens: Iterable[str]) -> set[str]:
    """The clicks of those tokens that are not in SQL once the spools are empty."""
    wanted = {system.click_id(token) for token in tokens}
    missing = wanted
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while missing := wanted - set(await system.rows()):
                await asyncio.sleep(0.2)
    return missing


def _listening(port: int) -> socket.socket:
    made = socket.create_server(("127.0.0.1", port), backlog=4096)
    made.setblocking(False)
    return made
