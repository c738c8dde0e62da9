"""A crowd in a process of its own, so that its work is not charged to whoever drives the drill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from chaos.crowd.plan import Plan
from chaos.crowd.told import Told

ROOT = Path(__file__).parents[2]
END_SECONDS = 90.0
TOLD = "told.jsonl"


def strangers(module: str, *arguments: Path) -> subprocess.Popen[bytes]:
    """Run a module that attacks until its stdin ends.

    Real attackers have machines of their own. Here they share the processors with those whom they attack, so they get what
    nobody else wants; whoever starts them sees whether that was enough.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)
    if sys.platform == "linux":
        os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process


class Crowd:
    """A running crowd. `folder` gets its plan, its log and what it was told."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._told = folder / TOLD
        plan.save(folder / "plan.json")
        self._log = (folder / "crowd.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.crowd", str(folder / "plan.json"), str(self._told)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def rate(self, clicks: float) -> None:
        """From now on so many clicks a second."""
        self._say(f"rate {clicks}")

    def told(self) -> Told:
        """What it was told so far."""
        return Told.read(self._told)

    def stop(self) -> Told:
        """No more clicks; what it was told once every visitor and starter has an answer or has given up."""
        if self._process.poll() is None:
            self._say("stop")
        self._end()
        return self.told()

    def kill(self) -> None:
        """End it at once; a second time has no effect."""
        self._process.kill()
        self._end()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _end(self) -> None:
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._log.close()
