"""What a partition of `clicks` counted for, taken out of the rollups and added to the totals before it is dropped.

The same as deleting its rows one by one does (retention.py, and the triggers of migration 0008), as statements over an
hour each: no statement may take longer than the engine's patience.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Date, Select, func, insert, literal, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.sql.partitions import Partition
from backends.sql.rollup_rows import clicks_as, said
from backends.sql.rollup_schema import click_changes
from backends.sql.schema import click_totals, clicks
from domain.ids import first_uuid7, uuid7_ms

HOUR_MS = 3_600_000
_KEYS = ("day", "link_id", "ad_key", "country", "traffic_class")
_SUMS = ("clicks", "starts")


async def count_out(connection: AsyncConnection, part: Partition) -> int:
    """Log what each click of the partition counted for, and add it to the totals; how many rows it has."""
    rows = 0
    for from_ms in await _hours(connection, part):
        within = (clicks.c.id >= first_uuid7(from_ms)) & (clicks.c.id < first_uuid7(from_ms + HOUR_MS))
        rows += (
            await connection.execute(select(func.count()).select_from(clicks).where(within))
        ).scalar_one()
        logged = clicks_as(-1, postgresql_moments=True).where(within)
        names = [column.name for column in said(click_changes)]
        await connection.execute(insert(click_changes).from_select(names, logged))
        await connection.execute(
            _add(_totals(datetime.fromtimestamp(from_ms / 1000, UTC).date()).where(within))
        )
    return rows


async def _hours(connection: AsyncConnection, part: Partition) -> Iterable[int]:
    """When the hours begin in which the partition has clicks, from the first to the last; UTC milliseconds."""
    within = (clicks.c.id >= first_uuid7(part.from_ms)) & (clicks.c.id < first_uuid7(part.until_ms))
    ids = select(clicks.c.id).where(within)
    first = (await connection.execute(ids.order_by(clicks.c.id).limit(1))).scalar()
    last = (await connection.execute(ids.order_by(clicks.c.id.desc()).limit(1))).scalar()
    if first is None or last is None:
        return ()
    return range(uuid7_ms(first) // HOUR_MS * HOUR_MS, uuid7_ms(last) + 1, HOUR_MS)


def _totals(day: date) -> Select[Any]:
    country = func.coalesce(clicks.c.country, "")
    traffic_class = func.coalesce(func.nullif(clicks.c.traffic_class, ""), "unknown")
    arrived, started = func.count(clicks.c.clicked_at), func.count(clicks.c.owner_telegram_id)
    keys = (clicks.c.link_id, clicks.c.ad_key, country, traffic_class)
    found = select(literal(day, Date), *keys, arrived, started).group_by(*keys)
    # In the order of their keys, as everybody who adds to them.
    return found.having((arrived > 0) | (started > 0)).order_by(*keys)


def _add(totals: Select[Any]) -> Any:
    statement = postgresql.insert(click_totals).from_select([*_KEYS, *_SUMS], totals)
    return statement.on_conflict_do_update(
        index_elements=list(_KEYS),
        set_={name: click_totals.c[name] + statement.excluded[name] for name in _SUMS},
    )
