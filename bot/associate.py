"""A START pressed, whichever way it came: bind the click to the person, exactly once."""

import asyncio
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from domain.attribution import Owner, Start
from domain.click import Click
from domain.clock import Clock
from domain.enrichment import Enrichment
from domain.errors import StoreUnavailable, UnknownBot
from domain.links import Bot
from domain.observations import Observer
from domain.outcomes import LedgerRow
from domain.ports import StartSpool, Unsettled
from privacy.token import Minter

LEDGER_SECONDS = 2.5
LATE_MS = 5000
MAX_TELEGRAM_ID = 2**52 - 1  # Telegram promises at most 52 significant bits for a person
COMMAND = "/start"


class Starts(Protocol):
    """The ledger's side of a start (domain/ports.py has the promise)."""

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None: ...


class Bots(Protocol):
    """Finds a registered bot by its username."""

    def bot(self, username: str) -> Bot | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """What arrives. `token` None or empty: a direct start. `telegram_id` is the person's; `update_id` makes repeats one.

    sent_ms: when START was pressed, if it may be long ago, UTC milliseconds.
    """

    bot: str
    telegram_id: int
    token: str | None = None
    update_id: int | None = None
    sent_ms: int | None = None

    @classmethod
    def from_text(
        cls, text: str, *, bot: str, telegram_id: int, update_id: int | None, sent_ms: int | None = None
    ) -> "StartRequest | None":
        """The request of a message `/start`, `/start TOKEN` or `/start@bot TOKEN`; None for any other text."""
        command, *payload = text.split(maxsplit=1) or [""]
        name, at, addressed = command.partition("@")
        if name != COMMAND or (at and addressed.lower() != bot.lower()):
            return None
        return cls(
            bot=bot,
            telegram_id=telegram_id,
            token=payload[0].strip() if payload else None,
            update_id=update_id,
            sent_ms=sent_ms,
        )

    def without_token(self) -> "StartRequest":
        """The same, as a direct start."""
        return replace(self, token=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAnswer:
    """What became of a start.

    owner: this person owns the click, for good. With `deferred` it is False because nobody knows yet: SQL could not
    be asked, the start is kept and will be settled. click: only ever the owner's own (or, deferred, what was found);
    enrichment likewise, once it was settled.
    """

    start: Start
    owner: bool
    click: Click | None
    state: Literal["settled", "deferred"]
    direct: bool = False
    enrichment: Enrichment | None = None


class Associate:
    """The use case behind the bot worker, `POST /v1/starts` and `trilha start`."""

    def __init__(
        self,
        *,
        minter: Minter,
        bots: Bots,
        unsettled: Unsettled,
        ledger: Starts,
        spool: StartSpool,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._minter = minter
        self._bots = bots
        self._unsettled = unsettled
        self._ledger = ledger
        self._spool = spool
        self._clock = clock
        self._observer = observer

    async def start(self, request: StartRequest) -> StartAnswer:
        """Bind, or keep for later. Raises UnknownBot; InvalidToken before any store is asked; StoreUnavailable when
        neither SQL nor the spool took the start: the caller tries again.
        """
        return await self.bind(self.start_of(request))

    async def bind(self, start: Start) -> StartAnswer:
        """As `start`, of one that was read already."""
        click = await self._unsettled.find_unsettled(start.click.id) if start.click else None
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                row = await self._recorded(start, click)
        except (StoreUnavailable, TimeoutError):
            return await self._defer(start, click)
        answer = _answer(start, row)
        self._observer.start(
            "direct" if answer.direct else "attributed" if answer.owner else "taken", "settled"
        )
        return answer

    async def _recorded(self, start: Start, click: Click | None) -> LedgerRow | None:
        """Once more after a failure: a COMMIT whose answer was lost is asked again, and answers the same (I2)."""
        try:
            return await self._ledger.record_start(start, click)
        except StoreUnavailable:
            return await self._ledger.record_start(start, click)

    def start_of(self, request: StartRequest) -> Start:
        """What a request says, without asking any store. Raises UnknownBot and InvalidToken."""
        token = self._minter.verify(request.token) if request.token else None
        bot = self._bots.bot(request.bot)
        if bot is None:
            raise UnknownBot("no such bot is registered. Register it with: trilha bot-account add")
        owner = Owner(bot_id=bot.id, telegram_id=request.telegram_id)
        now, update = moment(request.sent_ms, self._clock.now_ms()), request.update_id
        if token is None:
            return Start.direct(owner, at_ms=now, update_id=update)
        return Start.with_token(owner, token, at_ms=now, update_id=update)

    async def _defer(self, start: Start, click: Click | None) -> StartAnswer:
        await self._spool.put_start(start)
        self._observer.start("direct" if start.click is None else "unknown", "deferred")
        return StartAnswer(
            start=start, owner=False, click=click, state="deferred", direct=start.click is None
        )


def moment(told_ms: int | None, now_ms: int) -> int:
    """When something happened that Telegram dates in whole seconds: now, to the millisecond, unless that is long ago."""
    return told_ms if told_ms is not None and now_ms - told_ms > LATE_MS else now_ms


def _answer(start: Start, row: LedgerRow | None) -> StartAnswer:
    if row is None:
        return StartAnswer(start=start, owner=False, click=None, state="settled", direct=True)
    mine = row.owner == start.owner
    return StartAnswer(
        start=start,
        owner=mine,
        click=row.click if mine else None,
        state="settled",
        enrichment=row.enrichment if mine else None,
    )
