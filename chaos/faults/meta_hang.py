"""Meta takes a call and never answers it."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaHang:
    """Nothing is done or answered, however long the caller waits."""

    says: str = "Meta does not answer"

    def begin(self, stage: Stage) -> None:
        """As of the next call."""
        stage.the_meta.trouble("hang")

    def end(self, stage: Stage) -> None:
        """The next calls are answered; those that hang go on hanging until their caller gives up."""
        stage.the_meta.order("clear")
