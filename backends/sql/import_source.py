"""Another tracker's table, read only, in the order of its ids.

Every cell is read as text, cropped by the database: a type that is not what its column says, a time beyond all calendars
or ten megabytes in one cell are then one bad cell, not the end of an import.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit
from uuid import UUID

from sqlalchemy import (
    URL,
    Select,
    Text,
    Uuid,
    cast,
    column,
    event,
    func,
    inspect,
    literal,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from backends.sql.engine import T, Work, close_engine, query
from backends.sql.import_columns import KEY, Columns, find_columns, find_table, length_of
from backends.sql.primary import connect_to_primary
from domain.errors import ConfigError, RecordRejected, StoreUnavailable

PATIENCE = 60.0
_SCHEMES = ("sqlite:///", "postgresql://", "postgres://")
_ROWID = "rowid"
# Whatever the server's habits: times as ISO says, and in UTC where they have a zone.
_SESSION = {
    "default_transaction_read_only": "on",
    "datestyle": "ISO, YMD",
    "timezone": "UTC",
    "application_name": "trilha import",
}
Key = int | str


class SourceRow(NamedTuple):
    """One row: its id, and its cells by field; None where there is nothing. Its repr shows neither."""

    key: Key
    cells: Mapping[str, str | None]

    def __repr__(self) -> str:
        """Names nothing."""
        return "SourceRow(…)"


class HistorySource:
    """The table. ConfigError where it cannot be told what is what; StoreUnavailable when it does not answer."""

    def __init__(self, url: str) -> None:
        self._engine, self.name = _engine(url)
        self._table: Any = None
        self._key: Any = None
        self._page: Select[Any] = select()
        self._fields: list[str] = []
        self._is_uuid = False
        self.table = ""

    async def look(self, *, name: str | None, given: Mapping[str, str]) -> Columns:
        """Find the table and what its columns are. Call it first."""
        names = await self._read(_table_names)
        self.table = find_table(names, name)
        schema, _, bare = self.table.rpartition(".")
        columns, primary, unique, uuids = await self._read(
            lambda connection: connection.run_sync(_columns_of, bare, schema or None)
        )
        if not primary and KEY not in given and self._engine.dialect.name == "sqlite" and KEY not in columns:
            given = {**given, KEY: _ROWID}
            columns = [*columns, _ROWID]
            unique = {*unique, _ROWID}
        found = find_columns(columns, primary, given)
        if KEY not in found.of:
            raise ConfigError("no column tells rows apart. Name one with --column id=COLUMN")
        self._table = table(bare, schema=schema or None)
        self._key = column(found.of[KEY])
        self._is_uuid = found.of[KEY] in uuids
        if found.of[KEY] not in unique:
            await self._make_sure_of_key(found.of[KEY])
        cells = [
            func.substr(cast(column(name), Text), 1, length_of(field)).label(f"c_{field}")
            for field, name in found.of.items()
            if field != KEY
        ]
        self._fields = [field for field in found.of if field != KEY]
        self._page = (
            select(self._key, *cells)
            .select_from(self._table)
            .where(self._key.is_not(None))
            .order_by(self._key)
        )
        return found

    async def count(self, after: Key | None) -> int:
        """How many rows there are beyond that id."""
        counted: Select[Any] = select(func.count()).select_from(self._table)
        found = await self._rows(counted if after is None else counted.where(self._beyond(after)))
        return int(found[0][0])

    async def nameless(self) -> int:
        """How many rows have no id: they cannot be told apart, and are not read."""
        found = await self._rows(select(func.count()).select_from(self._table).where(self._key.is_(None)))
        return int(found[0][0])

    async def page(self, after: Key | None, limit: int) -> list[SourceRow]:
        """The next rows beyond that id; none: that was all."""
        wanted = self._page if after is None else self._page.where(self._beyond(after))
        return [
            SourceRow(_key(row[0]), dict(zip(self._fields, row[1:], strict=True)))
            for row in await self._rows(wanted.limit(limit))
        ]

    async def close(self) -> None:
        """Close it."""
        await close_engine(self._engine)

    def _beyond(self, key: Key) -> Any:
        return self._key > (literal(UUID(str(key)), Uuid) if self._is_uuid else key)

    async def _make_sure_of_key(self, name: str) -> None:
        counts = select(func.count(self._key), func.count(self._key.distinct())).select_from(self._table)
        [(rows, different)] = await self._rows(counts)
        if rows != different:
            raise ConfigError(f"the column {name} does not tell rows apart. Name one with --column id=COLUMN")

    async def _rows(self, wanted: Any) -> Sequence[Any]:
        async def read(connection: AsyncConnection) -> Sequence[Any]:
            found: Sequence[Any] = (await connection.execute(wanted)).all()
            return found

        return await self._read(read)

    async def _read(self, work: Work[T]) -> T:
        try:
            return await query(self._engine, work)
        except (StoreUnavailable, RecordRejected) as error:
            cause = getattr(error.__cause__, "orig", None) or error.__cause__
            raise StoreUnavailable(f"the source cannot be read: {type(cause).__name__}") from None


def password_in(url: str) -> bool:
    """Whether a URL has a password in it, or cannot be told."""
    try:
        found = urlsplit(url)
    except ValueError:
        return True
    return found.password is not None or "password" in found.query.lower()


def _key(value: Any) -> Key:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, int | str):
        return value
    raise ConfigError("the column of ids holds neither numbers nor texts. Name one with --column id=COLUMN")


async def _table_names(connection: AsyncConnection) -> list[str]:
    def names(sync: Any) -> list[str]:
        seen = inspect(sync)
        found = [*seen.get_table_names(), *seen.get_view_names()]
        if sync.dialect.name == "postgresql":
            others = set(seen.get_schema_names()) - {"information_schema", seen.default_schema_name}
            found += [
                f"{schema}.{name}"
                for schema in sorted(others)
                for name in [*seen.get_table_names(schema), *seen.get_view_names(schema)]
            ]
        return found

    return await connection.run_sync(names)


def _columns_of(sync: Any, name: str, schema: str | None) -> tuple[list[str], list[str], set[str], set[str]]:
    """The columns of a table, its primary key, which columns are unique by themselves, and which hold UUIDs."""
    seen = inspect(sync)
    found = seen.get_columns(name, schema)
    columns = [each["name"] for each in found]
    uuids = {each["name"] for each in found if isinstance(each["type"], Uuid)}
    primary = list(seen.get_pk_constraint(name, schema)["constrained_columns"])
    alone = [each["column_names"] for each in seen.get_unique_constraints(name, schema)]
    return columns, primary, {names[0] for names in [primary, *alone] if len(names) == 1}, uuids


def _engine(url: str) -> tuple[AsyncEngine, str]:
    """The engine, and how the source is called among imports: its file's name, or its database's."""
    if not url.startswith(_SCHEMES):
        raise ConfigError("the source must be a URL that starts with sqlite:/// or postgresql://")
    if url.startswith("sqlite:"):
        path = Path(url.removeprefix("sqlite:///"))
        if not path.is_file():
            raise ConfigError("the source names no file that is there")
        return _sqlite(path), path.name
    try:
        given = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError("the source is no URL that can be read") from None
    if not given.database:
        raise ConfigError("the source names no database: postgresql://USER@HOST/DATABASE")
    engine = create_async_engine(
        given.set(drivername="postgresql+asyncpg"),
        connect_args={
            "command_timeout": PATIENCE,
            "server_settings": _SESSION,
            "async_creator_fn": connect_to_primary,
        },
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
    )
    return engine, given.database


def _sqlite(path: Path) -> AsyncEngine:
    url = URL.create(
        "sqlite+aiosqlite",
        database=f"file:{quote(str(path.absolute()))}",
        query={"mode": "ro", "uri": "true"},
    )
    engine = create_async_engine(
        url, connect_args={"timeout": PATIENCE}, pool_size=1, max_overflow=0, hide_parameters=True
    )
    event.listen(engine.sync_engine, "connect", _lenient)
    return engine


def _lenient(connection: Any, _record: object) -> None:
    """Texts that are no UTF-8 are read all the same."""
    connection.driver_connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
