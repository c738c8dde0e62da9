"""The bot's account moves to another data centre."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.home import BOT
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class TelegramMigration:
    """The bot's session is over; where it logs in again it is told USER_MIGRATE, and has to go there."""

    dc: int = 4

    @property
    def says(self) -> str:
        """For the report."""
        return f"the bot's account moves to data centre {self.dc}"

    def begin(self, stage: Stage) -> None:
        """As of the next login, which is forced by connections that end and keys that nobody knows any more."""
        stage.the_telegram.order("migrate", bot=BOT, dc=self.dc)
        stage.the_telegram.order("forget_keys")

    def end(self, stage: Stage) -> None:
        """The account stays where it is."""
