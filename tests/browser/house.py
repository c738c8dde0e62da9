"""A real Trilha for a browser: its processes from this tree, on SQLite, with nothing but ports of its own. No pytest in it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from chaos.servers import free_port
from tests.system import ROOT

HOST = "127.0.0.1"
BOT = "casa_test_bot"
PASSWORD = "correct horse battery"
PEOPLE = {"olga": "owner", "ana": "analyst", "davi": "dpo"}
READY_TRIES = 1200
"""Of 50 ms and more: a minute."""
COMMAND_TRIES = 60
"""Each takes half a second or more."""
PHONE = {
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Mobile/22B91 Instagram 361.0.0.35.82 (iPhone15,4; iOS 18_1_1; pt_BR; pt; scale=3.00; 1179x2556; 674117118)"
}


@dataclass
class House:
    """serve, work and dashboard on one home."""

    home: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.public, self.private, self.dashboard = free_port(), free_port(), free_port()
        self.url = f"http://{HOST}:{self.dashboard}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRILHA_")}
        self.environment = kept | {
            "TRILHA_HOME_DIR": str(self.home),
            "TRILHA_PUBLIC_BIND": f"{HOST}:{self.public}",
            "TRILHA_PRIVATE_BIND": f"{HOST}:{self.private}",
            "TRILHA_DASHBOARD_BIND": f"{HOST}:{self.dashboard}",
            "TRILHA_LOG_LEVEL": "warning",
        }

    def prepare(self, *, with_bot: bool = True) -> None:
        """Keys, tables, a bot, and somebody of each role."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.run("keys", "create")
        self.run("migrate")
        if with_bot:
            self.run("bot-account", "add", BOT)
        secret = self.home / "password"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD)
        for name, role in PEOPLE.items():
            self.user(name, role)

    def user(self, name: str, role: str) -> None:
        """Somebody who may sign in with PASSWORD."""
        self.run("user", "add", name, "--role", role, "--password-file", str(self.home / "password"))

    def start(self, *names: str) -> None:
        """Start these processes, and wait until those that listen answer."""
        for name in names or ("serve", "work", "dashboard"):
            with (self.home / f"{name}.log").open("ab") as log:
                self.processes[name] = subprocess.Popen(
                    [sys.executable, "-m", "cli.main", name],
                    cwd=ROOT,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        for name, port in (("serve", self.private), ("dashboard", self.dashboard)):
            if name in self.processes:
                self._wait(name, port)

    def stop(self, *names: str) -> None:
        """SIGTERM to these, or to all; SIGKILL for one that does not end."""
        ending = [self.processes.pop(name) for name in names or tuple(self.processes)]
        for process in ending:
            process.terminate()
        for process in ending:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def run(self, *words: str) -> str:
        """One `trilha` command, and what it prints; it must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def json(self, *words: str) -> dict:
        """What a command prints with --json."""
        return json.loads(self.run(*words, "--json"))

    def click(self, url: str, *, fine: tuple[int, ...] = (302,)) -> str:
        """Follow an ad's URL as a phone does; the token of the deep link, "" when there is none."""
        path = "/" + url.split("/", 3)[3]
        connection = http.client.HTTPConnection(HOST, self.public, timeout=60)
        try:
            connection.request("GET", path, headers=PHONE)
            answer = connection.getresponse()
            assert answer.status in fine, answer.status
            return answer.headers.get("location", "").rpartition("=")[2]
        finally:
            connection.close()

    def click_once_live(self, url: str) -> str:
        """As `click`, of a link that was just made: a daemon follows within seconds."""
        pause = threading.Event()
        for _ in range(READY_TRIES):
            if token := self.click(url, fine=(302, 404)):
                return token
            pause.wait(0.05)
        raise AssertionError("the daemon does not know the link")

    def until_said(self, words: str, *command: str) -> None:
        """Wait until that command says so: settling and counting go on by themselves."""
        for _ in range(COMMAND_TRIES):
            if words in self.run(*command):
                return
        raise AssertionError(f"{command} does not say {words}: {self.logs()}")

    def begin(self, token: str, person: int) -> dict:
        """Press START."""
        return self.json("start", token, "--bot", BOT, "--telegram-id", str(person))

    def logs(self) -> str:
        """What they have said."""
        return "".join(path.read_text() for path in self.home.glob("*.log"))

    def _wait(self, name: str, port: int) -> None:
        pause = threading.Event()
        for _ in range(READY_TRIES):
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            try:
                connection.request("GET", "/healthz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                assert self.processes[name].poll() is None, self.logs()
            finally:
                connection.close()
            pause.wait(0.05)
        raise AssertionError(f"{name} does not answer: {self.logs()}")
