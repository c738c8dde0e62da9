"""Processes of Trilha as servers that can be killed, frozen and brought back like any other."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from chaos.servers.process import HOST, Server

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "cli.main"]
WITH_FAULTS = [sys.executable, "-m", "chaos.inside"]


class TrilhaProcess(Server):
    """`trilha serve`, `work` or `bot`. `port` is its private listener, which says when it is ready.

    With `inside`, these faults are possible in it, and switches in the folder `switches` turn them on.
    """

    def __init__(
        self,
        command: str,
        port: int,
        settings: Mapping[str, str],
        log: Path,
        *,
        inside: tuple[str, ...] = (),
        switches: Path | None = None,
    ) -> None:
        super().__init__(port)
        self.command = command
        self.settings = dict(settings)
        self.inside = inside
        self.switches = switches
        self._child.log = log

    @property
    def log(self) -> Path:
        """Where its log goes, over all its lives."""
        return self._child.log

    def launch(self) -> None:
        """Start without waiting until it answers: for a boot that is meant to be hard."""
        if not self.alive:
            self._launch()

    def is_ready(self) -> bool:
        """Whether it says so."""
        return self._answers()

    def get(self, path: str, seconds: float = 2.0) -> tuple[int, bytes]:
        """Status and body from the private listener; OSError when it does not answer."""
        connection = HTTPConnection(HOST, self.port, timeout=seconds)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def wait_for_end(self, seconds: float) -> int | None:
        """Its exit code (negative: the signal), or None if it still runs then."""
        if self._child.process is not None and self._died_within(seconds):
            return self._child.process.returncode
        return None

    def _launch(self) -> None:
        program = (
            [*WITH_FAULTS, *self.inside, "--", self.command] if self.inside else [*COMMAND, self.command]
        )
        switches = {"CHAOS_SWITCHES": str(self.switches)} if self.switches else {}
        self._child.spawn(program, settings={"PYTHONPATH": str(ROOT)} | switches | self.settings)

    def _answers(self) -> bool:
        try:
            return self.get("/readyz", seconds=1.0)[0] == 200
        except OSError:
            return False


def wait_until(what: str, happened: object, seconds: float, poll: float = 0.02) -> None:
    """Until `happened()` is true; TimeoutError that says what did not happen."""
    deadline = time.monotonic() + seconds
    while not happened():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise TimeoutError(f"within {seconds:.0f} s it did not happen that {what}")
        time.sleep(poll)
