"""What SQL is told of a bot by the worker that is it: whose it is, how it is, how far its updates are done."""

from contextlib import suppress

from domain.accounts import Heartbeat, UpdateState
from domain.clock import Clock
from domain.errors import StoreError, TrilhaError
from domain.links import Bot, BotHealth
from domain.ports import BotAccounts
from runtime.logs import get_logger

LEASE_MS = 30_000
_log = get_logger("trilha.bot")


class HeldElsewhere(TrilhaError):
    """Another worker is this bot."""


class Presence:
    """Of one bot. SQL may come and go: what it was not told it is told at the next beat."""

    def __init__(self, *, bot: Bot, worker: str, accounts: BotAccounts, clock: Clock) -> None:
        self._bot = bot
        self._worker = worker
        self._accounts = accounts
        self._clock = clock
        self._held = False
        self._health: BotHealth = "unknown"
        self._heard_ms: int | None = None
        self._checked_ms: int | None = None

    @property
    def health(self) -> BotHealth:
        """As it was seen last."""
        return self._health

    async def hold(self) -> None:
        """Be the one worker of this bot. HeldElsewhere if there is another; without SQL nobody can tell, and we go on."""
        if self._held:
            return
        now = self._clock.now_ms()
        try:
            lease = await self._accounts.acquire(
                self._bot.id, self._worker, now_ms=now, until_ms=now + LEASE_MS
            )
        except StoreError:
            return
        if lease is not None:
            left = max(1, round((lease.until_ms - now) / 1000))
            raise HeldElsewhere(
                f"@{self._bot.username} is run by another worker ({lease.worker}). Stop that one; "
                f"if it is dead already, its place is free in {left} s"
            )
        self._held = True

    async def let_go(self) -> None:
        """Leave the bot to whoever comes next."""
        if self._held:
            self._held = False
            with suppress(StoreError):
                await self._accounts.release(self._bot.id, self._worker)

    async def beat(self, done: UpdateState) -> None:
        """Say that we are here, and what is new. HeldElsewhere: another worker has taken the bot over."""
        if self._held:
            await self._prolong(done)
        await self.hold()
        await self._tell_health()

    async def done_before(self) -> UpdateState | None:
        """How far the updates were done as SQL knows it, a few seconds old; None when it does not, or cannot be asked."""
        try:
            return await self._accounts.state(self._bot.id)
        except StoreError:
            return None

    def heard(self) -> None:
        """Telegram has pushed something."""
        self._heard_ms = self._clock.now_ms()

    def checked(self) -> None:
        """Telegram has answered."""
        self._checked_ms = self._clock.now_ms()

    async def found(self, health: BotHealth) -> None:
        """How the bot is; every daemon follows within about a second."""
        self.checked()
        if health == self._health:
            return
        self._health = health
        if health != "ok":
            _log.error("this bot cannot be reached by its link", bot=self._bot.username, health=health)
        await self._tell_health()

    async def _prolong(self, done: UpdateState) -> None:
        heartbeat = Heartbeat(heard_at_ms=self._heard_ms, checked_at_ms=self._checked_ms, state=done)
        until = self._clock.now_ms() + LEASE_MS
        with suppress(StoreError):
            self._held = await self._accounts.beat(self._bot.id, self._worker, heartbeat, until_ms=until)

    async def _tell_health(self) -> None:
        if self._health != "unknown":
            with suppress(StoreError):
                await self._accounts.put_health(self._bot.id, self._health, at_ms=self._clock.now_ms())
