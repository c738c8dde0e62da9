"""Clicks to be scored, with what is counted around them, and their scores written."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction
from backends.sql.enrichment import ENRICHMENT_COLUMNS, enrichment_of, enrichment_values
from backends.sql.ledger import click_of
from backends.sql.schema import clicks, starts, unscored
from domain.books import MINUTE_MS
from domain.enrichment import Enrichment
from domain.outcomes import Counts, Scorable

MOST_VISITORS = 500
MOST_SEEN = 5000
MOST_OWNED = 20_000
_WRITE = (
    update(clicks)
    .where(
        clicks.c.id == bindparam("click_id"),
        clicks.c.erased_at.is_(None),
        clicks.c.started_at.is_not_distinct_from(bindparam("seen_start", type_=clicks.c.started_at.type)),
    )
    .values({name: bindparam(name) for name in (*ENRICHMENT_COLUMNS, "scored_at")})
)


class SqlScoring:
    """The list of clicks that wait to be scored. Every call raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def due(self, limit: int, waited_for: UUID) -> list[Scorable]:
        """The oldest first: clicks that were never enriched, those whose start is not in their scores yet, and tentative
        ones with ids below `waited_for` that nobody has started.
        """
        ripe = clicks.c.traffic_class.is_(None) | clicks.c.owner_telegram_id.is_not(None)
        wanted = select(clicks).where(unscored, ripe | (clicks.c.id < waited_for))
        return await self._scorable(wanted.order_by(clicks.c.id).limit(limit))

    async def after(self, last: UUID, limit: int) -> list[Scorable]:
        """Clicks with ids above `last`, in the order of their ids, which is that of their times."""
        wanted = (
            select(clicks)
            .where(clicks.c.id > last, clicks.c.clicked_at.is_not(None), clicks.c.erased_at.is_(None))
            .order_by(clicks.c.id)
            .limit(limit)
        )
        return await self._scorable(wanted)

    async def write(self, scored: Sequence[tuple[Scorable, Enrichment]], at_ms: int) -> None:
        """In one transaction. A click whose start came after it was read stays due; an erased one is left alone."""
        rows = [
            enrichment_values(enrichment)
            | {
                "click_id": item.click.id,
                "scored_at": None if item.counts.started is None else at_ms,
                "seen_start": item.counts.started_at_ms,
            }
            for item, enrichment in scored
        ]
        if rows:
            await transaction(self._engine, lambda connection: connection.execute(_WRITE, rows))

    async def _scorable(self, wanted: Select[Any]) -> list[Scorable]:
        async def read(connection: AsyncConnection) -> list[Scorable]:
            rows = (await connection.execute(wanted)).all()
            if not rows:
                return []
            users = await _token_users(connection, [row.id for row in rows])
            visitors = await _fbclid_visitors(connection, rows)
            owned = await _owned(connection, rows)
            return [
                Scorable(
                    click=click_of(row),
                    kept=enrichment_of(row),
                    counts=Counts(
                        started_at_ms=row.started_at,
                        token_users=users.get(row.id, 0),
                        fbclid_visitors=visitors.get(row.fbclid_key, 0),
                        visitor_users=_users_before(row, owned),
                    ),
                )
                for row in rows
            ]

        return await query(self._engine, read)


async def _token_users(connection: AsyncConnection, ids: Sequence[UUID]) -> dict[UUID, int]:
    people = func.count(starts.c.telegram_id.distinct())
    wanted = select(starts.c.click_id, people).where(starts.c.click_id.in_(ids)).group_by(starts.c.click_id)
    return {row[0]: row[1] for row in await connection.execute(wanted)}


async def _fbclid_visitors(connection: AsyncConnection, rows: Iterable[Row[Any]]) -> dict[bytes, int]:
    """How many visitors came with each key. Keys that strangers sent often are asked for one by one, and read up to a limit."""
    keys = {row.fbclid_key for row in rows} - {None}
    if not keys:
        return {}
    seen = select(clicks.c.fbclid_key, clicks.c.visitor_key).where(clicks.c.fbclid_key.in_(keys))
    # One statement where it can be: each is planned for every partition of `clicks`.
    pairs = (await connection.execute(seen.limit(MOST_SEEN))).all()
    if len(pairs) < MOST_SEEN:
        visitors = Counter(key for key, visitor in set(pairs) if visitor is not None)
        return {key: min(count, MOST_VISITORS) for key, count in visitors.items()}
    found = {}
    for key in keys:
        some = select(clicks.c.visitor_key).where(clicks.c.fbclid_key == key).limit(MOST_VISITORS).subquery()
        wanted = select(func.count(some.c.visitor_key.distinct()))
        found[key] = (await connection.execute(wanted)).scalar_one()
    return found


async def _owned(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> dict[bytes, list[tuple[int, int]]]:
    """When somebody started from the visitors of these rows, around the time of their starts."""
    times = [row.started_at for row in rows if row.started_at is not None and row.visitor_key is not None]
    if not times:
        return {}
    keys = {row.visitor_key for row in rows if row.started_at is not None} - {None}
    wanted = (
        select(clicks.c.visitor_key, clicks.c.started_at, clicks.c.owner_telegram_id)
        .where(
            clicks.c.owner_telegram_id.is_not(None),
            clicks.c.visitor_key.in_(keys),
            clicks.c.started_at.between(min(times) - MINUTE_MS, max(times)),
        )
        .limit(MOST_OWNED)
    )
    found: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for key, at_ms, person in await connection.execute(wanted):
        found[key].append((at_ms, person))
    return found


def _users_before(row: Row[Any], owned: dict[bytes, list[tuple[int, int]]]) -> int:
    if row.started_at is None or row.visitor_key is None:
        return 0
    first = row.started_at - MINUTE_MS
    return len({person for at, person in owned.get(row.visitor_key, ()) if first <= at <= row.started_at})
