"""Reading the books (I8): what was promised, what the spools took, what SQL has."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.spool import Spool
from backends.sql.engine import snapshot
from backends.sql.schema import accounting, clicks
from domain.books import FIGURES, IMPORTED_NODE, MINUTE_MS, BookEntry
from domain.click import Click, Tombstone
from domain.ids import first_uuid7

_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The books of a stretch of time, by the minute of the click.

    `in_sql` counts clicks settled from a spool, `in_spools` those that wait there and are not in SQL yet, `direct`
    those that SQL took at the redirect itself. `started`, `erased` and `imported` (clicks of another tracker, which no token
    was given out for) are for reading, not for the balance.
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
    imported: int = 0

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


async def read_books(engine: AsyncEngine, spools: Iterable[Spool], *, since_ms: int, until_ms: int) -> Books:
    """The books of clicks from `since_ms` to before `until_ms`, both rounded down to the minute. StoreUnavailable.

    Spools are read before SQL, and SQL at one moment: a record that is settled in between is seen in both, and counted once.
    """
    stretch = _Stretch(since_ms // MINUTE_MS, until_ms // MINUTE_MS)
    for spool in spools:
        stretch.read_spool(spool)

    async def read(connection: AsyncConnection) -> tuple[tuple[int, ...], int]:
        await stretch.read_accounting(connection)
        return await stretch.count_clicks(connection), await stretch.count_settled(connection)

    (in_sql, direct, started, erased, imported), both = await snapshot(engine, read)
    return Books(
        **{name: sum(getattr(entry, name) for entry in stretch.entries.values()) for name in FIGURES},
        in_sql=in_sql,
        in_spools=len(stretch.waiting) - both,
        direct=direct,
        started=started,
        erased=erased,
        imported=imported,
    )


class _Stretch:
    """Minutes `since` to before `until`, and what was found in them."""

    def __init__(self, since: int, until: int) -> None:
        self._since = since
        self._until = until
        self._first = first_uuid7(since * MINUTE_MS)
        self._end = first_uuid7(until * MINUTE_MS)
        self.waiting: set[UUID] = set()
        self.entries: dict[tuple[int, str, int], BookEntry] = {}

    def read_spool(self, spool: Spool) -> None:
        for entry in spool.entries():
            for record in entry.found.records:
                match record:
                    case Click(id=click_id) | Tombstone(click_id) if self._first <= click_id < self._end:
                        self.waiting.add(click_id)
                    case BookEntry() if self._since <= record.minute < self._until:
                        self._add(record)

    async def read_accounting(self, connection: AsyncConnection) -> None:
        minute = accounting.c.minute
        wanted = select(accounting).where(minute >= self._since, minute < self._until)
        for row in (await connection.execute(wanted)).mappings():
            self._add(BookEntry(**row))

    async def count_clicks(self, connection: AsyncConnection) -> tuple[int, ...]:
        here = clicks.c.node != IMPORTED_NODE
        counts = select(
            func.count().filter(clicks.c.spooled),
            func.count().filter(here & ~clicks.c.spooled & clicks.c.clicked_at.is_not(None)),
            func.count(clicks.c.owner_telegram_id),
            func.count(clicks.c.erased_at),
            func.count().filter(~here),
        ).where(clicks.c.id >= self._first, clicks.c.id < self._end)
        return tuple((await connection.execute(counts)).one())

    async def count_settled(self, connection: AsyncConnection) -> int:
        """How many of those that wait in a spool are in SQL already."""
        settled = 0
        ordered = sorted(self.waiting)
        for at in range(0, len(ordered), _CHUNK):
            wanted = clicks.c.id.in_(ordered[at : at + _CHUNK]) & clicks.c.spooled
            settled += (await connection.execute(select(func.count()).where(wanted))).scalar_one()
        return settled

    def _add(self, entry: BookEntry) -> None:
        key = (entry.node, entry.boot, entry.minute)
        self.entries[key] = self.entries[key].merge(entry) if key in self.entries else entry
