"""Reading what SQL has of one person, and what it has at all: for exports, profiles, incidents and `privacy doctor`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, snapshot
from backends.sql.ledger import ledger_row
from backends.sql.people import bot_users_of
from backends.sql.schema import bots, clicks, erasures, links, outbox, starts
from domain.conversions import NOTHING, Money, pixel_of, webhook_of
from domain.ids import first_uuid7
from domain.outcomes import LedgerRow
from domain.people import BotUser

PERIOD_BYTES = slice(1, 5)  # of a sealed blob: privacy/seal.py
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedClick:
    """A click that a person owns, and whether its data are erased (an owner may have been left on it)."""

    id: UUID
    row: LedgerRow
    erased_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedStart:
    """A row of `starts`."""

    id: UUID
    bot_id: int
    at_ms: int
    kind: str
    click_id: UUID | None
    reply: str | None
    replied_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A conversion as `outbox` has it, with its way to one destination. person: digests by Meta's short names; matched: which
    of the person's data was sent, as the destination calls it.
    """

    id: UUID
    click_id: UUID | None
    bot_id: int | None
    event: str
    at_ms: int
    order_id: str | None
    money: Money | None
    custom: Mapping[str, Any]
    person: Mapping[str, Sequence[str]]
    state: str
    reason: str | None
    pixel: str | None
    webhook: str | None
    sent_at_ms: int | None
    matched: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What SQL has of one person at one moment. `links` and `bots` are the names of the ids."""

    clicks: tuple[OwnedClick, ...] = ()
    starts: tuple[NotedStart, ...] = ()
    conversions: tuple[Conversion, ...] = ()
    bot_users: tuple[BotUser, ...] = ()
    erased_at_ms: int | None = None
    links: dict[int, str]
    bots: dict[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How many people and clicks a stretch of time holds, and what of them; nobody is named.

    people: distinct Telegram ids. visitors: distinct visitor keys, which mean the same visitor within a UTC day only.
    sealed: clicks with a sealed original, by the period of its key.
    """

    people: int
    visitors: int
    clicks: int
    with_fbclid: int
    with_params: int
    located: int
    with_agent: int
    erased: int
    starts: int
    sealed: dict[int, int]


class SqlSubjects:
    """Reads. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, telegram_id: int, *, person_key: bytes, bot_id: int | None = None) -> Subject:
        """Everything of one person, in every bot or in one."""

        async def read(connection: AsyncConnection) -> Subject:
            owned = await _owned(connection, telegram_id, bot_id)
            forbidden = select(erasures.c.erased_at).where(erasures.c.person_key == person_key)
            return Subject(
                clicks=owned,
                starts=await _starts(connection, telegram_id, bot_id),
                conversions=await _conversions(
                    connection, telegram_id, bot_id, [click.id for click in owned]
                ),
                bot_users=await bot_users_of(connection, telegram_id, bot_id),
                erased_at_ms=(await connection.execute(forbidden)).scalar_one_or_none(),
                links=await _names(connection, select(links.c.id, links.c.slug)),
                bots=await _names(connection, select(bots.c.id, bots.c.username)),
            )

        return await snapshot(self._engine, read)

    async def newest_row(self) -> dict[str, Any] | None:
        """The newest click's row as it is stored, or None when there is none."""

        async def read(connection: AsyncConnection) -> dict[str, Any] | None:
            wanted = select(clicks).where(clicks.c.erased_at.is_(None)).order_by(clicks.c.id.desc()).limit(1)
            row = (await connection.execute(wanted)).mappings().one_or_none()
            return None if row is None else dict(row)

        return await query(self._engine, read)

    async def sealed_periods(self) -> dict[int, int]:
        """How many clicks have a sealed original, by the period of its key."""
        return await query(self._engine, lambda connection: _sealed(connection, clicks.c.sealed.is_not(None)))

    async def extent(self, *, since_ms: int, until_ms: int) -> Extent:
        """Clicks and starts from `since_ms` to before `until_ms`."""
        within = (clicks.c.id >= first_uuid7(since_ms)) & (clicks.c.id < first_uuid7(until_ms))
        begun = (starts.c.started_at >= since_ms) & (starts.c.started_at < until_ms)

        async def read(connection: AsyncConnection) -> Extent:
            counts = (await connection.execute(_counts().where(within))).one()
            owners = select(clicks.c.owner_telegram_id.label("person")).where(
                within & clicks.c.owner_telegram_id.is_not(None)
            )
            people = owners.union(select(starts.c.telegram_id).where(begun)).subquery()
            visitors = (
                select(clicks.c.visitor_period, clicks.c.visitor_key)
                .where(within & clicks.c.visitor_key.is_not(None))
                .distinct()
                .subquery()
            )
            return Extent(
                people=await _count(connection, select(func.count()).select_from(people)),
                visitors=await _count(connection, select(func.count()).select_from(visitors)),
                starts=await _count(connection, select(func.count(starts.c.id)).where(begun)),
                sealed=await _sealed(connection, within & clicks.c.sealed.is_not(None)),
                **counts._asdict(),
            )

        return await snapshot(self._engine, read)


async def _owned(connection: AsyncConnection, telegram_id: int, bot_id: int | None) -> tuple[OwnedClick, ...]:
    theirs = clicks.c.owner_telegram_id == telegram_id
    if bot_id is not None:
        theirs &= clicks.c.owner_bot_id == bot_id
    found = await connection.execute(select(clicks).where(theirs).order_by(clicks.c.id))
    return tuple(OwnedClick(id=row.id, row=ledger_row(row), erased_at_ms=row.erased_at) for row in found)


async def _starts(
    connection: AsyncConnection, telegram_id: int, bot_id: int | None
) -> tuple[NotedStart, ...]:
    theirs = starts.c.telegram_id == telegram_id
    if bot_id is not None:
        theirs &= starts.c.bot_id == bot_id
    found = await connection.execute(select(starts).where(theirs).order_by(starts.c.started_at))
    return tuple(
        NotedStart(
            id=row.id,
            bot_id=row.bot_id,
            at_ms=row.started_at,
            kind=row.kind,
            click_id=row.click_id,
            reply=row.reply,
            replied_at_ms=row.replied_at,
        )
        for row in found
    )


async def _conversions(
    connection: AsyncConnection, telegram_id: int, bot_id: int | None, ids: list[UUID]
) -> tuple[Conversion, ...]:
    """Those that name the person, and those of the clicks."""
    named = outbox.c.telegram_id == telegram_id
    if bot_id is not None:
        named &= outbox.c.bot_id == bot_id
    chunks = [outbox.c.click_id.in_(ids[at : at + _CHUNK]) for at in range(0, len(ids), _CHUNK)]
    found: dict[tuple[UUID, str], Conversion] = {}
    for which in (named, *chunks):
        rows = await connection.execute(select(outbox).where(which))
        found |= {(row.event_id, row.lane): _conversion(row) for row in rows}
    return tuple(sorted(found.values(), key=lambda conversion: conversion.at_ms))


def _conversion(row: Any) -> Conversion:
    money = None if row.value is None else Money(micros=row.value, currency=row.currency)
    return Conversion(
        id=row.event_id,
        click_id=row.click_id,
        bot_id=row.bot_id,
        event=row.event,
        at_ms=row.event_at,
        order_id=row.order_id,
        money=money,
        custom=row.custom or NOTHING,
        person=row.person or NOTHING,
        state=row.state,
        reason=row.reason,
        pixel=pixel_of(row.lane),
        webhook=webhook_of(row.lane),
        sent_at_ms=row.sent_at,
        matched=(row.matched or "").split(),
    )


async def _names(connection: AsyncConnection, wanted: Any) -> dict[int, str]:
    return {row[0]: row[1] for row in await connection.execute(wanted)}


async def _sealed(connection: AsyncConnection, which: ColumnElement[bool]) -> dict[int, int]:
    """By the period in the blob itself: that is the key that opens it."""
    head = func.substr(clicks.c.sealed, PERIOD_BYTES.start + 1, PERIOD_BYTES.stop - PERIOD_BYTES.start)
    found = await connection.execute(select(head, func.count()).where(which).group_by(head))
    return {int.from_bytes(row[0], "big"): row[1] for row in found}


def _counts() -> Any:
    live = clicks.c.erased_at.is_(None)
    return select(
        func.count().filter(live).label("clicks"),
        func.count(clicks.c.fbclid_key).label("with_fbclid"),
        func.count().filter(live & clicks.c.clicked_at.is_not(None)).label("with_params"),
        func.count(clicks.c.country).label("located"),
        func.count().filter(clicks.c.device.is_not(None)).label("with_agent"),
        func.count(clicks.c.erased_at).label("erased"),
    )


async def _count(connection: AsyncConnection, what: Any) -> int:
    counted: int = (await connection.execute(what)).scalar_one()
    return counted
