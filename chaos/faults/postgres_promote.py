"""The primary is lost and its replica is promoted, as a failover does it; the old primary never comes back."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPromote:
    """kill -9 of the primary; whoever mends it promotes the replica."""

    says: str = "SQL has lost its primary"

    def begin(self, stage: Stage) -> None:
        """Returns when the primary is gone, and only a replica is left, which reads."""
        stage.postgres.kill()

    def end(self, stage: Stage) -> None:
        """Returns when what was the replica takes writes."""
        stage.sql_replica.promote()
