"""SIGSTOP: connections stay open and nothing answers, as on a machine that swaps or a virtual machine that is moved."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults._names import called
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A server or process of the stage stands still, and goes on where it was."""

    target: str

    @property
    def says(self) -> str:
        """For the report."""
        return f"{called(self.target)} is frozen"

    def begin(self, stage: Stage) -> None:
        """Returns when all its processes are stopped."""
        stage.servers[self.target].freeze()

    def end(self, stage: Stage) -> None:
        """Returns when they run; what they had to answer comes late."""
        stage.servers[self.target].thaw()
