"""Looking for conversions that a fact should have brought with it, and writing them: the check behind invariant I4.

Nothing is ever missing while the ledger writes facts and conversions in one transaction. What finds something here is
a row that was deleted by hand, a database restored in part, or an error of ours.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.among import IDS, among, by_index, packer
from backends.sql.engine import snapshot, transaction
from backends.sql.ledger import click_of
from backends.sql.owed import Owed, reports
from backends.sql.schema import clicks, links, outbox
from backends.sql.tombstones import open_for_people
from domain.conversions import CLICK_EVENT, START_EVENT, click_event_id
from domain.ids import first_uuid7


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What one look found. missing: clicks that lack a conversion, in the order of their ids. last: the last click that was
    looked at, after which the next look begins; None when there are no more.
    """

    missing: tuple[UUID, ...]
    last: UUID | None


class SqlReconciler:
    """Raises StoreUnavailable. It holds no lock from one call to the next: calls may be repeated, given up half-way, and made
    by two at once, one of which waits for no more than the other's one transaction.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._owed = Owed(engine)
        self._ids = packer(engine)
        self._there = select(outbox.c.event_id).where(among(engine, outbox.c.event_id))
        self._again = (
            select(clicks)
            .where(among(engine, clicks.c.id), *_LIVE)
            .order_by(clicks.c.id)
            # Not shared: of two at once, the second looks when the first has written, and counts what it writes itself.
            .with_for_update(key_share=True)
        )

    async def missing(self, since_ms: int, until_ms: int, after: UUID | None, limit: int) -> Checked:
        """Looks at the next `limit` clicks of that time (UTC milliseconds, the end excluded), oldest first.

        A click with an owner owes START_EVENT, in any lane; every click CLICK_EVENT, where its link reports that now.
        """
        first, end = first_uuid7(since_ms), first_uuid7(until_ms)
        wanted = {"after": max(after, first) if after else first, "end": end, "limit": limit}
        page = _AFTER if after else _FROM

        async def read(connection: AsyncConnection) -> Checked:
            await by_index(connection)
            found = (await connection.execute(page, wanted)).all()
            lacking = await self._lacking(connection, found)
            missing = sorted({*lacking[START_EVENT], *lacking[CLICK_EVENT]})
            return Checked(missing=tuple(missing), last=found[-1].id if len(found) == limit else None)

        return await snapshot(self._engine, read)

    async def repair(self, ids: Sequence[UUID]) -> int:
        """Writes what those clicks still lack, in one transaction; how many lacked something.

        No erasure of theirs comes in between: it waits for the clicks, and then finds their conversions.
        """

        async def write(connection: AsyncConnection) -> int:
            await open_for_people(connection)
            await by_index(connection)
            found = (await connection.execute(self._again, {IDS: self._ids(ids)})).all()
            lacking = await self._lacking(connection, found)
            viewed = {*lacking[CLICK_EVENT]}
            if lacking[START_EVENT]:
                await self._owed.of_starts(connection, lacking[START_EVENT])
            if viewed:
                await self._owed.of_clicks(connection, [click_of(row) for row in found if row.id in viewed])
            return len(viewed.union(lacking[START_EVENT]))

        return await transaction(self._engine, write) if ids else 0

    async def _lacking(self, connection: AsyncConnection, found: Sequence[Any]) -> dict[str, list[UUID]]:
        """Those of the clicks that lack each event."""
        on = await _links_on(connection, {row.link_id for row in found})
        owed = {
            START_EVENT: [row.id for row in found if row.owner_telegram_id is not None],
            CLICK_EVENT: [row.id for row in found if row.link_id in on],
        }
        ids = {(one, event): click_event_id(one, event) for event, of in owed.items() for one in of}
        there = set((await connection.execute(self._there, {IDS: self._ids(ids.values())})).scalars())
        return {event: [one for one in of if ids[one, event] not in there] for event, of in owed.items()}


async def _links_on(connection: AsyncConnection, ids: Iterable[int]) -> set[int]:
    """Links that report their clicks."""
    wanted = select(links.c.id, links.c.events_off).where(links.c.id.in_(ids))
    return {row.id for row in await connection.execute(wanted) if reports(row, CLICK_EVENT)}


_LIVE = (clicks.c.clicked_at.is_not(None), clicks.c.erased_at.is_(None))


def _page(start: Any) -> Select[Any]:
    wanted = select(clicks.c.id, clicks.c.link_id, clicks.c.owner_telegram_id)
    within = wanted.where(start, clicks.c.id < bindparam("end"), *_LIVE)
    return within.order_by(clicks.c.id).limit(bindparam("limit"))


_FROM = _page(clicks.c.id >= bindparam("after"))
_AFTER = _page(clicks.c.id > bindparam("after"))
