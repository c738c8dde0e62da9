"""A migration: a column is added, and until that is committed nobody else may touch the table."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

from chaos.crowd.process import ROOT
from chaos.faults._sessions import Sessions
from chaos.stage.stage import Stage

SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresMigration:
    """ALTER TABLE clicks in a transaction that takes its time, and `trilha migrate` after it, as in an upgrade."""

    _held: list[Sessions] = field(default_factory=list, init=False, repr=False)

    @property
    def says(self) -> str:
        """For the report."""
        return "a migration of the clicks is running"

    def begin(self, stage: Stage) -> None:
        """Returns when the column is there and not committed."""
        self._held.append(Sessions(stage.direct_sql_url))
        self._held[-1].connect("BEGIN", "ALTER TABLE clicks ADD COLUMN of_a_drill integer")

    def end(self, stage: Stage) -> None:
        """Committed: statements that were prepared before have to be prepared anew. CalledProcessError if migrating fails."""
        if not self._held:
            return
        sessions = self._held.pop()
        sessions.ask("COMMIT")
        sessions.close()
        command = [sys.executable, "-m", "cli.main", "migrate"]
        subprocess.run(
            command,
            cwd=ROOT,
            env=stage.environment(),
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=SECONDS,
        )
