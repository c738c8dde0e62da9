"""The event loop stands still again and again: a long garbage collection, a slow call on the loop, a stolen processor."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """The loop of `target` does nothing for `ms` every `every_s` seconds. Needs `inside: {serve: [stall]}`."""

    target: str
    ms: float
    every_s: float = 1.0

    @property
    def says(self) -> str:
        """For the report."""
        return f"the loop of {self.target} stalls for {self.ms:g} ms every {self.every_s:g} s"

    def begin(self, stage: Stage) -> None:
        """The first stall begins at once."""
        stage.switches(self.target).on("stall", ms=self.ms, every_s=self.every_s)

    def end(self, stage: Stage) -> None:
        """Returns when no new stall begins."""
        stage.switches(self.target).off("stall")
