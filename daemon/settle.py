"""Settle: spool -> SQL -> trim. Runs all day, so what happens after an outage is what happens always.

A record leaves the spool only after its COMMIT. Dying in between settles it again, which changes nothing (I12).
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from backends.codec import Record, decode
from backends.spool import Entry, Spool
from domain.attribution import Start
from domain.books import BookEntry
from domain.click import Click
from domain.errors import ConfigError, RecordRejected
from domain.ports import Ledger
from runtime.logs import get_logger

T = TypeVar("T")
_log = get_logger("trilha.settle")


@dataclass(slots=True)
class _Batch:
    """Records of one spool, sorted out. `settled` are the entries to trim once they are in SQL."""

    clicks: list[Click] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    books: list[BookEntry] = field(default_factory=list)
    settled: list[Entry] = field(default_factory=list)
    damaged: list[Entry] = field(default_factory=list)

    def add(self, entry: Entry, record: Record) -> None:
        match record:
            case Click():
                self.clicks.append(record)
            case Start():
                self.starts.append(record)
            case BookEntry():
                self.books.append(record)
        self.settled.append(entry)


class Settler:
    """Moves what the spools hold into SQL. One per spool folder; a lock sees to that."""

    def __init__(
        self,
        *,
        folders: Callable[[], Sequence[Path]],
        open_spool: Callable[[Path], Spool],
        ledger: Ledger,
        batch: int,
    ) -> None:
        self._folders = folders
        self._open = open_spool
        self._ledger = ledger
        self._batch = batch
        self._spools: dict[Path, Spool] = {}
        # A spool's calls all come from one thread, and none of them blocks the loop.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="settle")

    async def drain(self) -> int:
        """Settle until every spool is empty; the number of records. Raises StoreUnavailable; nothing is lost then."""
        total = 0
        while moved := await self.once():
            total += moved
        return total

    async def once(self) -> int:
        """One batch of every spool; the number of records moved. Raises StoreUnavailable."""
        await self._in_thread(self._find_spools)
        moved = 0
        for spool in list(self._spools.values()):
            moved += await self._settle(spool)
        return moved

    async def close(self) -> None:
        """Close the spools; what is in them stays."""
        for spool in self._spools.values():
            await self._in_thread(spool.close)
        self._thread.shutdown()

    def _find_spools(self) -> None:
        for folder in self._folders():
            if folder not in self._spools:
                self._open_one(folder)

    def _open_one(self, folder: Path) -> None:
        """A folder that is not as it must be holds up itself, not the other spools."""
        try:
            self._spools[folder] = self._open(folder)
        except ConfigError as error:
            _log.error("a spool is left out", reason=str(error))

    async def _settle(self, spool: Spool) -> int:
        batch = await self._in_thread(lambda: _sort_out(spool.newest(self._batch)))
        for entry in batch.damaged:
            await self._aside(spool, entry)
        if not batch.settled:
            return len(batch.damaged)
        try:
            await self._ledger.settle(batch.clicks, batch.starts, batch.books)
        except RecordRejected:
            await self._one_by_one(spool, batch.settled)
        else:
            await self._in_thread(lambda: spool.trim(batch.settled))
        return len(batch.settled) + len(batch.damaged)

    async def _one_by_one(self, spool: Spool, entries: Sequence[Entry]) -> None:
        """SQL refused the batch: settle each record alone, so that one bad record holds up nobody."""
        for entry in entries:
            single = _sort_out([entry])
            try:
                await self._ledger.settle(single.clicks, single.starts, single.books)
            except RecordRejected:
                await self._aside(spool, entry)
            else:
                await self._in_thread(partial(spool.trim, [entry]))

    async def _aside(self, spool: Spool, entry: Entry) -> None:
        # This record leaves the queue unsettled. It is kept in `aside/`, and `trilha doctor` counts it.
        _log.error("a record cannot be settled and was set aside", kind=entry.key[:1])
        await self._in_thread(partial(spool.set_aside, entry))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _sort_out(entries: Sequence[Entry]) -> _Batch:
    batch = _Batch()
    for entry in entries:
        try:
            batch.add(entry, decode(entry.raw or b""))
        except RecordRejected:
            batch.damaged.append(entry)
    return batch
