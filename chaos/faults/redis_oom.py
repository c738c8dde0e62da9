"""Redis has no memory left: every write is refused with OOM, reads are answered, and so is a PING."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOom:
    """`maxmemory` below what it holds, and nothing may be evicted."""

    says: str = "Redis is out of memory"

    def begin(self, stage: Stage) -> None:
        """Returns when it refuses."""
        stage.valkey.obey("CONFIG SET maxmemory-policy noeviction", "CONFIG SET maxmemory 1")

    def end(self, stage: Stage) -> None:
        """Returns when there is no limit."""
        stage.valkey.obey("CONFIG SET maxmemory 0")
