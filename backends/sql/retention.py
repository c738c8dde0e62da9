"""Retention in SQL: originals are forgotten, old clicks become totals and are deleted.

Everything goes in small transactions, oldest first, so that nobody waits long for a lock. The unit of deletion is a
minute: its clicks, their starts and events, and its figures in the books go together, so the books balance at every
moment, for every stretch of time.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, delete, func, select, text, true, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.counting_out import count_out
from backends.sql.engine import empty_the_log, query, transaction, upsert
from backends.sql.operator_schema import alert_judges, alerts, ended, sessions
from backends.sql.partitions import Partition, only_one, partitions
from backends.sql.schema import (
    accounting,
    bot_users,
    click_totals,
    clicks,
    erasures,
    has_digests,
    has_original,
    outbox,
    starts,
)
from domain.books import MINUTE_MS
from domain.ids import first_uuid7, uuid7_ms

MANY = 100_000
# Less than PostgreSQL's deadlock_timeout: of two who wait for each other, retention gives way and tries again.
DROP_WAITS_MS = 500
_EVENT = (outbox.c.event_id, outbox.c.lane)
_PERSON = (bot_users.c.bot_id, bot_users.c.telegram_id)
_TOTAL = ("day", "link_id", "ad_key", "country", "traffic_class")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """How many rows one transaction deleted. `clicks` are in the totals now, those erased before they came excepted."""

    clicks: int = 0
    starts: int = 0
    events: int = 0
    figures: int = 0

    def __add__(self, other: "Deleted") -> "Deleted":
        return Deleted(
            clicks=self.clicks + other.clicks,
            starts=self.starts + other.starts,
            events=self.events + other.events,
            figures=self.figures + other.figures,
        )

    def __bool__(self) -> bool:
        return self != Deleted()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many rows are due (MANY: that many or more), and the time (UTC milliseconds) of the oldest of them."""

    rows: int
    oldest_ms: int | None


class SqlRetention:
    """What retention does in SQL. Bounds are UTC milliseconds, exclusive. Raises StoreUnavailable; repeating is safe."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._add_totals = _added(upsert(engine, click_totals))

    async def forget_originals(self, before_ms: int, limit: int) -> int:
        """Empty `sealed` in at most `limit` clicks from before `before_ms`; how many. Clicks that were settled late too."""
        oldest = _older(before_ms, has_original).limit(limit).with_for_update(skip_locked=True)
        forget = update(clicks).where(clicks.c.id.in_(oldest)).values(sealed=None)
        return await transaction(self._engine, lambda connection: _changed(connection, forget))

    async def forget_digests(self, before_ms: int, limit: int) -> int:
        """Empty `person` in at most `limit` conversions of before `before_ms`, sent or not; how many."""
        oldest = _with_digests(before_ms, *_EVENT).limit(limit).with_for_update(skip_locked=True)
        forget = update(outbox).where(tuple_(*_EVENT).in_(oldest)).values(person=None)
        return await transaction(self._engine, lambda connection: _changed(connection, forget))

    async def aggregate_and_delete(self, before_ms: int, limit: int) -> Deleted:
        """Count clicks from before the minute of `before_ms` into the totals and delete them, in one transaction.

        Whole minutes, as many as hold `limit` rows, and one at least. What was deleted is what was counted: a click
        is counted once, whoever else does the same and however often it is tried. Not what is later than the beginning of
        the oldest day that has a partition of its own: see `drop_oldest`.
        """

        async def work(connection: AsyncConnection) -> Deleted:
            days = [part.from_ms for part in await partitions(connection) if part.is_day]
            end = await _end_of_batch(connection, min([before_ms, *days]) // MINUTE_MS, limit)
            return Deleted() if end is None else await self._delete_until(connection, end)

        return await transaction(self._engine, work)

    async def drop_oldest(self, before_ms: int) -> Deleted | None:
        """Drop the oldest partition if all of it is from before `before_ms`, with the effects of `aggregate_and_delete`; None:
        there is none. For a moment nobody uses `clicks`; StoreUnavailable where that moment does not come soon.
        """

        async def work(connection: AsyncConnection) -> Deleted | None:
            if self._engine.dialect.name != "postgresql" or not await only_one(connection):
                return None
            oldest = next(iter(await partitions(connection)), None)
            if oldest is None or oldest.until_ms > before_ms:
                return None
            return await self._drop(connection, oldest)

        return await transaction(self._engine, work)

    async def delete_direct_starts(self, before_ms: int, limit: int) -> int:
        """Delete at most `limit` starts that named no click; how many."""
        oldest = _direct_starts(before_ms, starts.c.id).limit(limit)
        gone = delete(starts).where(starts.c.id.in_(oldest.with_for_update(skip_locked=True)))
        return await transaction(self._engine, lambda connection: _changed(connection, gone))

    async def delete_conversions(self, before_ms: int, limit: int) -> int:
        """Delete at most `limit` conversions of before that which no click is known of; how many. The others go with it."""
        oldest = _without_click(before_ms, *_EVENT).limit(limit).with_for_update(skip_locked=True)
        gone = delete(outbox).where(tuple_(*_EVENT).in_(oldest))
        return await transaction(self._engine, lambda connection: _changed(connection, gone))

    async def delete_bot_users(self, before_ms: int, limit: int) -> int:
        """Delete at most `limit` people of bots whose last start was before that, touches and all; how many."""
        oldest = _last_seen(before_ms, *_PERSON).limit(limit).with_for_update(skip_locked=True)
        gone = delete(bot_users).where(tuple_(*_PERSON).in_(oldest))
        return await transaction(self._engine, lambda connection: _changed(connection, gone))

    async def delete_erasures(self, before_ms: int) -> int:
        """Delete what says who was erased before that; how many. No start of then is left that could come back."""
        gone = delete(erasures).where(erasures.c.erased_at < before_ms)
        return await transaction(self._engine, lambda connection: _changed(connection, gone))

    async def delete_sessions(self, now_ms: int) -> int:
        """Delete the sessions of the dashboard that have ended by themselves; how many."""
        gone = delete(sessions).where(ended(now_ms))
        return await transaction(self._engine, lambda connection: _changed(connection, gone))

    async def delete_alerts(self, before_ms: int) -> int:
        """Delete the alerts that were over before that, and the workers that have judged none since; how many rows."""
        over = delete(alerts).where(alerts.c.resolved_at < before_ms)
        silent = delete(alert_judges).where(alert_judges.c.judged_at < before_ms)

        async def write(connection: AsyncConnection) -> int:
            return await _changed(connection, over) + await _changed(connection, silent)

        return await transaction(self._engine, write)

    async def originals_due(self, before_ms: int) -> Waiting:
        """Clicks whose original `forget_originals` would forget."""
        return await self._waiting(_older(before_ms, has_original), uuid7_ms)

    async def clicks_due(self, before_ms: int) -> Waiting:
        """Clicks that `aggregate_and_delete` and `drop_oldest` would delete."""
        parts = await query(self._engine, partitions)
        # A day that has a partition of its own goes when it is over.
        not_yet = [part.from_ms for part in parts if part.is_day and part.until_ms > before_ms]
        return await self._waiting(_older(min([_whole_minute(before_ms), *not_yet])), uuid7_ms)

    async def direct_starts_due(self, before_ms: int) -> Waiting:
        """Starts that `delete_direct_starts` would delete."""
        return await self._waiting(_direct_starts(before_ms, starts.c.started_at), int)

    async def digests_due(self, before_ms: int) -> Waiting:
        """Conversions whose digests `forget_digests` would forget."""
        return await self._waiting(_with_digests(before_ms, outbox.c.event_at), int)

    async def conversions_due(self, before_ms: int) -> Waiting:
        """Conversions that `delete_conversions` would delete."""
        return await self._waiting(_without_click(before_ms, outbox.c.event_at), int)

    async def bot_users_due(self, before_ms: int) -> Waiting:
        """People of bots that `delete_bot_users` would delete, by their last starts."""
        return await self._waiting(_last_seen(before_ms, bot_users.c.last_started_at), int)

    async def leave_no_copy(self) -> bool:
        """After deleting: cut SQLite's log. False: others were in the way, try again. PostgreSQL: autovacuum does it."""
        return await empty_the_log(self._engine)

    async def _delete_until(self, connection: AsyncConnection, end: int) -> Deleted:
        """Delete everything of the minutes before `end`, in the order in which the ledger writes."""
        rows = await self._delete_clicks(connection, end * MINUTE_MS)
        return Deleted(clicks=rows) + await self._delete_rest(connection, end)

    async def _drop(self, connection: AsyncConnection, part: Partition) -> Deleted:
        """Clicks as a whole, what goes with them row by row, and the partition last: only then others have to wait."""
        await connection.execute(text(f"SET LOCAL lock_timeout = '{DROP_WAITS_MS}ms'"))
        # Nobody writes there any more but who brings a click of then.
        await connection.execute(text(f"LOCK TABLE {part.name} IN SHARE ROW EXCLUSIVE MODE"))
        rows = await count_out(connection, part)
        # Such as came late, to another partition.
        rows += await self._delete_clicks(connection, part.from_ms)
        rest = await self._delete_rest(connection, part.until_ms // MINUTE_MS)
        await connection.execute(text(f"DROP TABLE {part.name}"))
        return Deleted(clicks=rows) + rest

    async def _delete_clicks(self, connection: AsyncConnection, end_ms: int) -> int:
        """Row by row, which logs what they counted for; how many."""
        gone = delete(clicks).where(clicks.c.id < first_uuid7(end_ms)).returning(*_COUNTED)
        found = (await connection.execute(gone)).all()
        if totals := _totals(found):
            await connection.execute(self._add_totals, totals)
        return len(found)

    async def _delete_rest(self, connection: AsyncConnection, end: int) -> Deleted:
        """What goes with the clicks of the minutes before `end`."""
        bound = first_uuid7(end * MINUTE_MS)
        return Deleted(
            starts=await _changed(connection, delete(starts).where(starts.c.click_id < bound)),
            events=await _changed(connection, delete(outbox).where(outbox.c.click_id < bound)),
            figures=await _changed(connection, delete(accounting).where(accounting.c.minute < end)),
        )

    async def _waiting(self, due: Select[Any], time_of: Callable[[Any], int]) -> Waiting:
        """Counts up to MANY only, and never sorts: `due` is in the order of an index."""
        counted = select(func.count()).select_from(due.limit(MANY).subquery())

        async def read(connection: AsyncConnection) -> Waiting:
            oldest = (await connection.execute(due.limit(1))).scalar()
            rows = (await connection.execute(counted)).scalar_one()
            return Waiting(rows=rows, oldest_ms=None if oldest is None else time_of(oldest))

        return await query(self._engine, read)


_COUNTED = (
    clicks.c.id,
    clicks.c.link_id,
    clicks.c.ad_key,
    clicks.c.country,
    clicks.c.traffic_class,
    clicks.c.clicked_at,
    clicks.c.owner_telegram_id,
)


async def _end_of_batch(connection: AsyncConnection, last: int, limit: int) -> int | None:
    """The minute before which at most `limit` clicks and figures lie, or one minute's; None when none lies before `last`."""
    oldest_first = (
        select(clicks.c.id).where(clicks.c.id < first_uuid7(last * MINUTE_MS)).order_by(clicks.c.id)
    )
    figures = select(accounting.c.minute).where(accounting.c.minute < last).order_by(accounting.c.minute)
    firsts, ends = [], [last]
    for wanted in (oldest_first, figures):
        first = (await connection.execute(wanted.limit(1))).scalar()
        beyond = (await connection.execute(wanted.limit(1).offset(limit))).scalar()
        firsts += [] if first is None else [_minute_of(first)]
        ends += [] if beyond is None else [_minute_of(beyond)]
    return max(min(firsts) + 1, min(ends)) if firsts else None


def _minute_of(found: UUID | int) -> int:
    return found if isinstance(found, int) else uuid7_ms(found) // MINUTE_MS


def _totals(found: Sequence[Any]) -> list[dict[str, Any]]:
    """The figures to add, in the order of their keys: two workers cannot deadlock over them."""
    arrived: Counter[tuple[Any, ...]] = Counter()
    started: Counter[tuple[Any, ...]] = Counter()
    for row in found:
        key = (_day_of(row.id), row.link_id, row.ad_key, row.country or "", row.traffic_class or "unknown")
        arrived[key] += row.clicked_at is not None
        started[key] += row.owner_telegram_id is not None
    return [
        dict(zip(_TOTAL, key, strict=True), clicks=arrived[key], starts=started[key])
        for key in sorted(arrived)
        if arrived[key] or started[key]
    ]


def _day_of(click_id: UUID) -> date:
    return datetime.fromtimestamp(uuid7_ms(click_id) / 1000, UTC).date()


def _added(statement: Any) -> Any:
    """Totals add up."""
    return statement.on_conflict_do_update(
        index_elements=list(_TOTAL),
        set_={name: click_totals.c[name] + statement.excluded[name] for name in ("clicks", "starts")},
    )


def _older(before_ms: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(clicks.c.id).where(clicks.c.id < first_uuid7(before_ms), *conditions).order_by(clicks.c.id)


def _direct_starts(before_ms: int, column: Column[Any]) -> Select[Any]:
    found = select(column).where(starts.c.click_id.is_(None), starts.c.started_at < before_ms)
    return found.order_by(starts.c.started_at)


def _with_digests(before_ms: int, *columns: Column[Any]) -> Select[Any]:
    found = select(*columns).where(has_digests, outbox.c.event_at < before_ms)
    return found.order_by(outbox.c.event_at)


def _without_click(before_ms: int, *columns: Column[Any]) -> Select[Any]:
    # "= true": SQLite would read everything without a click by ix_outbox_click_id, whatever its time, and sort it.
    no_click = outbox.c.click_id.is_(None) == true()
    found = select(*columns).where(no_click, outbox.c.event_at < before_ms)
    return found.order_by(outbox.c.event_at)


def _last_seen(before_ms: int, *columns: Column[Any]) -> Select[Any]:
    last = bot_users.c.last_started_at
    return select(*columns).where(last < before_ms).order_by(last)


def _whole_minute(at_ms: int) -> int:
    return at_ms // MINUTE_MS * MINUTE_MS


async def _changed(connection: AsyncConnection, statement: Any) -> int:
    return int((await connection.execute(statement)).rowcount)
