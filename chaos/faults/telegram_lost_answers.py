"""Telegram takes the bot's messages, and the bot never hears of it."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramLostAnswers:
    """The bot's next `times` messages reach their people, and no answer comes back."""

    times: int = 3

    @property
    def says(self) -> str:
        """For the report."""
        return f"Telegram takes {self.times} messages and does not say so"

    def begin(self, stage: Stage) -> None:
        """As of the next message."""
        stage.the_telegram.order("lose_answers", times=self.times)

    def end(self, stage: Stage) -> None:
        """The next message is answered."""
        stage.the_telegram.order("lose_answers", times=0)
