"""Front door of `trilha bot`: settings -> stores -> one account for each bot that we are, all in one process."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from backends.build import Stores, open_stores
from backends.catalog_cache import REFRESH_SECONDS, CatalogCache
from backends.folders import FolderLock
from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.keys import SqlKeys
from backends.sql.people import SqlPeople
from bot.account import Account
from bot.associate import Associate
from bot.desk import Desk
from bot.intake import Handle
from bot.line import Line, Unreachable
from bot.mtproto.client import MtprotoLine
from bot.mtproto.server import client_options
from bot.presence import HeldElsewhere, Presence
from bot.reception import Reception
from bot.replier import NoteBook, Replier
from bot.roster import Roster
from bot.state_file import StateFile
from domain.clock import Clock
from domain.errors import ConfigError, StoreUnavailable
from domain.ids import random_uuid
from domain.links import Bot
from privacy.bot_tokens import BotTokens, read_api_hash, read_bot_tokens
from privacy.keyring import Keyring
from privacy.sharing import Sharing
from privacy.token import Minter
from runtime.lifecycle import repeat, sleep_until
from runtime.logs import get_logger
from runtime.metrics import Metrics
from runtime.settings import Settings

SPOOL_NAME = "bot"
PROBE_SECONDS = 0.1
KEYS_SECONDS = 60.0
ROSTER_SECONDS = 5.0
_log = get_logger("trilha.bot")


class Worker:
    """One `trilha bot`: everything it is made of, and the accounts that it runs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._api = _api(settings)
        self._options = client_options(settings)
        settings.bot_sessions.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FolderLock(
            settings.bot_sessions / "worker.lock",
            "another trilha bot. Stop it, or give this one its own TRILHA_HOME_DIR",
        )
        self._name = _worker_name(settings)
        self.metrics = Metrics()
        keyring = Keyring(settings.secrets, clock)
        self._stores: Stores = open_stores(
            settings, clock, self.metrics, name=SPOOL_NAME, person_key=keyring.person_key
        )
        self._sharing = Sharing(keyring, SqlKeys(self._stores.engine), clock)
        self._people = SqlPeople(self._stores.engine)
        self._accounts = SqlBotAccounts(self._stores.engine)
        self._catalog = CatalogCache(self._stores.catalog, settings.catalog_file, clock)
        self._roster = Roster(
            accounts=self._accounts,
            tokens=BotTokens(keyring, read_bot_tokens(settings.bot_tokens_file)),
            known=self._catalog,
            sessions=settings.bot_sessions,
        )
        self._reception = Reception(
            associate=Associate(
                minter=Minter(keyring, clock, node=settings.node, attribution_days=settings.attribution_days),
                bots=self._catalog,
                unsettled=self._stores.chain,
                ledger=self._stores.guarded,
                spool=self._stores.disk,
                clock=clock,
                observer=self.metrics,
            ),
            links=self._catalog,
        )
        self._running: dict[int, tuple[Account, asyncio.Task[None]]] = {}

    async def run(self, stop: asyncio.Event, *, started: Callable[[], None] = lambda: None) -> None:
        """Until `stop`; `started` is called once the bots are ours. ConfigError: there is no bot to be, or another worker is one of them already."""
        self._catalog.load_copy()
        await asyncio.gather(self._catalog.refresh(), self._sharing.refresh())
        await self._stores.open()
        background = [
            asyncio.create_task(repeat(call, seconds, stop))
            for call, seconds in (
                (self._catalog.refresh, REFRESH_SECONDS),
                (self._stores.probe, PROBE_SECONDS),
                (self._sharing.refresh, KEYS_SECONDS),
            )
        ]
        try:
            await self._start_all(stop)
            started()
            while not stop.is_set():
                await sleep_until(stop, ROSTER_SECONDS)
                await self._follow_roster(stop)
        finally:
            stop.set()
            await asyncio.gather(*(task for _, task in self._running.values()), return_exceptions=True)
            await asyncio.gather(*background)
            await self._stores.close()
            self._lock.release()

    def status(self) -> Mapping[str, Any]:
        """What `/readyz` shows: each bot, whether its line is open, how it is."""
        return {
            "ready": bool(self._running) and all(account.connected for account, _ in self._running.values()),
            "bots": {
                account.bot.username: {"connected": account.connected, "health": account.presence.health}
                for account, _ in self._running.values()
            },
            "tiers": self._stores.states(),
        }

    def render(self) -> bytes:
        """What Prometheus reads."""
        self.metrics.bots(Counter(account.presence.health for account, _ in self._running.values()))
        return self.metrics.render()

    async def _start_all(self, stop: asyncio.Event) -> None:
        """At the start everything must be as configured; later, what is wrong with one bot is no other's trouble."""
        if not self._catalog.loaded:
            raise StoreUnavailable("SQL cannot be reached, and this home has never seen its bots")
        bots = await self._roster.bots()
        if not bots:
            raise ConfigError(
                "no bot to be: none has a token. Give it one: trilha bot-account token USERNAME --token-file -"
            )
        accounts = [self._account(bot) for bot in bots]
        try:
            for account in accounts:
                await account.presence.hold()
        except HeldElsewhere as error:
            await asyncio.gather(*(account.presence.let_go() for account in accounts))
            raise ConfigError(str(error)) from None
        for account in accounts:
            self._start(account, stop)

    async def _follow_roster(self, stop: asyncio.Event) -> None:
        """Take up bots that were given a token since, or whose place is free again; leave those whose token is gone."""
        bots = {bot.id: bot for bot in await self._roster.bots()}
        for bot_id, (account, task) in list(self._running.items()):
            if bot_id not in bots or bots[bot_id].username != account.bot.username:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                del self._running[bot_id]
        for bot_id, bot in bots.items():
            if bot_id not in self._running or self._running[bot_id][1].done():
                self._start(self._account(bot), stop)

    def _start(self, account: Account, stop: asyncio.Event) -> None:
        self._running[account.bot.id] = account, asyncio.create_task(self._run(account, stop))

    async def _run(self, account: Account, stop: asyncio.Event) -> None:
        try:
            await account.run(stop)
        except HeldElsewhere as error:
            _log.error("a bot was taken over by another worker", bot=account.bot.username, detail=str(error))
        except Exception as error:  # noqa: BLE001  one bot may not end the others; it is started again
            _log.error("a bot has ended", bot=account.bot.username, error=type(error).__name__)

    def _account(self, bot: Bot) -> Account:
        notes = NoteBook(self._people, self._clock)
        return Account(
            bot=bot,
            presence=Presence(bot=bot, worker=self._name, accounts=self._accounts, clock=self._clock),
            make_line=self._line,
            make_handle=lambda line: self._handle(line, notes),
            notes=notes,
            state_file=StateFile(self._settings.bot_sessions / f"{bot.username.lower()}.state"),
            clock=self._clock,
            observer=self.metrics,
        )

    async def _line(self, bot: Bot) -> Line:
        token = await self._roster.token(bot)
        if token is None and not self._roster.session(bot).exists():
            raise Unreachable("its token cannot be had now")
        return MtprotoLine(
            bot=bot,
            token=token,
            session=self._roster.session(bot),
            api=self._api,
            options=self._options,
        )

    def _handle(self, line: Line, notes: NoteBook) -> Handle:
        replier = Replier(line=line, notes=notes, clock=self._clock, observer=self.metrics)
        return Desk(
            reception=self._reception,
            replier=replier,
            people=self._people,
            copies=self._stores.redis,
            clock=self._clock,
        ).handle


def _api(settings: Settings) -> tuple[int, str]:
    if settings.telegram_api_id is None:
        raise ConfigError(
            "TRILHA_TELEGRAM_API_ID is not set. Telegram gives you an api_id and its api_hash at my.telegram.org"
        )
    return settings.telegram_api_id, read_api_hash(settings.api_hash)


def _worker_name(settings: Settings) -> str:
    """This home's name in leases: after a kill it is still ours. ConfigError when it cannot be kept."""
    file = settings.bot_sessions / "worker"
    try:
        with suppress(FileNotFoundError):
            return file.read_text().strip()
        file.write_text(random_uuid().hex[:12])
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError(f"{file} cannot be used: {error.strerror}") from None
