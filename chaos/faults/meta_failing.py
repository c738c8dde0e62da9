"""Meta has trouble of its own, or whatever stands before it has."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaFailing:
    """Every call is answered so: `how` is one of tests/meta/troubles.py (500, 502, 503, html, redirect …), or empty for any."""

    how: str = ""

    @property
    def says(self) -> str:
        """For the report."""
        return f"Meta fails ({self.how or 'one way or another'})"

    def begin(self, stage: Stage) -> None:
        """As of the next call."""
        stage.the_meta.trouble("fail", how=self.how or None)

    def end(self, stage: Stage) -> None:
        """Calls are taken again."""
        stage.the_meta.order("clear")
