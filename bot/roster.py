"""Which bots this worker is, and with which tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from domain.errors import StoreError
from domain.links import Bot
from domain.ports import BotAccounts
from privacy.bot_tokens import BotTokens


class KnownBots(Protocol):
    """The registered bots, from memory."""

    @property
    def bots(self) -> Sequence[Bot]: ...


class Roster:
    """Looks again each time it is asked: bots come and tokens change while the worker runs."""

    def __init__(self, *, accounts: BotAccounts, tokens: BotTokens, known: KnownBots, sessions: Path) -> None:
        self._accounts = accounts
        self._tokens = tokens
        self._known = known
        self._sessions = sessions
        self._last: dict[int, bytes] = {}

    async def bots(self) -> list[Bot]:
        """The bots to be: those with a token. While SQL cannot say which, also those with a session."""
        sure = await self._refresh()
        return [
            bot
            for bot in self._known.bots
            if self._has_token(bot) or (not sure and self.session(bot).exists())
        ]

    async def token(self, bot: Bot) -> str | None:
        """Its token, or None: a session that is logged in goes on without."""
        await self._refresh()
        return self._tokens.of(bot, self._last.get(bot.id)).token

    def session(self, bot: Bot) -> Path:
        """Its session file."""
        return self._sessions / f"{bot.username.lower()}.session"

    def _has_token(self, bot: Bot) -> bool:
        return self._tokens.of(bot, self._last.get(bot.id)).token is not None

    async def _refresh(self) -> bool:
        """False when SQL cannot be asked: what it said last is what is known."""
        try:
            self._last = await self._accounts.tokens()
        except StoreError:
            return False
        return True
