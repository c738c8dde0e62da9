"""Strangers hold connections, send their heads byte by byte, and shout heads that are far too large."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field

from chaos.crowd.hostile import Job
from chaos.crowd.process import strangers
from chaos.stage.stage import Stage

SAID = "hostile.json"
END_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """`idle` connections that say nothing, `slow` ones with a byte a second, and heads of 20 MB and of 10,000 lines."""

    idle: int = 500
    slow: int = 200
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list, repr=False)

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.idle} idle and {self.slow} slow connections, huge heads"

    def begin(self, stage: Stage) -> None:
        """Returns at once."""
        job, said = stage.folder / "hostile-job.json", stage.folder / SAID
        publics = [int(daemon.settings["TRILHA_PUBLIC_BIND"].rpartition(":")[2]) for daemon in stage.daemons]
        ports = publics + [daemon.port for daemon in stage.daemons]
        Job(ports=ports, idle=self.idle, slow=self.slow).save(job)
        self._running.append(strangers("chaos.crowd.hostile", job, said))

    def end(self, stage: Stage) -> None:
        """Returns when they have left. RuntimeError when there were not as many as there should have been."""
        while self._running:
            self._running.pop().communicate(timeout=END_SECONDS)
            done = json.loads((stage.folder / SAID).read_text())
            if done.get("idle", 0) < self.idle or done.get("slow", 0) < self.slow or not done.get("huge"):
                raise RuntimeError(f"the attackers did not all come: {done}")
