"""Gathering: asks every store for what one question is about. A store that cannot be asked is said so, never guessed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from analytics.explain.facts import (
    Asked,
    ClickFacts,
    Facts,
    OfOrder,
    OfPerson,
    OfToken,
    Original,
    Rules,
)
from analytics.inspect import ClickView
from domain.attribution import ClickRef, Start
from domain.click import Click
from domain.clock import Clock
from domain.conversions import Conversion
from domain.errors import StoreUnavailable, UnknownBot
from domain.links import Bot, Link
from domain.trace import Trace, TracedClick
from privacy.token import TokenFault

SQL_SECONDS, SPOOL_SECONDS = 5.0, 2.0
NOTHING = Trace()
Waiting = Start | Conversion
Wanted = Callable[[Waiting], bool]


class Clicks(Protocol):
    """Looks a click up everywhere. Raises InvalidToken before any store is asked."""

    async def click(self, token: str) -> ClickView: ...


class Faults(Protocol):
    """Says what is wrong with a token, offline."""

    def fault(self, text: str) -> TokenFault | None: ...


class Traces(Protocol):
    """Everything that SQL has of one thing. Raises StoreUnavailable."""

    async def of_click(self, click_id: UUID) -> Trace: ...
    async def of_person(self, telegram_id: int, bot_id: int | None = None) -> Trace: ...
    async def of_order(self, order_id: str) -> Trace: ...


class Spools(Protocol):
    """What waits in spools and is wanted; False with it when one could not be read."""

    async def waiting(self, wanted: Wanted) -> tuple[list[Waiting], bool]: ...


class Names(Protocol):
    """Links and bots, as they are in memory."""

    def link_by_id(self, link_id: int) -> Link | None: ...
    def bot(self, username: str) -> Bot | None: ...


class Originals(Protocol):
    """Says whether a sealed original can be opened. Opens nothing."""

    def readable(self, blob: bytes) -> bool: ...


class Gathering:
    """The use case behind `trilha explain`, `GET /v1/explain` and the dashboard's page."""

    def __init__(
        self,
        *,
        clicks: Clicks,
        faults: Faults,
        traces: Traces,
        spools: Spools,
        names: Names,
        originals: Originals,
        rules: Rules,
        clock: Clock,
    ) -> None:
        self._clicks, self._faults, self._traces = clicks, faults, traces
        self._spools, self._names, self._originals = spools, names, originals
        self._rules, self._clock = rules, clock

    async def token(self, token: str) -> Facts:
        """Of a token. One that is refused costs no I/O: `refused` says why, for the operator's eyes only."""
        if (fault := self._faults.fault(token)) is not None:
            return Facts(asked=OfToken(), now_ms=self._clock.now_ms(), rules=self._rules, refused=fault)
        view = await self._clicks.click(token)
        trace, (waiting, all_read) = await asyncio.gather(
            self._sql(self._traces.of_click(view.ref.id)), self._waiting(lambda one: _names(one, view.ref))
        )
        facts = self._facts(OfToken(), trace, waiting, all_read)
        traced = facts.clicks[0] if facts.clicks else None
        return _with_clicks(facts, (self._viewed(view, traced),))

    async def person(self, telegram_id: int, bot: str | None = None) -> Facts:
        """Of a person, in one bot or in all. UnknownBot when no such bot is registered."""
        known = None if bot is None else self._names.bot(bot)
        if bot is not None and known is None:
            raise UnknownBot(f"no bot {bot!r} is registered")
        bot_id = known.id if known else None
        trace, (waiting, all_read) = await asyncio.gather(
            self._sql(self._traces.of_person(telegram_id, bot_id)),
            self._waiting(lambda one: _is_of(one, telegram_id, bot_id)),
        )
        asked = OfPerson(telegram_id=telegram_id, bot=known.username if known else None)
        return self._facts(asked, trace, waiting, all_read)

    async def order(self, order_id: str) -> Facts:
        """Of an order, in whatever bots."""
        trace, (waiting, all_read) = await asyncio.gather(
            self._sql(self._traces.of_order(order_id)),
            self._waiting(lambda one: isinstance(one, Conversion) and one.order_id == order_id),
        )
        return self._facts(OfOrder(order_id=order_id), trace, waiting, all_read)

    async def _sql(self, question: Awaitable[Trace]) -> Trace | None:
        try:
            async with asyncio.timeout(SQL_SECONDS):
                return await question
        except (StoreUnavailable, TimeoutError):
            return None

    async def _waiting(self, wanted: Wanted) -> tuple[list[Waiting], bool]:
        try:
            async with asyncio.timeout(SPOOL_SECONDS):
                return await self._spools.waiting(wanted)
        except TimeoutError:
            return [], False

    def _facts(
        self,
        asked: Asked,
        trace: Trace | None,
        waiting: Iterable[Waiting],
        all_read: bool,  # noqa: FBT001  from one place
    ) -> Facts:
        found = trace or NOTHING
        known = {row.event_id for row in found.deliveries}
        return Facts(
            asked=asked,
            now_ms=self._clock.now_ms(),
            rules=self._rules,
            sql=trace is not None,
            waiting_read=all_read,
            clicks=tuple(self._traced(click) for click in found.clicks),
            starts=found.starts,
            people=found.people,
            deliveries=found.deliveries,
            lanes={lane.lane: lane for lane in found.lanes},
            bots={status.bot.id: status for status in found.bots},
            waiting=tuple(one for one in waiting if one.id not in known and not _is_noted(one, found)),
            erased_at_ms=found.erased_at_ms,
            cut=found.cut,
        )

    def _traced(self, traced: TracedClick) -> ClickFacts:
        row = traced.row
        return ClickFacts(
            id=traced.id,
            link_id=row.link_id,
            link=self._names.link_by_id(row.link_id),
            click=row.click,
            ad=traced.ad,
            row=row,
            original=self._original(row.click),
            erased_at_ms=traced.erased_at_ms,
        )

    def _viewed(self, view: ClickView, traced: ClickFacts | None) -> ClickFacts:
        """What SQL says of it as of one moment, and what the other stores say."""
        click = (traced.click if traced else None) or view.click
        erased_at_ms = traced.erased_at_ms if traced else None
        return ClickFacts(
            id=view.ref.id,
            link_id=view.ref.link_id,
            link=view.link,
            click=None if erased_at_ms is not None else click,
            ad=view.ad or (traced.ad if traced else None),
            row=traced.row if traced else view.row,
            original=self._original(click),
            erased_at_ms=erased_at_ms,
            durability=view.durability,
            visible=view.visible,
            stores=view.stores,
            certain=view.certain,
        )

    def _original(self, click: Click | None) -> Original:
        """The blob itself is deleted with its key: a click of long ago without one had one once."""
        if click is None:
            return "none"
        if click.sealed is not None:
            return "kept" if self._originals.readable(click.sealed) else "gone"
        old = self._clock.now_ms() - click.at_ms > self._rules.sealed_days * 86_400_000
        return "gone" if old else "none"


def _with_clicks(facts: Facts, clicks: tuple[ClickFacts, ...]) -> Facts:
    return replace(facts, clicks=clicks)


def _names(one: Waiting, ref: ClickRef) -> bool:
    return one.click is not None and one.click.id == ref.id


def _is_of(one: Waiting, telegram_id: int, bot_id: int | None) -> bool:
    owner = one.owner
    return owner is not None and owner.telegram_id == telegram_id and bot_id in (None, owner.bot_id)


def _is_noted(one: Waiting, found: Trace) -> bool:
    """A start that has been settled since the spool was read, or is settled and not trimmed yet."""
    if isinstance(one, Conversion):
        return False
    click_id = one.click.id if one.click else None
    return any(
        (start.owner, start.click_id, start.at_ms) == (one.owner, click_id, one.at_ms)
        for start in found.starts
    )
