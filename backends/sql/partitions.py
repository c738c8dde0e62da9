"""Partitions of `clicks` on PostgreSQL: a table for each UTC day, by the ids, which are in the order of their times.

`clicks_before` has what was there when partitions came (migration 0010), `clicks_d20270115` a day, `clicks_default`
whatever no other takes. SQLite has none of it: everything here finds nothing there, and does nothing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction
from domain.ids import first_uuid7, uuid7_ms
from runtime.logs import get_logger

DAY_MS = 86_400_000
DAYS_AHEAD = 7
# Strays of a day that is to have a partition are moved there; of more than that, the day stays in the default.
MOST_MOVED = 20_000
BEFORE = "clicks_before"
_DEFAULT = "clicks_default"
_DAY = re.compile(r"clicks_d(\d{8})")
_BOUND = re.compile(r"TO \('([0-9a-f-]{36})'\)")
_LOCK = 0x7472_6C61_7061  # "trlapa": whoever makes or drops partitions holds it
_PARTS = text(
    "SELECT c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_inherits i "
    "JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = to_regclass('clicks')"
)
_log = get_logger("trilha.partitions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One with bounds, UTC milliseconds, the second exclusive: of a day, or of all that was before (`from_ms` is 0)."""

    name: str
    from_ms: int
    until_ms: int

    @property
    def is_day(self) -> bool:
        """Not that of before."""
        return self.name != BEFORE


def is_partition(table: str) -> bool:
    """Whether a table of this name is a part of `clicks`."""
    return table in {BEFORE, _DEFAULT} or _DAY.fullmatch(table) is not None


async def partitions(connection: AsyncConnection) -> list[Partition]:
    """All but the default, oldest first; none on SQLite, nor before migration 0010."""
    if connection.dialect.name != "postgresql":
        return []
    found = []
    for row in await connection.execute(_PARTS):
        if row.name != _DEFAULT and (bound := _BOUND.search(row.bound)):
            until_ms = uuid7_ms(UUID(bound[1]))
            from_ms = 0 if row.name == BEFORE else until_ms - DAY_MS
            found.append(Partition(name=row.name, from_ms=from_ms, until_ms=until_ms))
    return sorted(found, key=lambda part: part.from_ms)


async def only_one(connection: AsyncConnection) -> bool:
    """Whether this transaction is the only one that makes or drops partitions, until it ends."""
    return bool((await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({_LOCK})"))).scalar_one())


class SqlPartitions:
    """Makes partitions. Raises StoreUnavailable; repeating is safe, and two who do it at once do not disturb each other."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def make_ahead(self, now_ms: int, days: int = DAYS_AHEAD) -> int:
        """Make those of today and of so many days to come, as far as they are wanting; how many were made."""
        today = now_ms // DAY_MS * DAY_MS
        wanted = await query(self._engine, lambda connection: _wanting(connection, today, days))
        return await self._make(wanted)

    async def make_from(self, first_ms: int, now_ms: int, days: int = DAYS_AHEAD) -> int:
        """As `make_ahead`, and those of each day since that of `first_ms` as well; `clicks`, which has to be empty, keeps
        `clicks_before` for what is older.
        """
        first = first_ms // DAY_MS * DAY_MS
        if self._engine.dialect.name == "postgresql":
            await transaction(self._engine, _Before(first))
        return await self._make(range(first, now_ms + (days + 1) * DAY_MS, DAY_MS))

    async def _make(self, wanted: Iterable[int]) -> int:
        made = 0
        for from_ms in wanted:
            if await transaction(self._engine, _Making(from_ms)):
                made += 1
        return made


class _Before:
    """The bound of `clicks_before`, in one transaction: while it is empty it is another one without reading anything."""

    def __init__(self, until_ms: int) -> None:
        self._end = first_uuid7(until_ms)

    async def __call__(self, connection: AsyncConnection) -> None:
        await connection.execute(text(f"ALTER TABLE clicks DETACH PARTITION {BEFORE}"))
        bounds = f"FROM (MINVALUE) TO ('{self._end}')"
        await connection.execute(text(f"ALTER TABLE clicks ATTACH PARTITION {BEFORE} FOR VALUES {bounds}"))


class _Making:
    """One day's partition, in one transaction. `clicks` is read and written meanwhile; the default is not, for a moment."""

    def __init__(self, from_ms: int) -> None:
        self._name = name_of(from_ms)
        self._first, self._end = first_uuid7(from_ms), first_uuid7(from_ms + DAY_MS)

    async def __call__(self, connection: AsyncConnection) -> bool:
        if not await only_one(connection) or await self._is_there(connection):
            return False
        await connection.execute(text("SET LOCAL lock_timeout = '1s'"))
        await connection.execute(text(f"LOCK TABLE {_DEFAULT} IN ACCESS EXCLUSIVE MODE"))
        # Made beside and attached: to make it as a partition would stop whoever uses `clicks`.
        await connection.execute(
            text(f"CREATE TABLE {self._name} (LIKE clicks INCLUDING DEFAULTS INCLUDING STORAGE)")
        )
        owner = "(SELECT relowner FROM pg_class WHERE oid = 'clicks'::regclass)"
        whose = (await connection.execute(text(f"SELECT quote_ident(pg_get_userbyid({owner}))"))).scalar_one()
        await connection.execute(text(f"ALTER TABLE {self._name} OWNER TO {whose}"))
        if not await self._move_strays(connection):
            await connection.execute(text(f"DROP TABLE {self._name}"))
            return False
        bounds = f"FROM ('{self._first}') TO ('{self._end}')"
        await connection.execute(
            text(f"ALTER TABLE clicks ATTACH PARTITION {self._name} FOR VALUES {bounds}")
        )
        return True

    async def _is_there(self, connection: AsyncConnection) -> bool:
        found = await connection.execute(text(f"SELECT to_regclass('{self._name}')"))
        return found.scalar_one() is not None

    async def _move_strays(self, connection: AsyncConnection) -> bool:
        """Rows of that day that are in the default: a worker was away, or a clock is wrong. False: they are too many."""
        within = f"WHERE id >= '{self._first}' AND id < '{self._end}'"
        many = f"SELECT count(*) FROM (SELECT FROM {_DEFAULT} {within} LIMIT {MOST_MOVED + 1}) AS strays"  # noqa: S608 - names and UUIDs of ours
        strays = (await connection.execute(text(many))).scalar_one()
        if strays > MOST_MOVED:
            _log.warning("a day stays in the default partition", partition=self._name, clicks=strays)
            return False
        if strays:
            # Nothing that is counted changes: the triggers that log changes are not to see it.
            await connection.execute(text(f"ALTER TABLE {_DEFAULT} DISABLE TRIGGER USER"))
            move = f"WITH strays AS (DELETE FROM {_DEFAULT} {within} RETURNING *) INSERT INTO {self._name} SELECT * FROM strays"  # noqa: S608 - as above
            await connection.execute(text(move))
            await connection.execute(text(f"ALTER TABLE {_DEFAULT} ENABLE TRIGGER USER"))
        return True


def name_of(from_ms: int) -> str:
    """The table of the UTC day that begins then."""
    return f"clicks_d{datetime.fromtimestamp(from_ms / 1000, UTC):%Y%m%d}"


async def _wanting(connection: AsyncConnection, today: int, days: int) -> Sequence[int]:
    """When the days begin that have no partition, and are not in that of before. None where there are no partitions at all."""
    if connection.dialect.name != "postgresql" or not await _partitioned(connection):
        return []
    there = await partitions(connection)
    begins = max([today, *(part.until_ms for part in there if not part.is_day)])
    days_there = {part.from_ms for part in there if part.is_day}
    end = today + (days + 1) * DAY_MS
    return [at for at in range(begins, end, DAY_MS) if at not in days_there]


async def _partitioned(connection: AsyncConnection) -> bool:
    kind = text("SELECT relkind FROM pg_class WHERE oid = to_regclass('clicks')")
    return (await connection.execute(kind)).scalar() in {"p", b"p"}
