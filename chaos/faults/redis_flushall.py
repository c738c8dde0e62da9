"""FLUSHALL: somebody empties Redis."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFlushall:
    """All that it held is gone; it takes new clicks at once."""

    says: str = "Redis is emptied"

    def begin(self, stage: Stage) -> None:
        """Returns when it is empty."""
        stage.valkey.flush()

    def end(self, stage: Stage) -> None:
        """What is gone stays so."""
