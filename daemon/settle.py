"""Settle: spool -> enrich -> SQL -> trim. Runs all day, so what happens after an outage is what happens always.

A record leaves the spool only after its COMMIT. Dying in between settles it again, which changes nothing (I12).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from backends.codec import Record, encode
from backends.spool import Entry, Spool
from domain.attribution import Start
from domain.batch_size import BatchSize
from domain.books import BookEntry
from domain.click import Click, Tombstone
from domain.clock import Clock
from domain.conversions import Conversion
from domain.enrichment import Enrichment
from domain.errors import ConfigError, RecordRejected, StoreUnavailable
from domain.ports import Ledger
from runtime.logs import get_logger

T = TypeVar("T")
Enrich = Callable[[Sequence[Click]], Mapping[UUID, Enrichment]]
LogAccesses = Callable[[Sequence[Click]], None]
TARGET_SECONDS = 0.25
_log = get_logger("trilha.settle")


def no_access_log(_clicks: Sequence[Click]) -> None:
    """Keeps none: what is settled without TRILHA_ACCESS_LOG."""


@dataclass(slots=True)
class _Facts:
    """Records, sorted out."""

    clicks: list[Click] = field(default_factory=list)
    erased: list[UUID] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    books: list[BookEntry] = field(default_factory=list)
    conversions: list[Conversion] = field(default_factory=list)

    @classmethod
    def of(cls, records: Iterable[Record]) -> "_Facts":
        facts = cls()
        for record in records:
            match record:
                case Click():
                    facts.clicks.append(record)
                case Tombstone():
                    facts.erased.append(record.click_id)
                case Start():
                    facts.starts.append(record)
                case BookEntry():
                    facts.books.append(record)
                case Conversion():
                    facts.conversions.append(record)
        return facts


class Settler:
    """Moves what the spools hold into SQL, and removes those whose writer is gone. One per folder of spools; a lock
    sees to that.
    """

    def __init__(
        self,
        *,
        folders: Callable[[], Sequence[Path]],
        open_spool: Callable[[Path], Spool],
        ledger: Ledger,
        enrich: Enrich,
        log_accesses: LogAccesses = no_access_log,
        clock: Clock,
        batch: int,
    ) -> None:
        self._folders = folders
        self._open = open_spool
        self._ledger = ledger
        self._enrich = enrich
        self._log_accesses = log_accesses
        self._clock = clock
        self._size = BatchSize(batch, TARGET_SECONDS)
        self._spools: dict[Path, Spool] = {}
        self._left_out: set[Path] = set()
        self.behind = False
        """Whether a spool has just given a whole batch: there is more where it came from."""
        # A spool's calls all come from one thread, and none of them blocks the loop.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="settle")

    async def drain(self, *, seconds: float = inf) -> int:
        """Settle until every spool is empty, or for so long: while clicks come no spool stays empty. The number of records.

        Raises StoreUnavailable. What is not settled stays in the spools.
        """
        total, until = 0, self._clock.monotonic() + seconds
        while moved := await self.once():
            total += moved
            if self._clock.monotonic() >= until:
                break
        return total

    async def once(self) -> int:
        """One batch of every spool; the number of records moved. Raises StoreUnavailable when SQL does not take it.

        A spool that cannot be read or trimmed holds up itself, not the others.
        """
        await self._in_thread(self._find_spools)
        moved, behind = 0, False
        for spool in list(self._spools.values()):
            whole = self._size.now
            settled = await self._settle(spool)
            moved, behind = moved + settled, behind or settled >= whole
        self.behind = behind
        return moved

    async def close(self) -> None:
        """Close the spools; what is in them stays."""
        for spool in self._spools.values():
            await self._in_thread(spool.close)
        self._thread.shutdown()

    def _find_spools(self) -> None:
        folders = self._folders()
        for gone in self._spools.keys() - set(folders):
            self._spools.pop(gone).close()
        for folder in folders:
            if folder not in self._spools:
                self._open_one(folder)

    def _open_one(self, folder: Path) -> None:
        """A folder that is not as it must be holds up itself, not the other spools."""
        try:
            self._spools[folder] = self._open(folder)
        except (ConfigError, StoreUnavailable) as error:
            self._leave_out(folder, error)
        else:
            self._left_out.discard(folder)

    def _leave_out(self, folder: Path, error: Exception) -> None:
        """Said once for each spool: it is tried again five times a second."""
        if folder not in self._left_out:
            _log.error("a spool is left out", spool=folder.name, reason=str(error))
        self._left_out.add(folder)

    async def _settle(self, spool: Spool) -> int:
        entries = await self._in_thread(lambda: self._read(spool))
        if not entries:
            return 0
        records = [record for entry in entries for record in entry.found.records]
        await self._set_damaged_aside(spool, entries)
        await self._in_thread(lambda: self._log_accesses([r for r in records if isinstance(r, Click)]))
        try:
            await self._into_sql(records)
        except RecordRejected:
            await self._one_by_one(spool, entries)
        trimmed = await self._in_thread(lambda: self._trim(spool, entries))
        return len(records) + sum(len(entry.found.damaged) for entry in entries) if trimmed else 0

    async def _into_sql(self, records: Sequence[Record]) -> None:
        facts = _Facts.of(records)
        began = self._clock.monotonic()
        added = await self._in_thread(lambda: self._enrich(facts.clicks))
        await self._ledger.settle(
            facts.clicks, facts.starts, facts.books, facts.erased, added, facts.conversions
        )
        self._size.took(len(records), self._clock.monotonic() - began)

    async def _one_by_one(self, spool: Spool, entries: Sequence[Entry]) -> None:
        """SQL refused the batch: settle each record alone, so that one bad record holds up nobody."""
        for entry in entries:
            for record in entry.found.records:
                try:
                    await self._into_sql([record])
                except RecordRejected:
                    await self._aside(spool, entry, encode(record))

    async def _set_damaged_aside(self, spool: Spool, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for piece in entry.found.damaged:
                await self._aside(spool, entry, piece)

    async def _aside(self, spool: Spool, entry: Entry, piece: bytes) -> None:
        # This record leaves the queue unsettled. It is kept in `aside/`, and `trilha doctor` counts it.
        _log.error("a record cannot be settled and was set aside", kind=entry.key[:1])
        await self._in_thread(lambda: spool.set_aside(entry, piece))

    def _read(self, spool: Spool) -> list[Entry]:
        """The next entries. A spool without any, whose writer is gone, is removed; one that cannot be read is left out."""
        try:
            # Before reading: what is empty after its writer has gone stays empty.
            adopted = spool.adopt()
            entries = spool.newest(self._size.now)
        except StoreUnavailable as error:
            self._leave_out(spool.folder, error)
            return []
        if adopted and not entries:
            self._spools.pop(spool.folder, None)
            spool.destroy()
        return entries

    def _trim(self, spool: Spool, entries: Sequence[Entry]) -> bool:
        """False when it failed: what cannot be trimmed has not moved; it is settled again, which changes nothing."""
        try:
            spool.trim(entries)
        except StoreUnavailable as error:
            self._leave_out(spool.folder, error)
            return False
        return True

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
