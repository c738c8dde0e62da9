"""Telegram stands still towards the bot, while people go on to press START in it."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramSilent:
    """Connections are accepted and read; nothing is done, answered or pushed."""

    says: str = "Telegram takes connections and says nothing"

    def begin(self, stage: Stage) -> None:
        """At once."""
        stage.the_telegram.order("freeze")

    def end(self, stage: Stage) -> None:
        """What was said meanwhile stays unanswered."""
        stage.the_telegram.order("thaw")
