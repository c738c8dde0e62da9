"""The PostgreSQL side of a move. How far it has got is in a table of its own there, in the transaction of each batch."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Column, MetaData, String, Table, bindparam, delete, func, insert, inspect, select, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import errors_translated, query, transaction
from backends.sql.move_source import Changed, Rows
from backends.sql.move_tables import WHOLE, Key, key_in, key_text, keyed_by, keys_of, read_key, unlike
from backends.sql.tables import metadata
from domain.errors import ConfigError

_SEEDED = "catalog"  # an empty database of ours has a row in it
_PIECE = 1000
_state = Table("trilha_move", MetaData(), Column("name", String, primary_key=True), Column("value", String))
ID = "move"
COPIED = "copied"
TRIES, WAIT = 50, 0.2
_KEY = 0x7472_6C6D_7665  # "trlmve"
_TAKE = text(f"SELECT pg_try_advisory_lock({_KEY})")


class Target:
    """The database that is moved to. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def state(self) -> dict[str, str]:
        """What is known of a move to here, by name; empty: nothing."""

        async def read(connection: AsyncConnection) -> dict[str, str]:
            if not await connection.run_sync(lambda sync: inspect(sync).has_table(_state.name)):
                return {}
            return {row.name: row.value for row in (await connection.execute(select(_state))).all()}

        return await query(self._engine, read)

    async def state_id(self) -> str | None:
        """The name of the move to here; None: there is none."""
        return (await self.state()).get(ID)

    async def filled(self) -> str | None:
        """The name of a table of ours that has rows; None: there is none."""

        async def read(connection: AsyncConnection) -> str | None:
            there = set(await connection.run_sync(lambda sync: inspect(sync).get_table_names()))
            for table in metadata.sorted_tables:
                if table.name == _SEEDED or table.name not in there:
                    continue
                if (await connection.execute(select(keys_of(table)[0]).limit(1))).first() is not None:
                    return str(table.name)
            return None

        return await query(self._engine, read)

    async def begin(self, move_id: str) -> None:
        """Say whose move this is, and let no trigger fire: what they would write is copied as well."""

        async def write(connection: AsyncConnection) -> None:
            await connection.run_sync(lambda sync: _state.create(sync, checkfirst=True))
            await _note(connection, ID, move_id)
            for table in metadata.sorted_tables:
                await connection.exec_driver_sql(f"ALTER TABLE {table.name} DISABLE TRIGGER USER")

        await transaction(self._engine, write)

    async def position(self, table: Table) -> tuple[Key | None, bool]:
        """The key of the last row that was copied, and whether all were."""
        found = await self.state()
        last = found.get(f"last {table.name}")
        return (read_key(last) if last else None), f"{COPIED} {table.name}" in found

    async def put(self, table: Table, rows: Rows, last: Key | None) -> None:
        """Write a batch and how far that is; no rows: the table is copied."""

        async def write(connection: AsyncConnection) -> None:
            await _upsert(connection, table, rows)
            if last is None:
                await _note(connection, f"{COPIED} {table.name}", "")
            else:
                await _note(connection, f"last {table.name}", key_text(last))

        await transaction(self._engine, write)

    async def apply(self, table: Table, changed: Changed) -> int:
        """As `apply_on`, in a transaction of its own."""
        return await transaction(self._engine, lambda connection: apply_on(connection, table, changed))

    async def unlike(self, table: Table, rows: Rows) -> list[Key]:
        """The keys of those rows that are not the same here."""
        return await query(self._engine, lambda connection: _unlike(connection, table, rows))

    async def empty(self) -> None:
        """Empty every table, and remove what is known of the move: an empty database of ours, that may be moved to."""

        async def write(connection: AsyncConnection) -> None:
            names = ", ".join(table.name for table in metadata.sorted_tables if table.name != _SEEDED)
            await connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
            await let_triggers_fire(connection)
            await connection.exec_driver_sql(f"DROP TABLE {_state.name}")

        await transaction(self._engine, write)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Be the only command that moves to here. ConfigError: another one is at it."""
        connection = self._engine.connect()
        with errors_translated():
            await connection.start()
        try:
            with errors_translated():
                await _take(connection)
            yield
        finally:
            await connection.invalidate()  # the lock is the session's, and ends with it
            await connection.close()

    async def analyze(self) -> None:
        """Let the planner know what has come."""
        await transaction(self._engine, lambda connection: connection.exec_driver_sql("ANALYZE"))

    async def finish(self) -> None:
        """Remove what is known of the move: it is over."""
        await transaction(
            self._engine,
            lambda connection: connection.exec_driver_sql(f"DROP TABLE IF EXISTS {_state.name}"),
        )


async def _take(connection: AsyncConnection) -> None:
    for _ in range(TRIES):
        if (await connection.execute(_TAKE)).scalar_one():
            return await connection.commit()
        await connection.commit()
        await asyncio.sleep(WAIT)  # for one that was killed, whose last statement is still under way
    raise ConfigError("another trilha move is moving to that database")


async def apply_on(connection: AsyncConnection, table: Table, changed: Changed) -> int:
    """Make rows what they are on the other side; those that are not there are deleted. How many are not the same then."""
    there = {key_in(table, row) for row in changed.rows}
    if gone := [key for key in changed.keys if key not in there]:
        these = [column == bindparam(f"k{n}", type_=column.type) for n, column in enumerate(keys_of(table))]
        keys = [{f"k{n}": part for n, part in enumerate(key)} for key in gone]
        await connection.execute(delete(table).where(*these), keys)
    await _upsert(connection, table, changed.rows)
    return len(await _unlike(connection, table, changed.rows))


async def empty_whole(connection: AsyncConnection) -> None:
    """Empty the tables that are copied whole, those that refer to others first."""
    for table in reversed(WHOLE):
        await connection.execute(delete(table))


async def add(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    """Write rows of a table that is copied whole."""
    if rows:
        await _naming(connection, table, insert(table), rows)


async def go_on_counting(connection: AsyncConnection, given: Mapping[str, int]) -> None:
    """Let each table's own numbers go on after the highest that there is, or that was given on the other side."""
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        highest = (await connection.execute(select(func.max(column)))).scalar() or 0
        highest = max(highest, given.get(table.name, 0))
        await connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:table, :column), :value, :called)"),
            {
                "table": table.name,
                "column": column.name,
                "value": max(highest, 1),
                "called": highest > 0,
            },
        )


async def let_triggers_fire(connection: AsyncConnection) -> None:
    """Take back what `begin` did."""
    for table in metadata.sorted_tables:
        await connection.exec_driver_sql(f"ALTER TABLE {table.name} ENABLE TRIGGER USER")


async def unlike_on(connection: AsyncConnection, table: Table, rows: Rows) -> int:
    """How many of those rows are not the same here, within the caller's transaction."""
    return len(await _unlike(connection, table, rows))


async def _unlike(connection: AsyncConnection, table: Table, rows: Rows) -> list[Key]:
    found: list[Key] = []
    for start in range(0, len(rows), _PIECE):
        piece = rows[start : start + _PIECE]
        keys = [key_in(table, row) for row in piece]
        here = (await connection.execute(select(table).where(keyed_by(table, keys)))).all()
        found += unlike(table, piece, here)
    return found


async def _note(connection: AsyncConnection, name: str, value: str) -> None:
    statement = postgresql.insert(_state).values(name=name, value=value)
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})
    )


async def _upsert(connection: AsyncConnection, table: Table, rows: Rows) -> None:
    if not rows:
        return
    statement: Any = postgresql.insert(table)
    keys = [column.name for column in keys_of(table)]
    others = {c.name: statement.excluded[c.name] for c in table.c if not c.primary_key}
    if others:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=others)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=keys)
    await _naming(connection, table, statement, rows)


async def _naming(connection: AsyncConnection, table: Table, statement: Any, rows: Rows) -> None:
    """Write rows. ConfigError names a value that PostgreSQL does not take, by table and column, not what it is."""
    names = [column.name for column in table.c]
    try:
        await connection.execute(statement, [dict(zip(names, row, strict=True)) for row in rows])
    except DBAPIError:
        for row in rows:
            if column := _unfit(table, row):
                raise ConfigError(
                    f"PostgreSQL does not take {table.name}.{column} of the row {key_text(key_in(table, row))}: "
                    "it is longer than the column, or holds a NUL. Mend it in SQLite and repeat the command"
                ) from None
        raise


def _unfit(table: Table, row: Sequence[Any]) -> str | None:
    for column, value in zip(table.c, row, strict=True):
        length = getattr(column.type, "length", None)
        if isinstance(value, str) and ("\0" in value or (length and len(value) > length)):
            return column.name
    return None
