"""Redis is a replica: every write is refused with READONLY, as after a failover that clients did not notice."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.servers import HOST
from chaos.stage.stage import Stage

NOBODY_LISTENS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisReadonly:
    """It follows a primary that is not there, and keeps what it has."""

    says: str = "Redis is a read-only replica"

    def begin(self, stage: Stage) -> None:
        """Returns when it refuses."""
        stage.valkey.obey(f"REPLICAOF {HOST} {NOBODY_LISTENS}")

    def end(self, stage: Stage) -> None:
        """Returns when it is a primary again."""
        stage.valkey.obey("REPLICAOF NO ONE")
