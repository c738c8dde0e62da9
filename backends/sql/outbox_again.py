"""Conversions due once more, by the operator's hand: those that failed, that were sent, that had nowhere to go.

Every call moves one batch, in a transaction of its own; whoever stops in between has moved what is moved, and the same
again finds the rest. The batch is looked for before that, as it may take long: no start and no erasure waits meanwhile,
and what has changed since is left out. No event gets another id, and nothing of a person or click that is erased is ever
due again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent, query, transaction
from backends.sql.outbox_wanted import Wanted
from backends.sql.owed import NO_PIXEL, to_pixel
from backends.sql.schema import clicks, links, outbox, webhooks
from backends.sql.tombstones import beside_erasures
from domain.conversions import UNATTRIBUTED, webhook_lane

BATCH = 500
_NOT_REPORTED = "the link does not report "
_KEY = (outbox.c.event_at, outbox.c.event_id, outbox.c.lane)
# Not `sent_at`: it goes on saying when it was sent first, as from then on the destination tells copies apart.
_DUE = {
    "state": "pending",
    "attempts": 0,
    "reason": None,
    "code": None,
    "trace": None,
    "matched": None,
}


@dataclass(frozen=True, slots=True)
class Place:
    """The last row that a batch has looked at."""

    event_at_ms: int
    event_id: UUID
    lane: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How many rows are due once more (or would be), and where to go on; None: that was all."""

    rows: int
    after: Place | None


class SqlOutboxAgain:
    """Makes rows due at `now_ms`, with no attempt counted; with `dry_run` it only says how many. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._put = insert_if_absent(engine, outbox)

    async def count(self, wanted: Wanted) -> int:
        """How many rows these are."""
        counted = select(func.count()).select_from(outbox).where(wanted.condition())

        async def read(connection: AsyncConnection) -> int:
            found: int = (await connection.execute(counted)).scalar_one()
            return found

        return await query(self._engine, read)

    async def failed(self, wanted: Wanted, after: Place | None, *, now_ms: int, dry_run: bool) -> Batch:
        """Those that were rejected or are dead."""
        return await self._whole(wanted.condition(), after, now_ms=now_ms, dry_run=dry_run)

    async def sent(self, wanted: Wanted, after: Place | None, *, now_ms: int, dry_run: bool) -> Batch:
        """Those that were sent, with the ids that they had; not what was of somebody who is erased by now."""
        wanted = replace(wanted, states=("sent",))
        erased = select(clicks.c.id).where(clicks.c.id == outbox.c.click_id, clicks.c.erased_at.is_not(None))
        somebodys = outbox.c.click_id.is_not(None) | outbox.c.telegram_id.is_not(None)
        which = and_(wanted.condition(), somebodys, ~erased.exists())
        return await self._whole(which, after, now_ms=now_ms, dry_run=dry_run)

    async def skipped(
        self, wanted: Wanted, after: Place | None, *, because: Sequence[str], now_ms: int, dry_run: bool
    ) -> Batch:
        """Those that were skipped for a reason that begins with one of these."""
        wanted = replace(wanted, states=("skipped",))
        reasons = or_(*(outbox.c.reason.startswith(text, autoescape=True) for text in because))
        return await self._whole(and_(wanted.condition(), reasons), after, now_ms=now_ms, dry_run=dry_run)

    async def rerouted(self, wanted: Wanted, after: Place | None, *, now_ms: int, dry_run: bool) -> Batch:
        """Those that were skipped because of their link as it was, to where they go by the link as it is now.

        The row that said why there was nowhere to go gives place to one for each lane.
        """
        wanted = replace(wanted, states=("skipped",), lane=UNATTRIBUTED)
        found = (
            select(outbox, links.c.pixel_id, links.c.events_off)
            .join(links, links.c.id == outbox.c.link_id)
            .where(wanted.condition(), _of_the_link())
        )
        named = await self._rows(select(webhooks.c.name))
        rows = await self._rows(_page(found, after))
        owed = {row.event_id: now for row in rows if (now := _rows_now(row, [one.name for one in named]))}
        if owed and not dry_run:
            await transaction(self._engine, lambda connection: self._move(connection, owed, now_ms))
        return Batch(rows=sum(_is_due(row) for now in owed.values() for row in now), after=_end(rows))

    async def _move(
        self, connection: AsyncConnection, owed: dict[UUID, list[dict[str, Any]]], now_ms: int
    ) -> None:
        await beside_erasures(connection)
        # Of two operators at once, the second finds nothing here.
        there = delete(outbox).where(
            outbox.c.event_id.in_(owed), outbox.c.lane == UNATTRIBUTED, _of_the_link()
        )
        gone = (await connection.execute(there.returning(*outbox.c))).all()
        due = [row._asdict() | _DUE | {"next_at": now_ms} | now for row in gone for now in owed[row.event_id]]
        if due:
            due.sort(key=lambda row: (row["event_id"], row["lane"]))
            await connection.execute(self._put, due)

    async def _whole(
        self, which: ColumnElement[bool], after: Place | None, *, now_ms: int, dry_run: bool
    ) -> Batch:
        rows = await self._rows(_page(select(*_KEY).where(which), after))
        if dry_run or not rows:
            return Batch(rows=len(rows), after=_end(rows))
        keys = sorted((row.event_id, row.lane) for row in rows)
        # By their ids alone too: SQLite does not look pairs up in an index.
        these = and_(
            outbox.c.event_id.in_([event_id for event_id, _ in keys]),
            tuple_(outbox.c.event_id, outbox.c.lane).in_(keys),
        )
        due = update(outbox).where(these, which).values(_DUE | {"next_at": now_ms})

        async def work(connection: AsyncConnection) -> int:
            await beside_erasures(connection)
            return (await connection.execute(due)).rowcount

        return Batch(rows=await transaction(self._engine, work), after=_end(rows))

    async def _rows(self, wanted: Select[Any]) -> Sequence[Row[Any]]:
        async def read(connection: AsyncConnection) -> Sequence[Row[Any]]:
            found: Sequence[Row[Any]] = (await connection.execute(wanted)).all()
            return found

        return await query(self._engine, read)


def _page(found: Select[Any], after: Place | None) -> Select[Any]:
    if after is not None:
        found = found.where(tuple_(*_KEY) > (after.event_at_ms, after.event_id, after.lane))
    return found.order_by(*_KEY).limit(BATCH)


def _end(rows: Sequence[Row[Any]]) -> Place | None:
    if len(rows) < BATCH:
        return None
    return Place(rows[-1].event_at, rows[-1].event_id, rows[-1].lane)


def _of_the_link() -> ColumnElement[bool]:
    """Skipped for a reason that another setting of the link takes away: not erased, not somebody's own wish."""
    either = or_(outbox.c.reason == NO_PIXEL, outbox.c.reason.startswith(_NOT_REPORTED))
    return and_(outbox.c.state == "skipped", either)


def _rows_now(row: Any, named: Sequence[str]) -> list[dict[str, Any]]:
    """The row's place and what goes to webhooks, by its link as it is now; none when that changes nothing.

    What only had no pixel has been put into the webhooks' lanes when it happened.
    """
    lane, reason = to_pixel(row, row.event)
    if reason == row.reason:
        return []
    rows = [{"lane": lane, "state": "skipped", "reason": reason} if reason else {"lane": lane}]
    if row.reason != NO_PIXEL:
        rows += [{"lane": webhook_lane(name)} for name in named]
    return rows if any(_is_due(now) for now in rows) else []


def _is_due(row: dict[str, Any]) -> bool:
    return "state" not in row
