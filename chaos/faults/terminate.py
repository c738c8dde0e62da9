"""SIGTERM: what a service manager sends at every deployment. The process ends by itself, in an orderly way."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.servers import ServerFailed
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """A process of Trilha is told to stop, and started again later."""

    target: str

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.target} is told to stop"

    def begin(self, stage: Stage) -> None:
        """Returns when it has ended. ServerFailed when it did not end by itself with exit code 0."""
        process = stage.trilha(self.target)
        process.stop()
        if (code := process.wait_for_end(0)) != 0:
            raise ServerFailed(f"{self.target} ended with {code} after SIGTERM")

    def end(self, stage: Stage) -> None:
        """Returns when it answers again."""
        stage.servers[self.target].start()
