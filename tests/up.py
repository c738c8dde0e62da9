"""One `trilha up` in a process of its own, and commands beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import psutil
import pytest

from chaos.servers import free_port
from tests.system import ROOT


class Up:
    """One `trilha up`, and commands with its settings."""

    def __init__(self, home: Path, *options: str) -> None:
        self.public, self.private, self.pages = free_port(), free_port(), free_port()
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TRILHA_")
        } | {
            "TRILHA_HOME_DIR": str(home),
            "TRILHA_PUBLIC_BIND": f"127.0.0.1:{self.public}",
            "TRILHA_PRIVATE_BIND": f"127.0.0.1:{self.private}",
            "TRILHA_DASHBOARD_BIND": f"127.0.0.1:{self.pages}",
            "TRILHA_TRUSTED_PROXIES": "127.0.0.1/32",
            "TRILHA_DEADLINE_MS": "5000",  # a click is `synced` here also while other tests have the disk
            "TRILHA_GEOIP_PATHS": str(home.parent),
        }
        self.said = ""
        self.options = options

    def begin(self) -> None:
        """Start it and read until it has said how to try it."""
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "cli.main", "up", *self.options],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # If it never says so, end it: the read below then ends too, and the test fails on what was said.
        alarm = threading.Timer(40, self.process.kill)
        alarm.start()
        while "Ad URL" not in self.said and (line := self.process.stdout.readline()):
            self.said += line
        alarm.cancel()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=40)
        self.said += said
        return self.process.returncode

    def family(self) -> list[psutil.Process]:
        """The processes it started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def click(self, **headers: str) -> str:
        """Follow the demo link with the curl line's URL; the token."""
        url = re.search(r"curl -i '([^']+)'", self.said).group(1)
        opener = urllib.request.build_opener(_NoRedirect)
        with pytest.raises(urllib.request.HTTPError) as answer:
            opener.open(urllib.request.Request(url, headers=headers), timeout=5)
        with answer.value as found:
            assert found.code == 302
            location = found.headers["location"]
        assert location.startswith("https://t.me/trilha_demo_bot?start=")
        return location.rpartition("=")[2]

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One `trilha` command."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str) -> dict | list:
        """What a command prints with --json."""
        answer = self.command(*words, "--json")
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None
