"""A conversion reported, whichever way it came: one event for one order, kept even while SQL is away."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol
from uuid import UUID

from delivery.meta.normalise import KEYS, digests
from delivery.particulars import Content, custom_of, event_name, moment_of, money_of, needed, order_key
from domain.attribution import ClickRef, Owner
from domain.clock import Clock
from domain.conversions import (
    ERASED,
    LIFE_MS,
    NOTHING,
    Conversion,
    DeliveryState,
    Reported,
    click_event_id,
    order_event_id,
    person_event_id,
)
from domain.errors import InvalidConversion, StoreUnavailable, UnknownBot, UnknownClick
from domain.links import Bot, Link
from domain.observations import Observer
from domain.ports import ConversionSpool, Unsettled
from privacy.token import Minter

LEDGER_SECONDS = 2.5
LINK_NOT_KNOWN = 0
PERSON_FIELDS = tuple(KEYS)
"""What may be told of a person, under our API's names."""
DEFERRED: Literal["deferred"] = "deferred"


class Conversions(Protocol):
    """The ledger's side of a report (domain/ports.py has the promise)."""

    async def record_conversion(
        self, conversion: Conversion, *, too_old: bool = False
    ) -> Reported | None: ...


class Names(Protocol):
    """Finds a registered bot by its username, and a link by its id."""

    def bot(self, username: str) -> Bot | None: ...
    def link_by_id(self, link_id: int) -> Link | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """What arrives. Of token, telegram_id and click_id exactly one. `person` is in clear, under our API's names: it lives no
    longer than the request. at: ISO 8601 with an offset; None: now.
    """

    bot: str
    event: str
    token: str | None = field(default=None, repr=False)
    telegram_id: int | None = field(default=None, repr=False)
    click_id: UUID | None = None
    order_id: str | None = None
    value: float | str | None = None
    currency: str | None = None
    at: str | None = None
    content: Content = field(default_factory=Content)
    person: Mapping[str, str] = field(default_factory=lambda: NOTHING, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAnswer:
    """What became of a report. With `deferred` new is False because nobody knows yet: SQL could not be asked, it is kept.

    ignored: fields that were of no use and left out, by name. link: a slug.
    """

    event_id: UUID
    state: DeliveryState | Literal["deferred"]
    reason: str | None
    new: bool
    click_id: UUID | None
    link: str | None
    pixel: str | None
    ignored: tuple[str, ...]


class Report:
    """The use case behind `POST /v1/conversions` and `trilha conversion`."""

    def __init__(
        self,
        *,
        minter: Minter,
        external_id: Callable[[int], str],
        names: Names,
        unsettled: Unsettled,
        ledger: Conversions,
        spool: ConversionSpool,
        phone_country: str,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._minter = minter
        self._external_id = external_id
        self._names = names
        self._unsettled = unsettled
        self._ledger = ledger
        self._spool = spool
        self._phone_country = phone_country
        self._clock = clock
        self._observer = observer

    async def report(self, request: ReportRequest) -> ReportAnswer:
        """Write it down, or keep it for later. Raises InvalidConversion, UnknownBot and InvalidToken before any store is
        asked; UnknownClick; StoreUnavailable when neither SQL nor the spool took it: the caller tries again.
        """
        conversion, ignored = self._read(request)
        if request.click_id is not None:
            conversion = await self._with_link(conversion, request.click_id)
        try:
            async with asyncio.timeout(LEDGER_SECONDS):
                reported = await self._recorded(conversion)
        except (StoreUnavailable, TimeoutError):
            return await self._defer(conversion, ignored)
        if reported is None:
            raise UnknownClick("no store has this click")
        self._observer.conversion(conversion.event, _counted(reported))
        return ReportAnswer(
            event_id=conversion.id,
            state=reported.state,
            reason=reported.reason,
            new=reported.new,
            click_id=reported.click_id,
            link=reported.slug,
            pixel=reported.pixel,
            ignored=ignored,
        )

    def _read(self, request: ReportRequest) -> tuple[Conversion, tuple[str, ...]]:
        """What a request says, without asking any store, and the names of what was left out."""
        event, order_id = event_name(request.event), order_key(request.order_id)
        money = money_of(request.value, request.currency)
        needed(event, money, order_id)
        at_ms = moment_of(request.at, self._clock.now_ms())
        bot = self._names.bot(request.bot)
        if bot is None:
            raise UnknownBot("no such bot is registered. Register it with: trilha bot-account add")
        whose = self._whose(request, bot)
        # Here what is known of the person in clear ends.
        person = digests(request.person, phone_country=self._phone_country, telegram_id=request.telegram_id)
        custom = custom_of(request.content)
        conversion = Conversion(
            id=order_event_id(bot.id, event, order_id) if order_id else self._once_id(whose, event),
            event=event,
            at_ms=at_ms,
            owner=whose if isinstance(whose, Owner) else None,
            click=whose if isinstance(whose, ClickRef) else None,
            order_id=order_id,
            money=money,
            custom=custom.data,
            person=person.person,
        )
        return conversion, (*person.ignored, *custom.ignored)

    def _whose(self, request: ReportRequest, bot: Bot) -> Owner | ClickRef:
        named = (request.token, request.telegram_id, request.click_id)
        if sum(one is not None for one in named) != 1:
            raise InvalidConversion("exactly one of: token, telegram_id, click_id")
        if request.token is not None:
            return self._minter.verify(request.token)
        if request.telegram_id is not None:
            return Owner(bot_id=bot.id, telegram_id=request.telegram_id)
        assert request.click_id is not None  # noqa: S101  one of three
        return ClickRef(id=request.click_id, link_id=LINK_NOT_KNOWN, node=0, ad_key=b"")

    def _once_id(self, whose: Owner | ClickRef, event: str) -> UUID:
        """Without an order id an event happens once to a click, or to a person."""
        if isinstance(whose, ClickRef):
            return click_event_id(whose.id, event)
        return person_event_id(whose.bot_id, event, self._external_id(whose.telegram_id))

    async def _with_link(self, conversion: Conversion, click_id: UUID) -> Conversion:
        """Its link, where a store beside SQL has the click; SQL is asked when it is written."""
        found = await self._unsettled.find_unsettled(click_id)
        if found is None:
            return conversion
        click = ClickRef(id=found.id, link_id=found.link_id, node=found.node, ad_key=found.ad_key)
        return replace(conversion, click=click)

    async def _recorded(self, conversion: Conversion) -> Reported | None:
        """Once more after a failure: a COMMIT whose answer was lost is asked again, and is not new then."""
        too_old = self._clock.now_ms() - conversion.at_ms > LIFE_MS
        try:
            return await self._ledger.record_conversion(conversion, too_old=too_old)
        except StoreUnavailable:
            return await self._ledger.record_conversion(conversion, too_old=too_old)

    async def _defer(self, conversion: Conversion, ignored: tuple[str, ...]) -> ReportAnswer:
        await self._spool.put_conversion(conversion)
        self._observer.conversion(conversion.event, DEFERRED)
        click = conversion.click
        link = self._names.link_by_id(click.link_id) if click else None
        return ReportAnswer(
            event_id=conversion.id,
            state=DEFERRED,
            reason=None,
            new=False,
            click_id=click.id if click else None,
            link=link.slug if link else None,
            pixel=None,
            ignored=ignored,
        )


def _counted(reported: Reported) -> str:
    return reported.state if reported.new or reported.reason == ERASED else "repeated"
