"""DiskStore: the spool as a ClickStore. One thread owns the file; one commit serves everyone who waits."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from backends.batch import Batch, Batcher
from backends.codec import Packed, encode, pack
from backends.spool import Fact, Spool, open_if_there
from domain.attribution import Start
from domain.books import BookEntry
from domain.click import Click
from domain.conversions import Conversion
from domain.errors import ConfigError, StoreBroken, StoreUnavailable
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, Lookup, Receipt

T = TypeVar("T")
Records = Sequence[tuple[Fact, bytes]]
MOST_LATE = 100_000


class DiskStore:
    """Acknowledges after COMMIT: with fsync that is `synced`, without it `written`.

    A spool is opened by its thread at first use, a fresh one each time (`open_spool`), and if that fails, at each use
    until it succeeds: a daemon starts with its disk broken. A spool that could not be written is closed for good.
    `folders` are all spools of this machine: `find` looks into those of other writers, living or dead, too.
    """

    def __init__(
        self,
        open_spool: Callable[[], Spool],
        *,
        synced: bool,
        folders: Callable[[], Iterable[Path]] = tuple,
        open_beside: Callable[[Path], Spool] | None = None,
    ) -> None:
        durability = Durability.SYNCED if synced else Durability.WRITTEN
        self._receipt = Receipt(durability=durability, visible=False)
        self._open_spool = open_spool
        self._folders = folders
        self._open_beside = open_beside
        self._beside: dict[Path, Spool] = {}
        self._spool: Spool | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._late: dict[UUID, asyncio.Future[None]] = {}
        self._left: set[UUID] = set()
        self._commits: Batcher[Records, None] = Batcher(self._commit, size=64, waiting=1024)

    async def put(self, click: Click) -> Receipt:
        """Returns after the COMMIT of the click's own batch; a click that is here already stays as it is (I7)."""
        if await self._in_thread(lambda: self._own().find(click.id)) is not None:
            return self._receipt
        return await self.put_batch([pack(click)])

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        """Returns after the COMMIT that holds all of them. Clicks not put before.

        A put whose caller gave up may still be written. A second put of its clicks waits for the first one, so that
        no click is taken, and counted, twice.
        """
        late = self._take_late(batch)
        fresh = [packed for packed in batch if packed.click.id not in late] if late else batch
        commits = [*set(late.values()), *([self._submit(fresh)] if fresh else [])]
        try:
            for commit in commits:
                await asyncio.shield(commit)
        except asyncio.CancelledError:
            for click, _ in fresh:
                self._remember(click.id, commits[-1])
            self._late.update(late)
            raise
        except StoreUnavailable:
            self._late.update(late)
            raise
        return self._receipt

    async def put_start(self, start: Start) -> None:
        """Keep a start until the ledger takes it; as durable as a click."""
        await asyncio.shield(self._submit([(start, encode(start))]))

    async def put_conversion(self, conversion: Conversion) -> None:
        """Keep a conversion until the ledger takes it; as durable as a click. One that is here stays as it was put first."""
        await asyncio.shield(self._submit([(conversion, encode(conversion))]))

    async def put_books(self, entries: Sequence[BookEntry]) -> None:
        """Keep receipts' figures until the ledger takes them."""
        await asyncio.shield(self._submit([(entry, encode(entry)) for entry in entries]))

    async def find(self, click_id: UUID) -> Lookup:
        """Found while the click waits to be settled, Missing afterwards."""
        try:
            click = await self._in_thread(lambda: self._look(click_id))
        except StoreUnavailable:
            return UNKNOWN
        return MISSING if click is None else Found(click)

    async def discard(self, click_id: UUID) -> None:
        """Remove the click from the spools: it will not be settled from here."""
        await self._in_thread(lambda: self._remove(click_id))

    async def probe(self) -> None:
        """A real write."""
        await self._in_thread(lambda: self._writing(lambda spool: spool.probe()))

    async def size(self) -> tuple[int, int]:
        """Entries waiting and bytes on disk, of all spools here: they share one quota."""
        return await self._in_thread(self._measure)

    async def close(self) -> None:
        """Finish what was submitted; what is in the spool stays."""
        await self._commits.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_spools)
        self._thread.shutdown()

    # ------------------------------------------------------------ on the loop

    def _submit(self, records: Records) -> asyncio.Future[None]:
        commit = self._commits.submit(records)
        # A caller past its deadline no longer listens; asyncio would complain of an exception nobody took.
        commit.add_done_callback(lambda done: done.cancelled() or done.exception())
        return commit

    def _take_late(self, batch: Sequence[Packed]) -> dict[UUID, asyncio.Future[None]]:
        """The commits under way of clicks that were given up before, by click."""
        if not self._late and not self._left:
            return {}
        for click, _ in batch:
            if click.id in self._left:
                self._left.discard(click.id)
                self._late[click.id] = _done()
        late = ((click.id, self._late.pop(click.id, None)) for click, _ in batch)
        return {click_id: commit for click_id, commit in late if commit is not None and not _failed(commit)}

    def _remember(self, click_id: UUID, commit: asyncio.Future[None]) -> None:
        if len(self._late) >= MOST_LATE:
            del self._late[next(iter(self._late))]
        self._late[click_id] = commit

    async def _commit(self, batch: Batch[Records, None]) -> None:
        records = [record for part in batch.items for record in part]
        await self._in_thread(lambda: self._append(records))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, _settings_as_outage, call)

    # ------------------------------------------------------------ in the thread

    def _own(self) -> Spool:
        if self._spool is None:
            self._spool = self._open_spool()
        return self._spool

    def _writing(self, call: Callable[[Spool], T]) -> T:
        spool = self._own()
        try:
            return call(spool)
        except StoreBroken:
            # Never written again, never fsync'd again: the next use opens a fresh one, and the worker adopts this one.
            self._spool = None
            spool.close()
            raise

    def _append(self, records: Records) -> None:
        spool = self._own()
        try:
            self._writing(lambda own: own.append(records))
        except StoreBroken:
            if spool.left_behind():
                # They will be settled from there: spooled again, they would be counted twice. Nobody is told that they
                # are kept.
                self._left.update(fact.id for fact, _ in records if isinstance(fact, Click))
            raise

    def _measure(self) -> tuple[int, int]:
        spools = list(self._all())
        volumes = [spool.volume() for spool in spools]
        if self._spool is not None:
            self._spool.elsewhere = sum(volumes[1:])
        return sum(map(len, spools)), sum(volumes)

    def _remove(self, click_id: UUID) -> None:
        for spool in self._all():
            spool.remove(click_id)

    def _look(self, click_id: UUID) -> Click | None:
        return next((found for spool in self._all() if (found := spool.find(click_id)) is not None), None)

    def _all(self) -> Iterator[Spool]:
        """Our own spool, then every other one that is there now. StoreUnavailable when one cannot be opened."""
        if self._open_beside is None:
            yield self._own()
            return
        if self._spool is not None:
            yield self._spool
        own = self._spool.folder if self._spool is not None else None
        folders = {folder for folder in self._folders() if folder != own}
        for gone in self._beside.keys() - folders:
            self._beside.pop(gone).close()
        for folder in sorted(folders):
            if folder not in self._beside and (found := open_if_there(folder, self._open_beside)) is not None:
                self._beside[folder] = found
            if folder in self._beside:
                yield self._beside[folder]

    def _close_spools(self) -> None:
        for spool in (self._spool, *self._beside.values()):
            if spool is not None:
                spool.close()


def _settings_as_outage(call: Callable[[], T]) -> T:
    """A folder that is not as it must be is a store that is down: the redirect goes on, and `doctor` says what is wrong."""
    try:
        return call()
    except ConfigError as error:
        raise StoreUnavailable(str(error)) from error


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future


def _failed(commit: asyncio.Future[None]) -> bool:
    return commit.done() and (commit.cancelled() or commit.exception() is not None)
