"""What became of conversions lately, in numbers. Every question is bounded: by an index, and where that is not enough by MOST."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query
from backends.sql.schema import has_failed, is_pending, outbox
from domain.pixels import Outcome

MOST = 200_000
"""Rows that are counted of one question, the newest: they take SQLite half a second."""
DAY_MS = 86_400_000
LIFE_MS = 8 * DAY_MS
"""What Meta has not taken seven days after it happened is dead; a day more for those that are ended late."""
_FIRST_DUE = select(func.min(outbox.c.next_at)).where(outbox.c.lane == bindparam("in_lane"), is_pending)


class SqlOutcomes:
    """Counts what became of deliveries. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def delivered(self, lane: str, *, since_ms: int) -> list[Outcome]:
        """Of the conversions that have happened since then, those of the lane that were sent or skipped."""
        newest = (
            _grouped_columns()
            .where(
                outbox.c.event_at >= since_ms, outbox.c.lane == lane, outbox.c.state.in_(("sent", "skipped"))
            )
            .order_by(outbox.c.event_at.desc())
            .limit(MOST)
        )
        return await self._counted(newest)

    async def failed(self, *, since_ms: int) -> list[Outcome]:
        """Those of any lane that were rejected or have died since then, whenever they have happened.

        An end has no time of its own: it is within the claim that it ended, and `next_at` is when that would have been over.
        """
        newest = (
            _grouped_columns()
            .where(has_failed, outbox.c.event_at >= since_ms - LIFE_MS, outbox.c.next_at >= since_ms)
            .order_by(outbox.c.event_at.desc())
            .limit(MOST)
        )
        return await self._counted(newest)

    async def first_due(self, of_lanes: Iterable[str]) -> dict[str, int]:
        """When the next of each of these lanes is due, or was; UTC milliseconds. Lanes without a queue are left out."""

        async def read(connection: AsyncConnection) -> dict[str, int]:
            found = {
                lane: (await connection.execute(_FIRST_DUE, {"in_lane": lane})).scalar() for lane in of_lanes
            }
            return {lane: at_ms for lane, at_ms in found.items() if at_ms is not None}

        return await query(self._engine, read)

    async def _counted(self, newest: Select[Any]) -> list[Outcome]:
        rows = newest.subquery()
        groups = (rows.c.lane, rows.c.state, rows.c.reason, rows.c.matched)
        wanted = select(*groups, func.count().label("count")).group_by(*groups)

        async def read(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(wanted)).all()

        return [_outcome(row) for row in await query(self._engine, read)]


def _grouped_columns() -> Select[Any]:
    return select(outbox.c.lane, outbox.c.state, outbox.c.reason, outbox.c.matched)


def _outcome(row: Any) -> Outcome:
    return Outcome(
        lane=row.lane,
        state=row.state,
        reason=row.reason,
        matched=tuple((row.matched or "").split()),
        count=row.count,
    )
