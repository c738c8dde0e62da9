"""Meta takes the events, and the caller never hears of it."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaLostAnswers:
    """Connections end instead of an answer: `closed`, `reset`, or `cut` in the middle of it."""

    how: str = "reset"

    @property
    def says(self) -> str:
        """For the report."""
        return f"Meta's answers are lost ({self.how})"

    def begin(self, stage: Stage) -> None:
        """As of the next call."""
        stage.the_meta.trouble("lose_answers", how=self.how)

    def end(self, stage: Stage) -> None:
        """Answers arrive again."""
        stage.the_meta.order("clear")
