"""The wall clock of a process jumps: NTP after a long time without it, an operator, a virtual machine that is woken."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """It is so many seconds later for `target`; earlier, when negative. Needs `inside: {serve: [clock]}`."""

    target: str
    seconds: float

    @property
    def says(self) -> str:
        """For the report."""
        way = "forwards" if self.seconds > 0 else "back"
        return f"the clock of {self.target} jumps {way} by {abs(self.seconds) / 60:g} minutes"

    def begin(self, stage: Stage) -> None:
        """Returns when the process reads the other time."""
        stage.switches(self.target).on("clock", seconds=self.seconds)

    def end(self, stage: Stage) -> None:
        """It jumps back to what it would be."""
        stage.switches(self.target).off("clock")
