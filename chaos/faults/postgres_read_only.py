"""Read-only: as a replica that a client was led to after a failover, or a server that its operator protects."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults._sessions import Sessions
from chaos.stage.stage import DATABASE, Stage

_OTHERS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresReadOnly:
    """Every transaction may read and not write. Connections are cut when it begins and when it ends."""

    says: str = "SQL is read-only"

    def begin(self, stage: Stage) -> None:
        """Returns when every connection from before is gone."""
        _let_write(stage, "on")

    def end(self, stage: Stage) -> None:
        """Returns when who connects may write."""
        _let_write(stage, "off")


def _let_write(stage: Stage, read_only: str) -> None:
    sessions = Sessions(stage.direct_sql_url)
    try:
        sessions.connect(
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = {read_only}",
        )
        sessions.ask(_OTHERS, DATABASE)
    finally:
        sessions.close()
