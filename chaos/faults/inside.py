"""A fault inside a process of Trilha: chaos/inside says which there are. The stage must have made it possible."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """`which` of chaos/inside is switched on in the process of that name, with these settings, and off again."""

    process: str
    which: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def says(self) -> str:
        """For the report, where the experiment has no better words for it (`called`)."""
        given = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"{self.process}: {self.which}" + (f" ({given})" if given else "")

    def begin(self, stage: Stage) -> None:
        """Returns when the process has it on, or has died of it."""
        stage.switches(self.process).on(self.which, **self.settings)

    def end(self, stage: Stage) -> None:
        """Returns when the process has it off, if it lives."""
        stage.switches(self.process).off(self.which)
