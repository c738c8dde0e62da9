"""Where a history is written: SQLite or PostgreSQL, by the URL that the product is given too. Nothing else is touched."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from loadtests.history.plan import CannotWrite

SQLITE, POSTGRES = "sqlite+aiosqlite:///", "postgresql+asyncpg://"
MISSING = (
    "asyncpg is not installed; a history on PostgreSQL needs it. Install it: pip install 'trilha[postgres]'"
)
Row = Sequence[Any]
Encode = Callable[[list[tuple[Any, ...]]], Any]


class Store(Protocol):
    """One database. Everything between `commit`s is one transaction."""

    name: str

    @property
    def encode(self) -> Encode:
        """Rows as `write` takes them. Values: text (moments, UUIDs and JSON too), whole numbers (truth is 1 or 0), bytes, None."""

    def ask(self, sql: str) -> list[Row]:
        """The rows of a question."""

    def do(self, sql: str) -> None:
        """Run a statement."""

    def write(self, table: str, columns: Sequence[str], rows: Any) -> None:
        """Add rows that `encode` has made."""

    def commit(self) -> None:
        """Keep what was written since the last one."""

    def has_table(self, name: str) -> bool:
        """Whether it is there."""

    def close(self) -> None:
        """Forget what was not committed."""


def as_rows(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """As they are."""
    return rows


def as_lines(rows: list[tuple[Any, ...]]) -> bytes:
    """Lines of COPY's text form."""
    return "".join(map(_line, rows)).encode()


def open_store(url: str) -> Store:
    """The store of that URL. CannotWrite when it is of no known kind, or not there."""
    if url.startswith(SQLITE):
        return SqliteStore(Path(url.removeprefix(SQLITE)))
    if url.startswith(POSTGRES):
        return PostgresStore(url)
    raise CannotWrite(f"--sql-url must start with {SQLITE} or {POSTGRES}")


class SqliteStore:
    """A file. A crash of this program loses what was not committed; one of the machine may lose the file, as nothing is fsync'd."""

    name = "sqlite"
    encode: Encode = staticmethod(as_rows)
    PRAGMAS = ("synchronous=OFF", "cache_size=-400000", "temp_store=MEMORY", "wal_autocheckpoint=16000")

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise CannotWrite("there is no such SQLite file. Make it, with its tables: trilha migrate")
        self._connection = sqlite3.connect(file, timeout=60, isolation_level=None, cached_statements=32)
        for pragma in self.PRAGMAS:
            self._connection.execute(f"PRAGMA {pragma}")
        self._begin()

    def ask(self, sql: str) -> list[Row]:
        return self._connection.execute(sql).fetchall()

    def do(self, sql: str) -> None:
        self._connection.execute(sql)

    def write(self, table: str, columns: Sequence[str], rows: list[Row]) -> None:
        marks = ", ".join("?" * len(columns))
        self._connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def commit(self) -> None:
        self._connection.execute("COMMIT")
        self._begin()

    def has_table(self, name: str) -> bool:
        return bool(self.ask(f"SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '{name}'"))

    def close(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.execute("PRAGMA optimize")
        self._connection.close()

    def _begin(self) -> None:
        self._connection.execute("BEGIN")


class PostgresStore:
    """A server, by COPY in its text form: the cheapest to make, and the fastest to take."""

    name = "postgresql"
    encode: Encode = staticmethod(as_lines)

    def __init__(self, url: str) -> None:
        try:
            import asyncpg
        except ModuleNotFoundError:
            raise CannotWrite(MISSING) from None
        self._runner = asyncio.Runner()
        address = "postgresql://" + url.removeprefix(POSTGRES)
        settings = {"timezone": "UTC", "synchronous_commit": "off", "application_name": "trilha-history"}
        try:
            self._connection: Any = self._run(asyncpg.connect(address, timeout=10, server_settings=settings))
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            self._runner.close()
            raise CannotWrite(f"PostgreSQL cannot be reached: {type(error).__name__}") from None
        self._begin()

    def ask(self, sql: str) -> list[Row]:
        return [tuple(row) for row in self._run(self._connection.fetch(sql))]

    def do(self, sql: str) -> None:
        self._run(self._connection.execute(sql))

    def write(self, table: str, columns: Sequence[str], rows: bytes) -> None:
        if rows:
            self._run(self._connection.copy_to_table(table, source=_pieces(rows), columns=list(columns)))

    def commit(self) -> None:
        self._run(self._transaction.commit())
        self._begin()

    def has_table(self, name: str) -> bool:
        return self.ask(f"SELECT to_regclass('{name}') IS NOT NULL")[0][0] is True

    def close(self) -> None:
        self._run(self._transaction.rollback())
        self._run(self._connection.close())
        self._runner.close()

    def _begin(self) -> None:
        self._transaction = self._connection.transaction()
        self._run(self._transaction.start())

    def _run(self, call: Any) -> Any:
        return self._runner.run(_awaited(call))


async def _awaited(call: Any) -> Any:
    return await call


async def _pieces(lines: bytes) -> Any:
    for at in range(0, len(lines), 1 << 18):
        yield lines[at : at + (1 << 18)]


def _line(row: Row) -> str:
    return "\t".join(map(_value, row)) + "\n"


def _value(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return str(value)
