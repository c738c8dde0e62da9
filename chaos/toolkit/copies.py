"""Actions around old copies of data: Redis keeps one, people are erased, and later a fault brings the copy back."""

from __future__ import annotations

from chaos.faults.redis_replica import REPLICA
from chaos.servers import HOST, ValkeyServer
from chaos.stage.trilha import wait_until
from chaos.toolkit.current import drill

LAST = "filler:last"
SECONDS = 10.0


def save_redis() -> None:
    """Redis writes a snapshot of all that it holds; it is what a later start of it loads."""
    drill().stage.valkey.obey("SAVE")
    drill().mark("Redis has saved a snapshot")


def leave_replica_behind() -> None:
    """A replica of Redis gets all that it holds, and from then on nothing more."""
    stage, replica = drill().stage, ValkeyServer()
    stage.add(REPLICA, replica)
    stage.valkey.obey("CONFIG SET repl-diskless-sync-delay 0", f"SET {LAST} x")
    replica.obey(f"REPLICAOF {HOST} {stage.valkey.port}")
    # It answers nothing but LOADING until it has loaded the whole of what it was sent.
    wait_until("the replica has it all", lambda: replica.command(f"EXISTS {LAST}") == b":1", SECONDS)
    replica.obey("REPLICAOF NO ONE")
    drill().mark("a replica no longer follows Redis")


def erase() -> None:
    """Two more people are erased, as the operator would."""
    drill().mark("somebody is erased")
    drill().erase()
