"""An older backup comes back: SQL is lost, and what takes its place knows nothing of the last while."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOlderBackup:
    """PostgreSQL is killed; it comes back with the data of the backup (the action `back_up`, chaos/toolkit/backups.py)."""

    says: str = "SQL is lost, and an older backup takes its place"

    def begin(self, stage: Stage) -> None:
        """Returns when it is gone."""
        stage.postgres.kill()

    def end(self, stage: Stage) -> None:
        """Returns when the backup answers."""
        if not stage.postgres.alive:
            stage.postgres.restore()
            stage.postgres.start()
