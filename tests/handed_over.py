"""What systemd is to a service with a .socket unit. No pytest in it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from daemon.serving_child import with_sockets
from tests.system import ROOT

PATIENCE = 120.0


@dataclass
class Systemd:
    """It listens first, hands the socket over, and hears at `notify` how the service is."""

    notify: Path
    listening: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    heard: str = ""

    @contextmanager
    def running(
        self, command: str, name: str, environment: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[bytes]]:
        """`trilha COMMAND` with the socket under that name; ended in order."""
        process = subprocess.Popen(
            with_sockets([sys.executable, "-m", "cli.main", command], [self.listening.fileno()]),
            env={
                **environment,
                "PYTHONPATH": str(ROOT),
                "LISTEN_FDS": "1",
                "LISTEN_FDNAMES": name,
                "NOTIFY_SOCKET": str(self.notify),
            },
            pass_fds=[self.listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    @contextmanager
    def ears(self) -> Iterator[socket.socket]:
        """Where it hears."""
        with self.listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
            made.bind(str(self.notify))
            made.setblocking(False)
            yield made

    async def until_ready(self, ears: socket.socket) -> None:
        """Until it has heard that the service answers; what it heard before is forgotten."""
        self.heard = ""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE):
            while "READY=1" not in self.heard.split("\n"):
                self.heard += (await loop.sock_recv(ears, 4096)).decode() + "\n"

    async def asked(self, path: str) -> bytes:
        """The head of the answer on that socket."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*self.listening.getsockname())
            writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
        return answer.partition(b"\r\n")[0]
