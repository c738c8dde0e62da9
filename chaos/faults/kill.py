"""SIGKILL: the process is gone at once, its port refuses, its open connections are reset."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.faults._names import called
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """kill -9 of a server or process of the stage, and its start on the same port."""

    target: str

    @property
    def says(self) -> str:
        """For the report."""
        return f"{called(self.target)} is killed"

    def begin(self, stage: Stage) -> None:
        """Returns when every process of it is gone."""
        stage.servers[self.target].kill()

    def end(self, stage: Stage) -> None:
        """Returns when it answers again."""
        stage.servers[self.target].start()
