"""Some events are such that Meta refuses them, and with each of them its whole batch."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaBadEvent:
    """One event in `each`, always the same ones; bad ones stay bad, so that this is not mended."""

    each: int = 10

    @property
    def says(self) -> str:
        """For the report."""
        return f"Meta refuses one event in {self.each}"

    def begin(self, stage: Stage) -> None:
        """As of the next call."""
        stage.the_meta.trouble("spoil", each=self.each)

    def end(self, stage: Stage) -> None:
        """What was bad stays so."""
