"""SIGTERM: a process ends in order, as for an update, and is away until it is started again."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """A server or process of the stage is stopped as its operator would."""

    target: str

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.target} is stopped"

    def begin(self, stage: Stage) -> None:
        """Returns when it has ended."""
        stage.servers[self.target].stop()

    def end(self, stage: Stage) -> None:
        """Returns when it answers again."""
        stage.servers[self.target].start()
