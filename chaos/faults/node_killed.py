"""A node loses its power: all that runs on it is gone at once, and its disk stays."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.nodes import CUT
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKilled:
    """kill -9 of the daemon and the worker of a node, and their start on the same home."""

    node: int = CUT
    loses_receipts = True

    @property
    def says(self) -> str:
        """For the report."""
        return f"node {self.node} is killed"

    def begin(self, stage: Stage) -> None:
        """Returns when all of it is gone."""
        for name in self._names:
            stage.servers[name].kill()

    def end(self, stage: Stage) -> None:
        """Returns when it answers again."""
        for name in self._names:
            stage.servers[name].start()

    @property
    def _names(self) -> tuple[str, str]:
        return f"serve-{self.node}", f"work-{self.node}"
