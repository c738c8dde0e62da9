"""Telegram tells the bot to write less."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.home import BOT
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramFloodWait:
    """The bot's next `times` messages are answered FLOOD_WAIT, with so many seconds to wait."""

    seconds: int = 2
    times: int = 3

    @property
    def says(self) -> str:
        """For the report."""
        return f"FLOOD_WAIT of {self.seconds} s, {self.times} times"

    def begin(self, stage: Stage) -> None:
        """As of the next message."""
        stage.the_telegram.order("flood", bot=BOT, seconds=self.seconds, times=self.times)

    def end(self, stage: Stage) -> None:
        """The next message is taken."""
        stage.the_telegram.order("flood", bot=BOT, seconds=0, times=0)
