"""What the stores hold, read with plain SQL."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

Rows = list[Sequence[Any]]

CLICKS = "SELECT id, ad_key, params, owner_bot_id, owner_telegram_id, clicked_at IS NOT NULL, erased_at IS NOT NULL FROM clicks"
ADS = "SELECT ad_key, campaign, content FROM ads"
OUTBOX = "SELECT click_id, event, lane FROM outbox WHERE click_id IS NOT NULL"
BOOKS = (
    "SELECT COALESCE(SUM(issued), 0), COALESCE(SUM(synced), 0), COALESCE(SUM(written), 0), COALESCE(SUM(token_only), 0), "
    "COALESCE(SUM(visible), 0), COALESCE(SUM(spooled), 0) FROM accounting"
)
SETTLED = "SELECT COUNT(*) FROM clicks WHERE clicked_at IS NOT NULL AND spooled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A click in SQL. `owner` is (bot, Telegram id); `params` is what its ad said."""

    ad_key: str
    params: dict[str, str]
    owner: tuple[int, int] | None
    has_click: bool
    erased: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The books as they stand in SQL, summed, and how many clicks there were settled from a spool."""

    issued: int = 0
    synced: int = 0
    written: int = 0
    token_only: int = 0
    visible: int = 0
    spooled: int = 0
    settled: int = 0


@dataclass(slots=True, kw_only=True)
class Held:
    """Clicks by id (hex), ads by key (hex) as (campaign, content), outbox rows, the books, and what waits in spools.

    `spooled`: the bytes of the clicks that wait there, as they lie.
    """

    clicks: dict[str, Row] = field(default_factory=dict)
    ads: dict[str, tuple[str, str]] = field(default_factory=dict)
    outbox: list[tuple[str, str, str]] = field(default_factory=list)
    books: Figures = field(default_factory=Figures)
    waiting: int = 0
    spooled: bytes = b""

    def waits(self, click: str) -> bool:
        """Whether the spools have that click: its id stands among their bytes, whatever their format."""
        return UUID(click).bytes in self.spooled or str(UUID(click)).encode() in self.spooled


def read_held(sql_url: str, spools: Path) -> Held:
    """Everything that SQL has, at one moment, and what waited in spools below that folder just before.

    OSError when SQL does not answer: nobody knows then what it holds.
    """
    files = list(spools.rglob("cache.db")) if spools.is_dir() else []
    waiting, spooled = sum(_waiting(file) for file in files), b"".join(_clicks_in(file) for file in files)
    clicks, ads, outbox, books, settled = ask(sql_url, (CLICKS, ADS, OUTBOX, BOOKS, SETTLED))
    return Held(
        clicks={hex_of(row[0]): _row(row) for row in clicks},
        ads={hex_of(key): (campaign, content) for key, campaign, content in ads},
        outbox=[(hex_of(click), event, lane) for click, event, lane in outbox],
        books=Figures(**dict(zip(Figures.__slots__, (*books[0], settled[0][0]), strict=True))),
        waiting=waiting,
        spooled=spooled,
    )


def ask(sql_url: str, statements: Sequence[str]) -> list[Rows]:
    """The rows of each statement, all at one moment. OSError when SQL does not answer."""
    return (_sqlite if sql_url.startswith("sqlite") else _postgres)(sql_url, statements)


def _row(row: Sequence[Any]) -> Row:
    _, ad_key, params, bot, person, has_click, erased = row
    said = json.loads(params) if isinstance(params, str) else params
    owner = None if person is None else (bot, person)
    return Row(
        ad_key=hex_of(ad_key), params=said or {}, owner=owner, has_click=bool(has_click), erased=bool(erased)
    )


def hex_of(value: Any) -> str:
    """SQLite keeps a UUID as 32 hex digits, PostgreSQL as one."""
    if isinstance(value, str):
        return value.replace("-", "")
    return value.hex if isinstance(value, UUID) else bytes(value).hex()


def _sqlite(url: str, statements: Sequence[str]) -> list[Rows]:
    path = url.partition(":///")[2]
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as connection:
            connection.execute("BEGIN")
            return [connection.execute(statement).fetchall() for statement in statements]
    except sqlite3.Error as error:
        raise OSError(f"SQLite: {error}") from None


def _postgres(url: str, statements: Sequence[str]) -> list[Rows]:
    import asyncpg

    async def read() -> list[Rows]:
        place = urlsplit(url)
        connection = await asyncpg.connect(
            host=place.hostname,
            port=place.port,
            user=place.username,
            password=place.password,
            database=place.path[1:],
            timeout=5,
        )
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                return [[tuple(row) for row in await connection.fetch(statement)] for statement in statements]
        finally:
            await connection.close(timeout=5)

    try:
        return asyncio.run(read())
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise OSError(f"PostgreSQL: {error}") from None


def _waiting(file: Path) -> int:
    """Entries of one spool, which is a diskcache: clicks, starts and conversions, but not its own counts."""
    wanted = "SELECT COUNT(*) FROM Cache WHERE substr(key, 1, 1) IN ('c', 's', 'e')"
    return _counted(file, lambda connection: connection.execute(wanted).fetchone()[0])


def waiting_entries(spools: Path) -> int:
    """How many entries lie in the spools below that folder, their own counts included: diskcache keeps the number."""
    wanted = "SELECT COALESCE(SUM(value), 0) FROM Settings WHERE key = 'count'"  # a spool that is being made has none
    # Not rglob, which fails on a folder that is removed while it looks: so are spools whose daemon is gone.
    files = [*spools.glob("*/cache.db"), *spools.glob("*/*/cache.db")]  # those of nodes are one folder deeper
    return sum(_counted(file, lambda connection: connection.execute(wanted).fetchone()[0]) for file in files)


def _clicks_in(file: Path) -> bytes:
    """The entries of one spool that are clicks. One that cannot be read shows none, so that its clicks count as missing."""
    wanted = "SELECT value FROM Cache WHERE substr(key, 1, 1) = 'c'"
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as connection:
            return b"".join(bytes(value) for (value,) in connection.execute(wanted))
    except sqlite3.Error:
        return b""


def _counted(file: Path, count: Callable[[sqlite3.Connection], int]) -> int:
    """A spool that is being thrown away while it is looked at holds nothing."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=5)) as connection:
            return count(connection)
    except sqlite3.Error:
        return 0 if not file.exists() else 1
