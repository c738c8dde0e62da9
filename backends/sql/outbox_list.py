"""The outbox as the operator reads it: a list, one event's whole story, what failed and why. Nobody's data is in it."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query
from backends.sql.outbox_wanted import Wanted
from backends.sql.schema import bots, clicks, has_failed, lanes, links, outbox
from domain.conversions import DeliveryState, Money
from domain.errors import ConfigError

COUNTED = 100_000
"""Most rows that `counts` looks at: about a tenth of a second on SQLite."""
MOST_GROUPS = 500
MOST_OF_ONE = 200
_ID = re.compile(r"[0-9a-f]{8,32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row: a conversion in one lane. Times are UTC milliseconds. slug and bot are known to a story only."""

    event_id: UUID
    lane: str
    event: str
    at_ms: int
    state: DeliveryState
    reason: str | None
    code: str | None
    trace: str | None
    attempts: int
    next_at_ms: int
    sent_at_ms: int | None
    matched: tuple[str, ...]
    click_id: UUID | None
    order_id: str | None
    money: Money | None
    slug: str | None = None
    bot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows by state, and how many more there may be: `whole` is False when only the newest COUNTED were looked at."""

    by_state: dict[str, int]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """What failed in one lane for one reason: how often, when the events happened, and the newest of them."""

    lane: str
    state: DeliveryState
    code: str | None
    reason: str | None
    count: int
    first_at_ms: int
    last_at_ms: int
    example: UUID


class SqlOutboxList:
    """Reads. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def newest(self, wanted: Wanted, limit: int) -> list[Entry]:
        """Up to `limit` rows, the newest events first."""
        ordered = select(outbox).where(wanted.condition()).order_by(outbox.c.event_at.desc()).limit(limit)
        return await self._entries(ordered)

    async def counts(self, wanted: Wanted) -> Counts:
        """How many rows of that lane, event and time there are in each state, whatever states are wanted."""
        within = and_(
            outbox.c.event_at >= wanted.since_ms,
            true() if wanted.until_ms is None else outbox.c.event_at < wanted.until_ms,
        )
        seen = select(outbox.c.state, outbox.c.lane, outbox.c.event).where(within)
        newest = seen.order_by(outbox.c.event_at.desc()).limit(COUNTED).subquery()
        counted = select(newest.c.state, func.count(), _which(newest, wanted).label("which")).group_by(
            newest.c.state, "which"
        )

        async def read(connection: AsyncConnection) -> Counts:
            rows = (await connection.execute(counted)).all()
            by_state = {state: count for state, count, which in rows if which}
            return Counts(by_state=by_state, whole=sum(count for _, count, _ in rows) < COUNTED)

        return await query(self._engine, read)

    async def held(self) -> dict[str, str]:
        """Lanes in which nothing is sent until something is mended, and what."""
        wanted = select(lanes.c.lane, lanes.c.hold_reason).where(lanes.c.held_at.is_not(None))

        async def read(connection: AsyncConnection) -> dict[str, str]:
            found = await connection.execute(wanted.order_by(lanes.c.lane))
            return {row.lane: row.hold_reason or "" for row in found}

        return await query(self._engine, read)

    async def of(self, name: str) -> list[Entry]:
        """All rows of the events with that order id, of whatever bot; else of the one event whose id begins with `name`.

        ConfigError when several begin so. At least 8 hexadecimal digits of an id are asked for.
        """
        if found := await self._entries(_story(outbox.c.order_id == name)):
            return found
        digits = name.replace("-", "").lower()
        if not _ID.fullmatch(digits):
            return []
        low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        found = await self._entries(_story(outbox.c.event_id.between(low, high)))
        if len({entry.event_id for entry in found}) > 1:
            raise ConfigError(f"more than one event begins with {name!r}: give more of the id")
        return found

    async def of_click(self, click_id: UUID) -> list[Entry]:
        """All rows of one click's events."""
        return await self._entries(_story(outbox.c.click_id == click_id))

    async def dead_letters(self, since_ms: int) -> list[DeadLetters]:
        """What was rejected, or whose time is over, by lane, state, code and reason; the most frequent first."""
        same = [outbox.c.lane, outbox.c.state, outbox.c.code, outbox.c.reason]
        newest_first = [outbox.c.event_at.desc(), outbox.c.event_id]
        every = (
            select(
                *(outbox.c[name] for name in ("lane", "state", "code", "reason", "event_id")),
                func.count().over(partition_by=same).label("rows"),
                func.min(outbox.c.event_at).over(partition_by=same).label("first_at"),
                func.max(outbox.c.event_at).over(partition_by=same).label("last_at"),
                func.row_number().over(partition_by=same, order_by=newest_first).label("place"),
            )
            .where(has_failed, outbox.c.event_at >= since_ms)
            .subquery()
        )
        order = (every.c.rows.desc(), every.c.lane, every.c.last_at.desc())
        wanted = select(every).where(every.c.place == 1).order_by(*order).limit(MOST_GROUPS)

        async def read(connection: AsyncConnection) -> list[DeadLetters]:
            return [_dead_letters(row) for row in await connection.execute(wanted)]

        return await query(self._engine, read)

    async def _entries(self, wanted: Select[Any]) -> list[Entry]:
        async def read(connection: AsyncConnection) -> list[Entry]:
            return [_entry(row) for row in await connection.execute(wanted)]

        return await query(self._engine, read)


def _which(newest: Any, wanted: Wanted) -> ColumnElement[bool]:
    lane = true() if wanted.lane is None else newest.c.lane == wanted.lane
    return lane & (true() if wanted.event is None else newest.c.event == wanted.event)


def _story(which: ColumnElement[bool]) -> Select[Any]:
    bot_id = func.coalesce(clicks.c.owner_bot_id, outbox.c.bot_id)
    return (
        select(outbox, links.c.slug, bots.c.username)
        .join_from(outbox, clicks, clicks.c.id == outbox.c.click_id, isouter=True)
        .join(links, links.c.id == outbox.c.link_id, isouter=True)
        .join(bots, bots.c.id == bot_id, isouter=True)
        .where(which)
        .order_by(outbox.c.event_at, outbox.c.event_id, outbox.c.lane)
        .limit(MOST_OF_ONE)
    )


def _entry(row: Any) -> Entry:
    return Entry(
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
        order_id=row.order_id,
        money=None if row.value is None else Money(micros=row.value, currency=row.currency),
        slug=getattr(row, "slug", None),
        bot=getattr(row, "username", None),
    )


def _dead_letters(row: Any) -> DeadLetters:
    return DeadLetters(
        lane=row.lane,
        state=row.state,
        code=row.code,
        reason=row.reason,
        count=row.rows,
        first_at_ms=row.first_at,
        last_at_ms=row.last_at,
        example=row.event_id,
    )
