"""Breaks nothing. A drill of it shows what the machine, the crowd and the checker do without a fault."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Noop:
    """No fault at all."""

    says: str = "nothing is broken"

    def begin(self, stage: Stage) -> None:
        """Nothing happens."""

    def end(self, stage: Stage) -> None:
        """Nothing has happened."""
