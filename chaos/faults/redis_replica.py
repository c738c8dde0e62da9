"""A failover to a replica that lagged: what the primary took last is gone, and what it deleted last is there again."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.servers import ValkeyServer
from chaos.stage.stage import Stage

REPLICA = "replica"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisReplica:
    """The primary is killed, and the replica that the action `leave_replica_behind` made takes over its port for good."""

    says: str = "a lagging replica is promoted"

    def begin(self, stage: Stage) -> None:
        """Returns when the replica answers on the primary's port."""
        primary, replica = stage.valkey, stage.servers[REPLICA]
        assert isinstance(replica, ValkeyServer)
        primary.kill()
        replica.obey(f"CONFIG SET port {primary.port}")
        replica.port = primary.port

    def end(self, stage: Stage) -> None:
        """The replica stays the primary."""
