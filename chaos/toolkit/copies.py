"""Actions around old copies of data: Redis keeps one, people are erased, and later a fault brings the copy back."""

from __future__ import annotations

from chaos.faults.redis_replica import REPLICA
from chaos.servers import HOST, ServerFailed, ValkeyServer
from chaos.toolkit.current import drill

SECONDS = 10.0


def save_redis() -> None:
    """Redis writes a snapshot of all that it holds; it is what a later start of it loads."""
    drill().stage.valkey.obey("SAVE")
    drill().mark("Redis has saved a snapshot")


def leave_replica_behind() -> None:
    """A replica of Redis gets all that it holds, and from then on nothing more."""
    stage, replica = drill().stage, ValkeyServer()
    stage.add(REPLICA, replica)
    stage.valkey.obey("CONFIG SET repl-diskless-sync-delay 0")
    replica.obey(f"REPLICAOF {HOST} {stage.valkey.port}")
    *_, followers = stage.valkey.commands("SET filler x", f"WAIT 1 {SECONDS * 1000:.0f}", timeout=2 * SECONDS)
    if followers != b":1":
        raise ServerFailed(f"no replica has it all within {SECONDS:.0f} s: {followers.decode()}")
    replica.obey("REPLICAOF NO ONE")
    drill().mark("a replica no longer follows Redis")


def erase() -> None:
    """Two more people are erased, as the operator would."""
    drill().mark("two people are erased")
    drill().erase()
