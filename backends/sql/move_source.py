"""The SQLite side of a move: reading in the order of keys, tracking what changes meanwhile, refusing writes at its end.

Triggers write the key of each row that is written into a log of its table, in the transaction of the write itself. They are
there before the first row is copied, so what has been read and is not what it was is in a log.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction
from backends.sql.move_tables import TRACKED, Key, after, key_in, keys_of
from backends.sql.moved import freeze
from backends.sql.schema import clicks
from backends.sql.tables import metadata
from domain.errors import ConfigError

_PIECE = 1000
_LOGS = MetaData()
_STATE = Table("move_state", _LOGS, Column("id", String, primary_key=True))


def _log_of(table: Table) -> Table:
    parts = [Column(f"k{n}", column.type) for n, column in enumerate(keys_of(table))]
    return Table(f"move_{table.name}", _LOGS, Column("seq", Integer, primary_key=True), *parts)


_LOG = {table.name: _log_of(table) for table in TRACKED}
Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """Rows of a table that were written since they were copied. upto: the last entry of the log that this is of."""

    keys: Sequence[Key]
    rows: Rows
    upto: int


class Source:
    """The database that is left. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def move_id(self) -> str | None:
        """The name of the move that tracks this database; None: none does. ConfigError when it has stopped tracking."""

        async def read(connection: AsyncConnection) -> str | None:
            there = await _names(connection)
            if _STATE.name not in there:
                return None
            if missing := sorted({name for table in TRACKED for name, _ in _tracking(table)} - there):
                raise ConfigError(
                    f"SQLite has lost {missing[0]}, so that what has changed since is not known. "
                    "Begin anew: trilha move --abandon, an empty database, trilha move"
                )
            return str((await connection.execute(select(_STATE.c.id))).scalar_one())

        return await query(self._engine, read)

    async def track(self, move_id: str) -> None:
        """Begin to note the key of every row that is written."""

        async def write(connection: AsyncConnection) -> None:
            await begin_alone(connection)
            await connection.run_sync(_STATE.create)
            await connection.execute(insert(_STATE).values(id=move_id))
            for table in TRACKED:
                for _, statement in _tracking(table):
                    await connection.exec_driver_sql(statement)

        await transaction(self._engine, write)

    async def forget(self) -> None:
        """Take the tracking away, and what it has noted."""

        async def write(connection: AsyncConnection) -> None:
            await begin_alone(connection)
            await untrack(connection)

        await transaction(self._engine, write)

    async def count(self, table: Table) -> int:
        """How many rows it has now."""
        return await query(self._engine, lambda connection: count_on(connection, table))

    async def batch(self, table: Table, last: Key | None, limit: int) -> tuple[Rows, Key | None]:
        """The next rows beyond that key, and the key of the last of them."""
        wanted = select(table).order_by(*keys_of(table)).limit(limit)
        wanted = wanted if last is None else wanted.where(after(table, last))

        async def read(connection: AsyncConnection) -> Rows:
            return (await connection.execute(wanted)).all()

        rows = await query(self._engine, read)
        return rows, key_in(table, rows[-1]) if rows else None

    async def changed(self, table: Table, limit: int) -> Changed | None:
        """The rows behind the oldest entries of the log; None: it is empty."""

        async def read(connection: AsyncConnection) -> Changed | None:
            await connection.exec_driver_sql("BEGIN")
            return await changed_on(connection, table, limit)

        return await query(self._engine, read)

    async def noted(self, table: Table, keys: Sequence[Key]) -> set[Key]:
        """Which of those keys are in the log: their rows are still to be brought over."""
        log = _LOG[table.name]
        parts = [log.c[f"k{n}"] for n in range(len(keys_of(table)))]
        these = parts[0].in_([key[0] for key in keys]) if len(parts) == 1 else tuple_(*parts).in_(list(keys))

        async def read(connection: AsyncConnection) -> set[Key]:
            return {tuple(row) for row in (await connection.execute(select(*parts).where(these))).all()}

        return await query(self._engine, read)

    async def oldest_click(self) -> UUID | None:
        """The lowest id there is."""

        async def read(connection: AsyncConnection) -> UUID | None:
            found: UUID | None = (await connection.execute(select(func.min(clicks.c.id)))).scalar()
            return found

        return await query(self._engine, read)

    async def done(self, table: Table, upto: int) -> None:
        """Forget the entries of a log up to that one."""
        log = _LOG[table.name]

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(log.delete().where(log.c.seq <= upto))

        await transaction(self._engine, write)


async def begin_alone(connection: AsyncConnection) -> None:
    """Be the only one that writes until the transaction ends. Whoever comes has to wait, and defers what it has."""
    await connection.exec_driver_sql("BEGIN IMMEDIATE")


async def changed_on(connection: AsyncConnection, table: Table, limit: int) -> Changed | None:
    """As `Source.changed`, within the caller's transaction."""
    log = _LOG[table.name]
    oldest = select(log.c.seq).order_by(log.c.seq).limit(limit).subquery()
    upto = (await connection.execute(select(func.max(oldest.c.seq)))).scalar()
    if upto is None:
        return None
    parts = [log.c[f"k{n}"] for n in range(len(keys_of(table)))]
    keys = select(*parts).where(log.c.seq <= upto).distinct()
    named = keys_of(table)[0] if len(parts) == 1 else tuple_(*keys_of(table))
    rows = (await connection.execute(select(table).where(named.in_(keys)))).all()
    found = (await connection.execute(keys)).all()
    return Changed(keys=[tuple(key) for key in found], rows=rows, upto=upto)


async def done_on(connection: AsyncConnection, table: Table, upto: int) -> None:
    """As `Source.done`, within the caller's transaction."""
    log = _LOG[table.name]
    await connection.execute(log.delete().where(log.c.seq <= upto))


async def highest_user(connection: AsyncConnection) -> dict[str, int]:
    """The highest number that was ever given, of each table that gives none twice."""
    rows: Rows = (await connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")).all()
    return {row[0]: row[1] for row in rows if row[0] in metadata.tables}


async def all_rows(connection: AsyncConnection, table: Table) -> AsyncIterator[Rows]:
    """Every row, a piece at a time."""
    found = await connection.stream(select(table))
    async for rows in found.partitions(_PIECE):
        yield rows


async def count_on(connection: AsyncConnection, table: Table) -> int:
    """How many rows it has, within the caller's transaction."""
    return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def untrack(connection: AsyncConnection) -> None:
    """Take the tracking away, within the caller's transaction."""
    for name in sorted(await _names(connection)):
        if name in _TRIGGERS:
            await connection.exec_driver_sql(f"DROP TRIGGER {name}")
    for log in (*_LOG.values(), _STATE):
        await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {log.name}")


async def leave(connection: AsyncConnection) -> None:
    """The last act on this side, within the caller's transaction: its COMMIT is the switch."""
    await untrack(connection)
    await freeze(connection)


def _tracking(table: Table) -> list[tuple[str, str]]:
    """What tracks a table, by name: its log and three triggers."""
    log, keys = _LOG[table.name], [column.name for column in keys_of(table)]
    parts = ", ".join(f"k{n}" for n in range(len(keys)))
    new, old = ", ".join(f"NEW.{key}" for key in keys), ", ".join(f"OLD.{key}" for key in keys)
    differs = " OR ".join(f"OLD.{key} IS NOT NEW.{key}" for key in keys)
    note = f"INSERT INTO {log.name} ({parts}) SELECT "
    bodies = {
        "insert": f"{note}{new};",
        "update": f"{note}{new}; {note}{old} WHERE {differs};",
        "delete": f"{note}{old};",
    }
    # Without types: what is in a key goes in as it is.
    made = [(log.name, f"CREATE TABLE {log.name} (seq INTEGER PRIMARY KEY, {parts})")]
    for event, body in bodies.items():
        name = f"{log.name}_{event}"
        made.append(
            (
                name,
                f"CREATE TRIGGER {name} AFTER {event.upper()} ON {table.name} BEGIN {body} END",
            )
        )
    return made


_TRIGGERS = {name for table in TRACKED for name, _ in _tracking(table)[1:]}


async def _names(connection: AsyncConnection) -> set[str]:
    return set((await connection.exec_driver_sql("SELECT name FROM sqlite_master")).scalars())
