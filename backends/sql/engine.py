"""Engines for SQLite and PostgreSQL, and the translation of their errors into ours."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Insert, Row, Select, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backends.sql.moved import MOVED, NOWHERE, is_moved
from backends.sql.primary import connect_to_primary, leave_a_lost_primary
from domain.errors import ConfigError, RecordRejected, StoreUnavailable

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
Engine = AsyncEngine  # its name where SQL's library is not imported
CHECKPOINT_MS = 50
_under_way: set[asyncio.Task[Any]] = set()


def make_engine(url: str, *, patience: float) -> AsyncEngine:
    """An engine that waits at most `patience` seconds for a lock or a statement. It connects at first use only."""
    try:
        if url.startswith("sqlite+aiosqlite:"):
            return _sqlite(url, patience)
        if url.startswith("postgresql+asyncpg:"):
            return _postgresql(url, patience)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise ConfigError(f"TRILHA_SQL_URL cannot be used: {error}") from None
    raise ConfigError("TRILHA_SQL_URL must start with sqlite+aiosqlite:// or postgresql+asyncpg://")


async def transaction(engine: AsyncEngine, work: Work[T]) -> T:
    """What `work` returns, after COMMIT. Raises StoreUnavailable (not asked, or COMMIT unknown) or RecordRejected (data).

    Who is cancelled while waiting for it stops waiting; the transaction itself goes on to its end.
    """

    async def whole() -> T:
        with errors_translated():
            async with engine.begin() as connection:
                return await work(connection)

    return await _to_its_end(whole())


async def query(engine: AsyncEngine, work: Work[T]) -> T:
    """What `work` reads. Raises and ends as `transaction` does."""

    async def whole() -> T:
        with errors_translated():
            async with engine.connect() as connection:
                return await work(connection)

    return await _to_its_end(whole())


async def snapshot(engine: AsyncEngine, work: Work[T]) -> T:
    """As `query`, where all statements of `work` see the same moment."""

    async def read(connection: AsyncConnection) -> T:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ")
            # First: the moment that is seen is that of the first statement that reads, and partitions that are dropped
            # after it are gone for those who see it too.
            await connection.exec_driver_sql("LOCK TABLE ONLY clicks IN ACCESS SHARE MODE")
        else:
            # The driver begins a transaction only before it writes: each SELECT would see a moment of its own.
            await connection.exec_driver_sql("BEGIN")
        return await work(connection)

    return await query(engine, read)


async def one_row(engine: AsyncEngine, wanted: Select[Any]) -> Row[Any] | None:
    """The one row there is at most. Raises and ends as `transaction` does."""

    async def read(connection: AsyncConnection) -> Row[Any] | None:
        found: Row[Any] | None = (await connection.execute(wanted)).one_or_none()
        return found

    return await query(engine, read)


async def empty_the_log(engine: AsyncEngine) -> bool:
    """Write SQLite's log back into its file and cut it to nothing, so that no older copy of a page is left in it.

    False when others were in the way: it gives way to them at once, as writers wait while it waits. PostgreSQL needs none of it.
    """
    if engine.dialect.name != "sqlite":
        return True

    async def checkpoint(connection: AsyncConnection) -> bool:
        patience = (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar_one()
        await connection.exec_driver_sql(f"PRAGMA busy_timeout={CHECKPOINT_MS}")
        try:
            busy = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
        finally:
            await connection.exec_driver_sql(f"PRAGMA busy_timeout={patience}")
        return not busy

    return await query(engine, checkpoint)


async def _to_its_end(call: Coroutine[Any, Any, T]) -> T:
    # A statement that is cancelled leaves its connection to the driver, which drops it with its transaction open: on
    # SQLite the lock is then held for as long as the process lives. Each of its waits is bounded by the engine's patience.
    task = asyncio.ensure_future(call)
    _under_way.add(task)
    task.add_done_callback(_ended)
    return await asyncio.shield(task)


def _ended(task: asyncio.Task[Any]) -> None:
    _under_way.discard(task)
    if not task.cancelled():
        task.exception()  # seen: its caller may be gone


async def close_engine(engine: AsyncEngine) -> None:
    """Close it once nothing is under way any more: a connection that is in use would stay open, and its thread with it."""
    loop = asyncio.get_running_loop()
    while ours := [task for task in _under_way if task.get_loop() is loop]:
        await asyncio.wait(ours)
    await engine.dispose()


@contextmanager
def errors_translated() -> Iterator[None]:
    """Driver errors as ours, without the statement's parameters: they may be personal."""
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise RecordRejected(f"SQL refused the data: {type(error.orig).__name__}") from error
    except DBAPIError as error:
        raise StoreUnavailable(_advice(error)) from error
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"SQL cannot be reached: {type(error).__name__}") from error


def upsert(engine: AsyncEngine, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """INSERT with ON CONFLICT, in the engine's dialect."""
    return postgresql.insert(table) if engine.dialect.name == "postgresql" else sqlite.insert(table)


def insert_if_absent(engine: AsyncEngine, table: Table) -> Insert:
    """INSERT … ON CONFLICT DO NOTHING."""
    return upsert(engine, table).on_conflict_do_nothing()


def _advice(error: DBAPIError) -> str:
    text = str(error.orig)
    if NOWHERE in text:
        return MOVED
    if "no such table" in text or "UndefinedTable" in type(error.orig).__name__ or "UndefinedTable" in text:
        return "SQL has no tables of ours yet. Make them with: trilha migrate"
    return f"SQL failed: {type(error.orig).__name__}"


def _sqlite(url: str, patience: float) -> AsyncEngine:
    # One connection: SQLite has one writer, and waiting in our own queue is fair where its lock is not.
    engine = create_async_engine(
        url,
        connect_args={"timeout": patience},
        pool_size=1,
        max_overflow=0,
        pool_timeout=patience,
        hide_parameters=True,  # of errors, which may be personal
    )
    event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    try:
        _prepare(connection.cursor())
    except BaseException:
        # The pool has not taken it yet: nobody else would close it, and end its thread.
        connection.close()
        raise


def _prepare(cursor: Any) -> None:
    # FULL: a COMMIT is on the disk before it is answered, which is what `synced` means.
    # secure_delete: what is deleted or made NULL is overwritten with zeros, not only unlinked (ADR 0016).
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    moved = is_moved(cursor)
    cursor.close()
    if moved:
        # No ConfigError: a daemon that starts with the old setting spools its clicks, as in any outage of SQL.
        raise StoreUnavailable(MOVED)


def _postgresql(url: str, patience: float) -> AsyncEngine:
    engine = create_async_engine(
        url,
        connect_args={"command_timeout": patience, "async_creator_fn": connect_to_primary},
        pool_size=8,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=False,
        hide_parameters=True,  # as above
    )
    event.listen(engine.sync_engine, "handle_error", leave_a_lost_primary)
    return engine


def sqlite_version() -> str:
    """Of the library in use, for `trilha doctor`."""
    return sqlite3.sqlite_version
