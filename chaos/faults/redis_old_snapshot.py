"""Redis dies and comes back with an old snapshot: clicks that were erased since are in it, and those made since are not."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOldSnapshot:
    """kill -9, and a start that loads what the action `save_redis` saved before."""

    says: str = "Redis comes back with an old snapshot"

    def begin(self, stage: Stage) -> None:
        """Returns when it answers with the old data."""
        stage.valkey.kill()
        stage.valkey.start()

    def end(self, stage: Stage) -> None:
        """It is whole already; the old data stay."""
