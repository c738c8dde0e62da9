"""Somebody tries tokens that nobody was given, as fast as he can, beside the people who have real ones."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from chaos.crowd.forger import Job
from chaos.crowd.process import strangers
from chaos.crowd.told import Told
from chaos.stage.home import BOT
from chaos.stage.stage import Stage

SAID = "forged.json"
SAMPLES = 50
ENOUGH = 0.9
END_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Forged:
    """`rate` forged tokens a second, made of some that the crowd was given."""

    rate: float = 1000.0
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.rate:,.0f} forged tokens a second"

    def begin(self, stage: Stage) -> None:
        """Returns at once."""
        tokens = [click.token for click in _told(stage).clicks if click.redirected][-SAMPLES:]
        job = Job(
            ports=[daemon.port for daemon in stage.daemons],
            api_key=stage.api_key,
            bot=BOT,
            rate=self.rate,
            tokens=tokens,
        )
        job.save(stage.folder / "job.json")
        self._running.append(strangers("chaos.crowd.forger", stage.folder / "job.json", _said(stage)))

    def end(self, stage: Stage) -> None:
        """Returns when the last is answered. RuntimeError when it was less than nine tenths as many: that says little."""
        while self._running:
            self._running.pop().communicate(timeout=END_SECONDS)
            said = json.loads(_said(stage).read_text())
            sent = sum(said["statuses"].values()) / said["seconds"]
            if sent < ENOUGH * self.rate:
                raise RuntimeError(f"only {sent:.0f} forged tokens a second could be sent")


def _told(stage: Stage) -> Told:
    return Told.read(stage.folder / "told.jsonl")


def _said(stage: Stage) -> Path:
    return stage.folder / SAID
