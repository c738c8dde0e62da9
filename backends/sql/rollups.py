"""Folding changes into the rollups, logging everything anew, and counting everything again (ADR 0027).

At every moment the rollups plus the changes that wait are equal to a recount of clicks, starts and outbox. A fold takes
changes away and adds them in one transaction; one fold or rebuild goes on at a time, whoever does it, and no writer waits
for either: on PostgreSQL both see one moment of the tables, where a row and its changes are or are not.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Select, Table, bindparam, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import one_row, query, transaction, upsert
from backends.sql.rollup_rows import Counted, counted, said
from backends.sql.rollup_schema import CHANGES, ROLLUPS, rollup_state
from backends.sql.tombstones import open_for_people
from runtime.logs import get_logger

MANY = 100_000
CHUNK = 20_000
Rows = Iterable[Sequence[Any]]
Tally = Callable[[Rows, Rows, Rows], Mapping[str, Mapping[tuple[Any, ...], Sequence[int]]]]
"""Clicks', starts' and events' changes to what they add: by rollup, by primary key, one number for each other column."""
_log = get_logger("trilha.rollups")


class SqlRollups:
    """The rollups on one engine, by the hours and days of `zone`. Raises StoreUnavailable; repeating anything is safe.

    Where they are of another zone when this is first asked to fold, everything is logged anew, once: of two programs with
    different settings the one that began last has its way, and they do not rebuild in turns.
    """

    def __init__(self, engine: AsyncEngine, zone: str, tally_in: Callable[[ZoneInfo], Tally]) -> None:
        self._engine = engine
        self._zone = zone
        self._tally_in = tally_in
        self._tallies: dict[str, Tally] = {}
        self._seen = False
        self._folds = [_Adding(engine, table) for table in ROLLUPS]

    async def fold(self, limit: int) -> int:
        """Fold at most `limit` changes of each kind, oldest first; how many these were. 0: none waits."""
        if not self._seen:
            await self._agree()

        async def work(connection: AsyncConnection) -> int:
            await _begin(connection)
            zone = await self._zone_of(connection)
            taken = [await _take(connection, table, limit) for table in CHANGES]
            if any(taken):
                added = self._tally(zone)(*taken)
                for fold in self._folds:
                    await fold.add(connection, added[fold.name])
            return sum(map(len, taken))

        return await transaction(self._engine, work)

    async def waiting(self, most: int | None = MANY) -> int:
        """How many changes wait; counted up to `most` of each kind."""

        async def read(connection: AsyncConnection) -> int:
            found = [await connection.execute(_count(table, most)) for table in CHANGES]
            return sum(rows.scalar_one() for rows in found)

        return await query(self._engine, read)

    async def zone(self) -> str | None:
        """The time zone that they are of; None before the first fold."""
        row = await one_row(self._engine, select(rollup_state.c.zone))
        return None if row is None else str(row.zone)

    async def rebuild(self, zone: str | None = None) -> int:
        """Empty the rollups and log every row anew, in one transaction, for that zone; how many rows. They are empty until
        it is folded. Nothing that is written meanwhile is lost or counted twice; SQLite's writers wait.
        """

        async def work(connection: AsyncConnection) -> int:
            await _begin(connection)
            for table in (*ROLLUPS, *CHANGES, rollup_state):
                await connection.execute(delete(table))
            await connection.execute(insert(rollup_state).values(id=1, zone=zone or self._zone))
            return sum([await _log_anew(connection, each) for each in counted(self._engine)])

        return await transaction(self._engine, work)

    async def _agree(self) -> None:
        """The zone of the rollups and of the settings are one, or everything is logged anew."""
        found = await self.zone()
        if found not in {None, self._zone}:
            _log.info("rollups are rebuilt for another time zone", before=found, now=self._zone)
            await self.rebuild()
        self._seen = True

    async def _zone_of(self, connection: AsyncConnection) -> str:
        found = (await connection.execute(select(rollup_state.c.zone))).scalar()
        if found is None:
            await connection.execute(insert(rollup_state).values(id=1, zone=self._zone))
        return found or self._zone

    def _tally(self, zone: str) -> Tally:
        if zone not in self._tallies:
            self._tallies[zone] = self._tally_in(ZoneInfo(zone))
        return self._tallies[zone]


class _Adding:
    """Adds to one rollup."""

    def __init__(self, engine: AsyncEngine, table: Table) -> None:
        self.name = table.name
        keys, sums = list(table.primary_key.columns), _sums(table)
        self._names = [column.name for column in (*keys, *sums)]
        statement = upsert(engine, table)
        self._add = statement.on_conflict_do_update(
            index_elements=[column.name for column in keys],
            set_={column.name: column + statement.excluded[column.name] for column in sums},
        )
        these = [column == bindparam(f"its_{column.name}", type_=column.type) for column in keys]
        self._remove = delete(table).where(*these, *(column == 0 for column in sums))
        self._keys = [f"its_{column.name}" for column in keys]

    async def add(self, connection: AsyncConnection, added: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
        """Add, and remove what has become nothing: only what something was taken from can have."""
        rows = [dict(zip(self._names, (*key, *sums), strict=True)) for key, sums in sorted(added.items())]
        if rows:
            await connection.execute(self._add, rows)
        less = [
            dict(zip(self._keys, key, strict=True)) for key, sums in sorted(added.items()) if min(sums) < 0
        ]
        if less:
            await connection.execute(self._remove, less)


def _sums(table: Table) -> list[Column[Any]]:
    return [column for column in table.c if not column.primary_key]


async def _begin(connection: AsyncConnection) -> None:
    """Begin the one transaction that changes rollups. On PostgreSQL it sees one moment, that of having become the one."""
    await open_for_people(connection)
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        # Before any statement that reads: the moment that is seen is that of the first of those.
        await connection.execute(text("LOCK TABLE rollup_state IN EXCLUSIVE MODE"))
        # A partition that is dropped after that moment would be gone all the same, and its changes not be seen.
        await connection.execute(text("LOCK TABLE ONLY clicks IN ACCESS SHARE MODE"))


async def _take(connection: AsyncConnection, table: Table, limit: int) -> Sequence[Any]:
    """The oldest changes, which are gone then. Older ones that are not committed yet are not seen, and stay."""
    oldest = select(table.c.seq, *said(table)).order_by(table.c.seq).limit(limit)
    rows = (await connection.execute(oldest)).all()
    if rows:
        await connection.execute(delete(table).where(table.c.seq <= rows[-1].seq))
    return [row[1:] for row in rows]


async def _log_anew(connection: AsyncConnection, base: Counted) -> int:
    """In pieces, as no statement may take longer than the engine's patience."""
    names = [column.name for column in said(base.changes)]
    logged, last = 0, None
    while True:
        beyond = select(base.key).order_by(base.key).limit(1).offset(CHUNK)
        end = (await connection.execute(_after(beyond, base.key, last))).scalar()
        rows = _after(base.rows, base.key, last)
        rows = rows if end is None else rows.where(base.key <= end)
        logged += (await connection.execute(insert(base.changes).from_select(names, rows))).rowcount
        if end is None:
            return logged
        last = end


def _after(rows: Select[Any], key: Column[Any], last: Any) -> Select[Any]:
    return rows if last is None else rows.where(key > last)


def _count(table: Table, most: int | None) -> Select[Any]:
    some = select(table.c.seq) if most is None else select(table.c.seq).limit(most)
    return select(func.count()).select_from(some.subquery())
