"""A backlog: settling stands still while very many clicks come, as overnight without SQL or without `trilha work`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from chaos.crowd.process import ROOT
from chaos.stage.stage import Stage

SECONDS = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlBacklog:
    """`trilha work` is killed, and `clicks` are in a spool whose daemon is gone (chaos/backlog.py): nobody clicks so fast."""

    clicks: int

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.clicks:,} clicks wait, and nobody settles"

    def begin(self, stage: Stage) -> None:
        """Returns when they are in the spool."""
        stage.servers["work"].kill()
        command = [sys.executable, "-m", "chaos.backlog", str(self.clicks), str(stage.folder / "told.jsonl")]
        subprocess.run(command, cwd=ROOT, env=stage.environment(), check=True, timeout=SECONDS)

    def end(self, stage: Stage) -> None:
        """Returns when settling has begun."""
        stage.servers["work"].start()
