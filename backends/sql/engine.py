"""Engines for SQLite and PostgreSQL, and the translation of their errors into ours."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from sqlalchemy import Insert, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from domain.errors import ConfigError, RecordRejected, StoreUnavailable

CONNECT_SECONDS = 2.0


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


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction. Leaves with StoreUnavailable (not asked, or COMMIT unknown) or RecordRejected (the data)."""
    with errors_translated():
        async with engine.begin() as connection:
            yield connection


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
    if "no such table" in text or "UndefinedTable" in type(error.orig).__name__ or "UndefinedTable" in text:
        return "SQL has no tables of ours yet. Make them with: trilha migrate"
    return f"SQL failed: {type(error.orig).__name__}"


def _sqlite(url: str, patience: float) -> AsyncEngine:
    # One connection: SQLite has one writer, and waiting in our own queue is fair where its lock is not.
    engine = create_async_engine(
        url, connect_args={"timeout": patience}, pool_size=1, max_overflow=0, pool_timeout=patience
    )
    event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # FULL: a COMMIT is on the disk before it is answered, which is what `synced` means.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _postgresql(url: str, patience: float) -> AsyncEngine:
    return create_async_engine(
        url,
        connect_args={"timeout": CONNECT_SECONDS, "command_timeout": patience},
        pool_size=8,
        max_overflow=0,
        pool_timeout=patience,
        pool_pre_ping=False,
    )


def sqlite_version() -> str:
    """Of the library in use, for `trilha doctor`."""
    return sqlite3.sqlite_version
