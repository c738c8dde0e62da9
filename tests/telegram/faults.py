"""What can be made to go wrong. Each method takes effect at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from tests.telegram.account import BotSide


@dataclass(slots=True)
class Flood:
    """A bot is told to wait."""

    seconds: int
    times: int


class Faults:
    """The state of all faults, and the methods that change it. `disconnect` closes every connection."""

    def __init__(self, disconnect: Callable[[], None], log_out: Callable[[BotSide], None]) -> None:
        self._disconnect = disconnect
        self._log_out = log_out
        self.salt = new_salt()
        self.frozen = False
        self.pushes_held = False
        self.short = False
        self.repeats = 0
        self.answers_to_lose = 0
        self.answer_delay = 0.0
        self.clock_offset = 0.0
        self.floods: dict[BotSide, Flood] = {}
        self.login_floods: dict[BotSide, Flood] = {}
        self.troubles: dict[BotSide, int] = {}

    def flood(self, bot: BotSide, seconds: int, times: int = 1) -> None:
        """The bot's next `times` messages are answered 420 FLOOD_WAIT_seconds."""
        self.floods[bot] = Flood(seconds, times)

    def trouble(self, bot: BotSide, times: int = 1) -> None:
        """The bot's next `times` messages are answered 500 RPC_CALL_FAIL, and not taken."""
        self.troubles[bot] = times

    def flood_logins(self, bot: BotSide, seconds: int, times: int = 1) -> None:
        """The bot's next `times` logins are answered 420 FLOOD_WAIT_seconds."""
        self.login_floods[bot] = Flood(seconds, times)

    def drop(self) -> None:
        """Every connection is closed. New ones are welcome.

        What is published before a client is back is only in the log: the server does not remember whom it told what.
        """
        self._disconnect()

    def freeze(self) -> None:
        """Connections are accepted and read, nothing is done, answered or pushed. Updates are only logged."""
        self.frozen = True

    def thaw(self) -> None:
        """What was said meanwhile stays unanswered."""
        self.frozen = False

    def bad_salt(self) -> None:
        """Each session's next request is answered BadServerSalt with the new salt."""
        self.salt = new_salt()

    def migrate(self, bot: BotSide, dc: int) -> None:
        """The bot's next login is answered 303 USER_MIGRATE_dc, once."""
        bot.migrate_to = dc

    def repeat_updates(self, times: int) -> None:
        """Every push is pushed that many times again. 0 ends it."""
        self.repeats = times

    def hold_pushes(self) -> None:
        """Updates are logged and not pushed."""
        self.pushes_held = True

    def release_pushes(self) -> None:
        """New updates are pushed again. Those held are only in the log."""
        self.pushes_held = False

    def short_messages(self, wanted: bool) -> None:
        """Private messages are pushed as UpdateShortMessage, which has no users in it."""
        self.short = wanted

    def lose_answers(self, times: int) -> None:
        """The next `times` messages of bots are accepted, and no bot is told."""
        self.answers_to_lose = times

    def ban(self, bot: BotSide) -> None:
        """Every call is answered 401 USER_DEACTIVATED_BAN. Messages to the bot go nowhere."""
        bot.banned = True

    def revoke(self, bot: BotSide) -> None:
        """The token is dead: calls are answered 401 AUTH_KEY_UNREGISTERED, logins 400 ACCESS_TOKEN_EXPIRED."""
        bot.expired_tokens.add(bot.token)
        self._log_out(bot)

    def reissue(self, bot: BotSide, token: str) -> None:
        """The same account gets another token, which works."""
        bot.token = token

    def rename(self, bot: BotSide, username: str) -> None:
        """The bot has another username from now on."""
        bot.username = username

    def advance(self, seconds: float) -> None:
        """The clock that dates messages and updates is put forward."""
        self.clock_offset += seconds

    def delay(self, seconds: float) -> None:
        """Each answer is given that much later. 0 ends it."""
        self.answer_delay = seconds


def new_salt() -> int:
    """Any number but zero, with which clients begin."""
    return int.from_bytes(os.urandom(7)) + 1
