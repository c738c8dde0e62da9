"""DiskStore: the spool as a ClickStore. One thread owns the file; one commit serves everyone who waits."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from uuid import UUID

from backends.batch import Batcher
from backends.codec import decode_click, encode
from backends.spool import Fact, Spool
from domain.attribution import Start
from domain.books import BookEntry
from domain.click import Click
from domain.errors import ConfigError, RecordRejected, StoreUnavailable
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, Lookup, Receipt

T = TypeVar("T")
MOST_LATE = 100_000


class DiskStore:
    """Acknowledges after COMMIT: with fsync that is `synced`, without it `written`.

    The spool is opened by its thread at first use and, if that fails, at each use until it succeeds: a daemon starts
    with its disk broken. `siblings` are other writers' spools on this machine, looked into by `find` alone.
    """

    def __init__(
        self, open_spool: Callable[[], Spool], *, synced: bool, siblings: Callable[[], list[Spool]] = list
    ) -> None:
        durability = Durability.SYNCED if synced else Durability.WRITTEN
        self._receipt = Receipt(durability=durability, visible=False)
        self._open_spool = open_spool
        self._open_siblings = siblings
        self._siblings: list[Spool] | None = None
        self._spool: Spool | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._late: dict[UUID, asyncio.Future[None]] = {}
        self._records: Batcher[tuple[Fact, bytes]] = Batcher(self._write)

    async def put(self, click: Click) -> Receipt:
        """Returns after the COMMIT of the click's own batch.

        A put whose caller gave up may still be written. A second put of that click waits for the first one, so that
        no click is taken, and counted, twice.
        """
        late = self._late.pop(click.id, None)
        written = late if late is not None and not _failed(late) else self._submit(click)
        try:
            await asyncio.shield(written)
        except asyncio.CancelledError:
            self._remember(click.id, written)
            raise
        return self._receipt

    async def put_start(self, start: Start) -> None:
        """Keep a start until the ledger takes it; as durable as a click."""
        await asyncio.shield(self._submit(start))

    async def put_books(self, entries: Sequence[BookEntry]) -> None:
        """Keep receipts' figures until the ledger takes them."""
        await asyncio.gather(*(asyncio.shield(self._submit(entry)) for entry in entries))

    async def find(self, click_id: UUID) -> Lookup:
        """Found while the click waits to be settled, Missing afterwards."""
        try:
            raw = await self._in_thread(lambda spool: self._look(spool, "c" + click_id.hex))
            return MISSING if raw is None else Found(decode_click(raw))
        except (RecordRejected, ValueError):
            return MISSING
        except StoreUnavailable:
            return UNKNOWN

    async def discard(self, click_id: UUID) -> None:
        """Remove the click from the spool: it will not be settled from here."""
        await self._in_thread(lambda spool: spool.remove("c" + click_id.hex))

    async def probe(self) -> None:
        """A real write."""
        await self._in_thread(lambda spool: spool.probe())

    async def size(self) -> tuple[int, int]:
        """Records waiting, bytes on disk."""
        return await self._in_thread(lambda spool: (len(spool), spool.volume()))

    async def close(self) -> None:
        """Finish what was submitted; what is in the spool stays."""
        await self._records.close()
        if self._spool is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close_spools)
        self._thread.shutdown()

    def _close_spools(self) -> None:
        for spool in (self._spool, *(self._siblings or ())):
            if spool is not None:
                spool.close()

    def _submit(self, fact: Fact) -> asyncio.Future[None]:
        # A record at fault is refused by `encode`, alone, before it can fail the batch of others.
        return self._records.submit((fact, encode(fact)))

    def _remember(self, click_id: UUID, written: asyncio.Future[None]) -> None:
        if len(self._late) >= MOST_LATE:
            del self._late[next(iter(self._late))]
        self._late[click_id] = written

    async def _write(self, records: Sequence[tuple[Fact, bytes]]) -> None:
        await self._in_thread(lambda spool: spool.append(records))

    async def _in_thread(self, call: Callable[[Spool], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, call)

    def _look(self, own: Spool, key: str) -> bytes | None:
        if self._siblings is None:
            self._siblings = self._open_siblings()
        return next((raw for spool in (own, *self._siblings) if (raw := spool.get(key)) is not None), None)

    def _call(self, call: Callable[[Spool], T]) -> T:
        if self._spool is None:
            try:
                self._spool = self._open_spool()
            except ConfigError as error:
                raise StoreUnavailable(str(error)) from error
        return call(self._spool)


def _failed(written: asyncio.Future[None]) -> bool:
    return written.done() and written.exception() is not None
