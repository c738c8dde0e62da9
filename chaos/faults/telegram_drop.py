"""Telegram closes every connection."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramDrop:
    """Once; new connections are welcome at once. Updates of the moment in between are pushed to nobody."""

    says: str = "Telegram closes every connection"

    def begin(self, stage: Stage) -> None:
        """Returns when they are closed."""
        stage.the_telegram.order("drop")

    def end(self, stage: Stage) -> None:
        """Nothing is left to mend."""
