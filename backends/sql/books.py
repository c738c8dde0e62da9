"""Reading the books (I8): what was promised, what the spools took, what SQL has."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.codec import decode
from backends.spool import Entry, Spool
from backends.sql.engine import errors_translated
from backends.sql.schema import accounting, clicks
from domain.books import FIGURES, MINUTE_MS, BookEntry
from domain.errors import RecordRejected
from domain.ids import first_uuid7

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The books of a stretch of time, by the minute of the click.

    `in_sql` counts clicks settled from a spool, `in_spools` those that wait there and are not in SQL yet, `direct`
    those that SQL took at the redirect itself. `started` and `erased` are for reading, not for the balance.
    """

    issued: int
    synced: int
    written: int
    token_only: int
    visible: int
    spooled: int
    in_sql: int
    in_spools: int
    direct: int
    started: int
    erased: int

    @property
    def faults(self) -> list[str]:
        """Every equation of I8 that does not hold, in words; empty when the books balance."""
        promised = self.synced + self.written
        kept = self.in_sql + self.in_spools
        faults = []
        if self.issued != promised + self.token_only:
            faults.append(
                f"issued {self.issued} != synced + written + token_only {promised + self.token_only}"
            )
        if self.spooled != kept:
            faults.append(f"taken by spools {self.spooled} != in SQL + in spools {kept}")
        if promised > kept + self.direct:
            faults.append(f"acknowledged {promised} > in SQL + in spools + direct {kept + self.direct}")
        return faults

    @property
    def balanced(self) -> bool:
        """True when nothing that was acknowledged is unaccounted for."""
        return not self.faults


async def read_books(engine: AsyncEngine, spools: Iterable[Spool], *, since_ms: int) -> Books:
    """The books since that time, rounded down to the minute. Raises StoreUnavailable.

    Spools are read before SQL: a record that is settled in between is then seen in both, and counted once.
    """
    minute = since_ms // MINUTE_MS
    waiting_clicks: set[UUID] = set()
    waiting_books: dict[tuple[int, str, int], BookEntry] = {}
    for spool in spools:
        _read_spool(spool, minute, waiting_clicks, waiting_books)
    with errors_translated():
        async with engine.connect() as connection:
            for row in (
                await connection.execute(select(accounting).where(accounting.c.minute >= minute))
            ).all():
                _add(waiting_books, BookEntry(**row._mapping))  # noqa: SLF001  the documented way to a row's names
            counted = select(
                func.count().filter(clicks.c.spooled),
                func.count().filter(~clicks.c.spooled & clicks.c.clicked_at.is_not(None)),
                func.count(clicks.c.owner_telegram_id),
                func.count(clicks.c.erased_at),
            ).where(clicks.c.id >= first_uuid7(minute * MINUTE_MS))
            in_sql, direct, started, erased = (await connection.execute(counted)).one()
            settled = 0
            ordered = sorted(waiting_clicks)
            for at in range(0, len(ordered), _CHUNK):
                both = select(func.count()).where(
                    clicks.c.id.in_(ordered[at : at + _CHUNK]), clicks.c.spooled
                )
                settled += (await connection.execute(both)).scalar_one()
    totals = {name: sum(getattr(entry, name) for entry in waiting_books.values()) for name in FIGURES}
    return Books(
        **totals,
        in_sql=in_sql,
        in_spools=len(waiting_clicks) - settled,
        direct=direct,
        started=started,
        erased=erased,
    )


def _read_spool(
    spool: Spool, minute: int, waiting: set[UUID], books: dict[tuple[int, str, int], BookEntry]
) -> None:
    oldest = first_uuid7(minute * MINUTE_MS)
    waiting.update(click for key in spool.keys("c") if (click := UUID(key[1:])) >= oldest)
    for key in (*spool.keys("b"), *spool.keys("r")):
        entry = _book_entry(Entry(key, spool.get(key)))
        if entry is not None and entry.minute >= minute:
            _add(books, entry)


def _book_entry(entry: Entry) -> BookEntry | None:
    try:
        record = decode(entry.raw or b"")
    except RecordRejected:
        return None
    return record if isinstance(record, BookEntry) else None


def _add(books: dict[tuple[int, str, int], BookEntry], entry: BookEntry) -> None:
    key = (entry.node, entry.boot, entry.minute)
    books[key] = books[key].merge(entry) if key in books else entry
