"""The bot's account moves to another data centre."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.stage.home import BOT
from chaos.stage.stage import Stage
from chaos.stage.trilha import wait_until

SECONDS = 40.0


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
        """Returns once the bot was sent there; TimeoutError if it does not log in."""
        wait_until("the bot was sent to its data centre", lambda: _is_there(stage), SECONDS, poll=0.2)


def _is_there(stage: Stage) -> bool:
    return stage.the_telegram.order("migrating", bot=BOT)["dc"] is None
