"""A fault within a process of Trilha: full disks, lost descriptors, a stalled loop (chaos/inside), by its switch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """`fault` of `process` is on with these settings. The stage makes it possible: `inside: {process: [fault]}`."""

    process: str
    fault: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def says(self) -> str:
        """For the report."""
        return f"{self.fault} of {self.process}"

    def begin(self, stage: Stage) -> None:
        """Returns when the process has it on."""
        stage.switches(self.process).on(self.fault, **self.settings)

    def end(self, stage: Stage) -> None:
        """Returns when the process is well."""
        stage.switches(self.process).off(self.fault)
