"""Every long-running command on a socket of its service manager: it answers there, says so, and leaves it as it was."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from daemon.serving_child import with_sockets
from runtime.settings import child_environment
from tests.daemon_fixture import Site
from tests.system import ROOT

PATIENCE = 60.0


@dataclass
class Systemd:
    """What systemd is to a service with a .socket unit: it listens first, hands the socket over, and hears how it is."""

    site: Site
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

    async def until_ready(self, ears: socket.socket) -> None:
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


@pytest.mark.parametrize(
    ("command", "path"), [("work", "/readyz"), ("dashboard", "/sign-in"), ("work", "/metrics")]
)
async def test_a_command_answers_on_the_socket_it_was_handed_and_visitors_wait_for_its_next_start(
    site: Site, tmp_path: Path, command: str, path: str
) -> None:
    systemd = Systemd(site, tmp_path / "notify")
    given = site.settings
    environment = child_environment(home_dir=str(given.home_dir), sql_url=given.sql)
    with systemd.listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(systemd.notify))
        ears.setblocking(False)
        for _ in range(2):
            waiting = asyncio.create_task(systemd.asked(path))  # before anybody is there to answer
            with systemd.running(command, command, environment) as process:
                await systemd.until_ready(ears)
                assert b"HTTP/1.1 200" in await waiting
                process.terminate()
                assert await asyncio.to_thread(process.wait, PATIENCE) == 0
            systemd.heard = ""


async def test_a_socket_under_a_name_that_a_command_does_not_know_is_an_error_that_says_the_right_one(
    site: Site, tmp_path: Path
) -> None:
    systemd = Systemd(site, tmp_path / "notify")
    environment = child_environment(home_dir=str(site.settings.home_dir), sql_url=site.settings.sql)
    with systemd.listening, systemd.running("work", "public", environment) as process:
        _, said = await asyncio.to_thread(process.communicate, None, PATIENCE)
    assert process.returncode == 2
    assert "FileDescriptorName=work" in " ".join(said.decode().split())
    assert os.fspath(ROOT) not in said.decode()  # no traceback
