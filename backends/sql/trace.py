"""Reading a trace: everything of one click, one person or one order at one moment.

Architecture invariant: every statement begins at an index and ends after a fixed number of rows, but for those of one
person or order, which are read by its index and cut afterwards. Nothing personal beyond the Telegram ids leaves.
"""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.among import by_index
from backends.sql.bot_accounts import status_of
from backends.sql.engine import snapshot
from backends.sql.ledger import ledger_row
from backends.sql.people import bot_users_of
from backends.sql.schema import ads, bots, clicks, erasures, lanes, outbox, starts
from backends.sql.tombstones import PersonKey
from domain.accounts import BotStatus
from domain.attribution import Owner
from domain.click import Ad
from domain.conversions import LaneStatus, Money
from domain.people import BotUser
from domain.trace import MOST, MOST_DELIVERIES, Trace, TracedClick, TracedDelivery, TracedStart

T = TypeVar("T")
_AD = tuple(ads.c[name].label(f"ad_{name}") for name in Ad._fields)


class SqlTraces:
    """Reads. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine, person_key: PersonKey) -> None:
        self._engine = engine
        self._person_key = person_key

    async def of_click(self, click_id: UUID) -> Trace:
        """A click, all starts with its token, its conversions, and those of its owner that have no click."""

        async def read(connection: AsyncConnection) -> Trace:
            await by_index(connection)
            found = await _clicks(connection, clicks.c.id == click_id)
            begun = await _starts(connection, starts.c.click_id == click_id)
            owners = [click.row.owner for click in found if click.row.owner is not None]
            sold = await _deliveries(connection, outbox.c.click_id == click_id)
            for owner in owners:
                sold += await _deliveries(connection, _of(outbox, owner) & outbox.c.click_id.is_(None))
            return await _trace(connection, found, begun, owners, sold)

        return await snapshot(self._engine, read)

    async def of_person(self, telegram_id: int, bot_id: int | None = None) -> Trace:
        """A person in every bot or in one: the newest of what they did, and of what was reported of them."""

        async def read(connection: AsyncConnection) -> Trace:
            await by_index(connection)
            found = await _clicks(connection, _theirs(clicks, telegram_id, bot_id, prefix="owner_"))
            begun = await _starts(connection, _theirs(starts, telegram_id, bot_id))
            sold = await _deliveries(connection, _theirs(outbox, telegram_id, bot_id))
            if ids := [click.id for click in found[:MOST]]:
                sold += await _deliveries(connection, outbox.c.click_id.in_(ids))
            known = await bot_users_of(connection, telegram_id, bot_id)
            trace = await _trace(connection, found, begun, (), sold, people=known)
            return await self._with_erasure(connection, trace, telegram_id)

        return await snapshot(self._engine, read)

    async def of_order(self, order_id: str) -> Trace:
        """An order, of whatever bots: its conversions, their clicks, and the people of both."""

        async def read(connection: AsyncConnection) -> Trace:
            await by_index(connection)
            sold = await _deliveries(connection, outbox.c.order_id == order_id)
            ids = {row.click_id for row in sold if row.click_id is not None}
            found = await _clicks(connection, clicks.c.id.in_(ids)) if ids else []
            begun = await _starts(connection, starts.c.click_id.in_(ids)) if ids else []
            return await _trace(connection, found, begun, _people_of(found, sold), sold)

        return await snapshot(self._engine, read)

    async def _with_erasure(self, connection: AsyncConnection, trace: Trace, telegram_id: int) -> Trace:
        wanted = select(erasures.c.erased_at).where(erasures.c.person_key == self._person_key(telegram_id))
        erased_at_ms = (await connection.execute(wanted)).scalar_one_or_none()
        return Trace(
            clicks=trace.clicks,
            starts=trace.starts,
            people=trace.people,
            deliveries=trace.deliveries,
            lanes=trace.lanes,
            bots=trace.bots,
            erased_at_ms=erased_at_ms,
            cut=trace.cut,
        )


async def _trace(
    connection: AsyncConnection,
    found: Sequence[TracedClick],
    begun: Sequence[TracedStart],
    owners: Iterable[Owner],
    sold: Sequence[TracedDelivery],
    *,
    people: Sequence[BotUser] = (),
) -> Trace:
    """All of it, each delivery once, with how its lanes and bots are."""
    known = list(people)
    for owner in dict.fromkeys(owners):
        known += await bot_users_of(connection, owner.telegram_id, owner.bot_id)
    each = {(row.event_id, row.lane): row for row in sold}
    rows = sorted(each.values(), key=lambda row: (-row.at_ms, str(row.event_id), row.lane))
    of_bots = {start.owner.bot_id for start in begun[:MOST]} | {user.owner.bot_id for user in known}
    of_bots |= {click.row.owner.bot_id for click in found if click.row.owner}
    of_bots |= {row.bot_id for row in rows if row.bot_id is not None}
    more = {"clicks": len(found) > MOST, "starts": len(begun) > MOST}
    more["deliveries"] = len(sold) > MOST_DELIVERIES
    return Trace(
        clicks=tuple(found[:MOST]),
        starts=tuple(begun[:MOST]),
        people=tuple(known),
        deliveries=tuple(rows[:MOST_DELIVERIES]),
        lanes=await _lanes(connection, {row.lane for row in rows}),
        bots=await _bots(connection, of_bots),
        cut=frozenset(name for name, is_more in more.items() if is_more),
    )


def _people_of(found: Iterable[TracedClick], sold: Iterable[TracedDelivery]) -> list[Owner]:
    named = [
        Owner(bot_id=row.bot_id, telegram_id=row.telegram_id)
        for row in sold
        if row.bot_id is not None and row.telegram_id is not None
    ]
    return list(dict.fromkeys([*(click.row.owner for click in found if click.row.owner), *named]))[:MOST]


def _of(table: Any, owner: Owner) -> ColumnElement[bool]:
    return _theirs(table, owner.telegram_id, owner.bot_id)


def _theirs(table: Any, telegram_id: int, bot_id: int | None, *, prefix: str = "") -> ColumnElement[bool]:
    theirs: ColumnElement[bool] = table.c[f"{prefix}telegram_id"] == telegram_id
    return theirs if bot_id is None else theirs & (table.c[f"{prefix}bot_id"] == bot_id)


async def _clicks(connection: AsyncConnection, which: ColumnElement[bool]) -> list[TracedClick]:
    wanted = (
        select(clicks, *_AD)
        .outerjoin(ads, (ads.c.link_id == clicks.c.link_id) & (ads.c.ad_key == clicks.c.ad_key))
        .where(which)
    )
    return [
        TracedClick(id=row.id, row=ledger_row(row), ad=_ad(row), erased_at_ms=row.erased_at)
        for row in await connection.execute(_newest(wanted, "id", MOST))
    ]


def _ad(row: Any) -> Ad | None:
    return None if row.ad_source is None else Ad(*(getattr(row, f"ad_{name}") for name in Ad._fields))


async def _starts(connection: AsyncConnection, which: ColumnElement[bool]) -> list[TracedStart]:
    wanted = _newest(select(starts).where(which), "started_at", MOST)
    return [
        TracedStart(
            owner=Owner(bot_id=row.bot_id, telegram_id=row.telegram_id),
            at_ms=row.started_at,
            kind=row.kind,
            click_id=row.click_id,
            reply=row.reply,
        )
        for row in await connection.execute(wanted)
    ]


async def _deliveries(connection: AsyncConnection, which: ColumnElement[bool]) -> list[TracedDelivery]:
    wanted = _newest(select(outbox).where(which), "event_at", MOST_DELIVERIES)
    return [_delivery(row) for row in await connection.execute(wanted)]


def _newest(wanted: Select[Any], by: str, most: int) -> Select[Any]:
    """One more than so many of them, found first and put in order then.

    In one step PostgreSQL may follow the index of the order through the whole table, to spare itself sorting a few rows.
    """
    found = wanted.cte("found").prefix_with("MATERIALIZED", dialect="postgresql")
    return select(found).order_by(found.c[by].desc()).limit(most + 1)


def _delivery(row: Any) -> TracedDelivery:
    return TracedDelivery(
        event_id=row.event_id,
        lane=row.lane,
        event=row.event,
        at_ms=row.event_at,
        state=row.state,
        reason=row.reason,
        code=row.code,
        trace=row.trace,
        attempts=row.attempts,
        next_at_ms=row.next_at,
        sent_at_ms=row.sent_at,
        matched=tuple((row.matched or "").split()),
        click_id=row.click_id,
        bot_id=row.bot_id,
        telegram_id=row.telegram_id,
        order_id=row.order_id,
        money=None if row.value is None else Money(micros=row.value, currency=row.currency),
    )


async def _lanes(connection: AsyncConnection, names: set[str]) -> tuple[LaneStatus, ...]:
    """Without their queues: how long one is says nothing of this sale."""
    wanted = select(lanes).where(lanes.c.lane.in_(sorted(names)))
    rows = (await connection.execute(wanted)).all() if names else ()
    return tuple(
        LaneStatus(
            lane=row.lane,
            held_at_ms=row.held_at,
            hold_reason=row.hold_reason,
            sent_at_ms=row.sent_at,
            warning=row.warning,
        )
        for row in rows
    )


async def _bots(connection: AsyncConnection, ids: set[int]) -> tuple[BotStatus, ...]:
    wanted = select(bots).where(bots.c.id.in_(sorted(ids)))
    return tuple(status_of(row) for row in await connection.execute(wanted)) if ids else ()
