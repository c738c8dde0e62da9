"""How lanes are, without reading their queues, and how they are released."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CTE, Select, Update, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.sql.among import by_index
from backends.sql.retention import MANY
from backends.sql.schema import is_pending, lanes, outbox, pixels, webhooks
from domain.conversions import LaneStatus, meta_lane, webhook_lane


def released(lane: str) -> Update:
    """The statement by which the lane is held no longer; it counts a row only where it was."""
    held = update(lanes).where(lanes.c.lane == lane, lanes.c.held_at.is_not(None))
    return held.values(held_at=None, hold_reason=None)


def lanes_due() -> Select[Any]:
    """Lanes in which something is due at `now`."""
    waiting = _waiting()
    # Not EXISTS, which PostgreSQL may turn into a join that reads everything due.
    first = select(func.min(outbox.c.next_at)).where(is_pending, outbox.c.lane == waiting.c.lane)
    due = first.correlate(waiting).scalar_subquery() <= bindparam("now")
    return select(waiting.c.lane).where(waiting.c.lane.is_not(None), due)


def _waiting() -> CTE:
    """Lanes in which something waits, and a NULL at the end: one step through the index for each lane.

    A DISTINCT would read the whole queue.
    """
    first = select(func.min(outbox.c.lane).label("lane")).where(is_pending)
    waiting = first.cte("waiting", recursive=True)
    after = select(func.min(outbox.c.lane)).where(is_pending, outbox.c.lane > waiting.c.lane)
    step = select(after.correlate(waiting).scalar_subquery()).where(waiting.c.lane.is_not(None))
    return waiting.union_all(step)


_WAITING = _waiting()
_LANES_WAITING = select(_WAITING.c.lane).where(_WAITING.c.lane.is_not(None))
_first_due = (
    select(outbox.c.event_at)
    .where(outbox.c.lane == bindparam("in_lane"), is_pending)
    .order_by(outbox.c.next_at)
    .limit(MANY)
    .subquery()
)
_QUEUE = select(func.count().label("pending"), func.min(_first_due.c.event_at).label("oldest")).select_from(
    _first_due
)


async def read_lanes(connection: AsyncConnection) -> list[LaneStatus]:
    """Every lane that has something waiting, is noted, or leads to a destination that there is; by name.

    `pending` counts to MANY, and `oldest_at_ms` is of the MANY that are due first: exact in every shorter queue.
    """
    await by_index(connection)
    noted = {row.lane: row for row in await connection.execute(select(lanes))}
    waiting = (await connection.execute(_LANES_WAITING)).scalars().all()
    queues = {lane: (await connection.execute(_QUEUE, {"in_lane": lane})).one() for lane in waiting}
    known = {*noted, *queues, *await _destinations(connection)}
    return [_status(lane, noted.get(lane), queues.get(lane)) for lane in sorted(known)]


async def _destinations(connection: AsyncConnection) -> Iterable[str]:
    ids = (await connection.execute(select(pixels.c.id))).scalars()
    names = (await connection.execute(select(webhooks.c.name))).scalars()
    return [*(meta_lane(pixel) for pixel in ids), *(webhook_lane(name) for name in names)]


def _status(lane: str, noted: Any, queue: Any) -> LaneStatus:
    return LaneStatus(
        lane=lane,
        pending=queue.pending if queue else 0,
        oldest_at_ms=queue.oldest if queue else None,
        held_at_ms=noted.held_at if noted else None,
        hold_reason=noted.hold_reason if noted else None,
        sent_at_ms=noted.sent_at if noted else None,
        warning=noted.warning if noted else None,
    )
