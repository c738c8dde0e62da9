"""Telegram cannot be reached, while people go on to press START in it."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramUnreachable:
    """Connections are closed, and new ones are refused."""

    says: str = "Telegram cannot be reached by the bot"

    def begin(self, stage: Stage) -> None:
        """Returns when the bot is cut off."""
        stage.the_telegram.order("refuse")
        stage.the_telegram.order("drop")

    def end(self, stage: Stage) -> None:
        """Connections are welcome again."""
        stage.the_telegram.order("accept")
