"""Spool: the disk tier seen as a queue, on diskcache. What is in it is acknowledged and not yet in SQL.

Keys sort by kind, then by time:

    c<newest>-<oldest>-<writer>-<n>   clicks of one commit, a batch: milliseconds of its newest and oldest in hex
    r<minute>-<boot>                  receipts' figures
    e<event id>                       a conversion
    s<start id>                       a start

One process writes a spool, and holds its lock while it lives; the settling worker reads and trims it from its own
process, and adopts it when the writer is gone. Records leave only through `trim`, after they are in SQL: nothing is
evicted (I13).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from shutil import rmtree
from threading import Event
from typing import TypeVar
from uuid import UUID
from zlib import crc32

from diskcache import Cache, Timeout

from backends.codec import Record, Unpacked, decode_entry, encode, encode_batch
from backends.folders import FolderLock, private_folder
from backends.raw_disk import FOREIGN, RawDisk
from domain.attribution import Start
from domain.books import MINUTE_MS, BookEntry
from domain.click import Click, Tombstone
from domain.conversions import Conversion
from domain.errors import SpoolFull, StoreBroken, StoreUnavailable
from domain.ids import random_uuid, uuid7_ms

DATABASE = "cache.db"
WRITER_LOCK = "writer.lock"
# SQLite waits for a lock in growing sleeps, too coarse for a redirect. The writer asks again every 0.3 ms; trimming
# asks seldom and pauses between its chunks, so that the writer always goes first.
WRITER_POLL, WRITER_TRIES = 0.0003, 6000
TRIM_POLL, TRIM_TRIES = 0.004, 500
TRIM_CHUNK = 32
TRIM_PAUSE = 0.004
BATCH_SPAN_MS = 1000
MEASURE_EVERY = 16
WRITER_CHECKPOINT_PAGES = 4000
SCRUB_BYTES = 4 * 1024 * 1024
LOG_BYTES = 20 * 1024 * 1024
ASIDE = "aside"
LOCKED = "the spool is locked by another process"
Fact = Click | Start | BookEntry | Conversion
OfPerson = Start | Conversion
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it lies in the spool, and what could be read of it. `raw` is None when we did not write the row."""

    key: str
    raw: bytes | None
    found: Unpacked

    @classmethod
    def of(cls, key: str, raw: bytes | None) -> "Entry":
        """The entry, unpacked."""
        return cls(key, raw, decode_entry(raw))


class Spool:
    """One diskcache folder. All calls of one Spool come from one thread.

    `boot` names the writer in the books; without it the spool is opened beside its writer, to read and to trim.
    """

    def __init__(self, folder: Path, *, quota: int, synced: bool, node: int = 0, boot: str = "") -> None:
        if not boot and not (folder / DATABASE).exists():
            raise StoreUnavailable("there is no spool any more")
        self.folder = private_folder(folder)
        self._uri = (folder.absolute() / DATABASE).as_uri()
        self._quota = quota
        self._node = node
        self._boot = boot
        self._spooled: dict[int, int] = {}
        self._broken = False
        self._unsure: str | None = None
        self._full = False
        self._since_measured = MEASURE_EVERY
        self.elsewhere = 0  # bytes that other spools hold of the same quota
        self._writer, self._numbers = random_uuid().hex[:8], count()
        self._pause = Event()  # never set: waiting for it is how this thread sleeps
        self._lock = FolderLock(folder / WRITER_LOCK, "another writer") if boot else None
        try:
            self._cache = _open(folder, synced=synced)
            if boot:
                self._leave_checkpoints_to_the_worker()
        except StoreUnavailable:
            if self._lock is not None:
                self._lock.release()
            raise

    def append(self, records: Sequence[tuple[Fact, bytes]]) -> None:
        """Keep all in one transaction, or raise StoreUnavailable and keep none; no id is ever appended twice.

        StoreBroken: writing or fsync failed. What this spool holds stays, and nothing may be written to it any more:
        after a failed fsync nobody knows what the disk has, and a second fsync would not say it either.
        """
        self._refuse()
        clicks: list[tuple[int, bytes]] = []
        others: list[tuple[Fact, bytes]] = []
        for fact, raw in records:
            if isinstance(fact, Click):
                clicks.append((fact.at_ms, raw))
            else:
                others.append((fact, raw))
        batches = [*_by_span(clicks)]
        counted: dict[int, int] = {}
        self._unsure = None
        with _as_broken():
            if len(batches) == 1 and not others:
                self._keep_alone(batches[0], counted)
            else:
                with self._transaction(WRITER_POLL, WRITER_TRIES):
                    for fact, raw in others:
                        self._keep(fact, raw)
                    for batch in batches:
                        self._insert(*self._entry(batch, counted))
        # Every minute of this boot is remembered: the ring may bring a click of an old one, whose count must grow.
        self._spooled.update(counted)

    def left_behind(self) -> bool:
        """Whether the clicks of an `append` that failed are here all the same. False also when that cannot be read.

        For a spool that was closed after StoreBroken. COMMIT is written before it is fsync'd: if the fsync failed, whoever
        opens the file next finds it. Only reads: a broken disk may still be able to.
        """
        if self._unsure is None:
            return False
        with suppress(sqlite3.Error), closing(sqlite3.connect(f"{self._uri}?mode=ro", uri=True)) as reader:
            wanted = "SELECT 1 FROM Cache WHERE key = ? AND raw = 1"
            return reader.execute(wanted, (self._unsure,)).fetchone() is not None
        return False

    def find(self, click_id: UUID) -> Click | None:
        """The click, or None."""
        for key in self._read(lambda: self._batches_of(uuid7_ms(click_id))):
            for record in self._entry_at(key).found.records:
                if isinstance(record, Click) and record.id == click_id:
                    return record
        return None

    def newest(self, limit: int) -> list[Entry]:
        """Entries, starts first, then receipts, conversions, and clicks from the newest on: as many as hold `limit` records."""
        return self._read(lambda: self._newest(limit))

    def entries(self) -> Iterator[Entry]:
        """Everything, for whoever keeps the books."""
        for key in self._read(lambda: list(self._keys())):
            yield self._entry_at(key)

    def trim(self, entries: Iterable[Entry]) -> None:
        """Remove entries that are in SQL; one that has changed since it was read stays.

        Data would be lost here if the caller's COMMIT were not behind it. In small transactions, so that the
        redirects' group commit never waits long for the lock.
        """
        waiting = iter(entries)
        # Losing a trim to a power cut settles its records again, which changes nothing (I12): no fsync needed.
        with _as_unavailable():
            self._cache.reset("sqlite_synchronous", 1, update=False)
        while chunk := list(islice(waiting, TRIM_CHUNK)):
            with _as_unavailable(), self._transaction(TRIM_POLL, TRIM_TRIES):
                for entry in chunk:
                    if self._fetch(entry.key) == entry.raw:
                        self._cache.delete(entry.key)
            self._pause.wait(TRIM_PAUSE)

    def set_aside(self, entry: Entry, piece: bytes) -> None:
        """Keep a piece that cannot be settled in `aside/`, beside the spools, for inspection."""
        with _as_unavailable():
            aside = private_folder(self.folder.parent / ASIDE)
            (
                aside / f"{self.folder.name}.{entry.key.replace('/', '_')[:80]}.{crc32(piece):08x}.bin"
            ).write_bytes(piece)

    def remove(self, click_id: UUID) -> None:
        """Put a tombstone in the click's place: what is settled from here is that it is erased. Books keep counting it.

        Conversions that name it go.
        """
        with _as_unavailable(), self._transaction(TRIM_POLL, TRIM_TRIES):
            for key in self._batches_of(uuid7_ms(click_id)):
                entry = Entry.of(key, self._fetch(key))
                records = entry.found.records
                kept = [Tombstone(click_id) if _is_click(r, click_id) else r for r in records]
                if kept != records:
                    # The batch is written anew, of what can be read of it: the rest must not go with it.
                    for piece in entry.found.damaged:
                        self.set_aside(entry, piece)
                    self._cache.set(key, encode_batch(map(encode, kept)))
            for key, record in self._of_people(("e",)):
                if isinstance(record, Conversion) and record.click and record.click.id == click_id:
                    self._cache.delete(key)

    def of_person(self, telegram_id: int) -> list[OfPerson]:
        """That person's starts and conversions that wait here, in every bot."""
        return self.waiting(lambda record: is_of(record, telegram_id))

    def waiting(self, wanted: Callable[[OfPerson], bool]) -> list[OfPerson]:
        """Those starts and conversions that wait here and are wanted."""
        found = self._read(lambda: list(self._of_people()))
        return [record for _, record in found if wanted(record)]

    def remove_person(self, telegram_id: int, *, until_ms: int) -> None:
        """Remove that person's starts and conversions up to that moment. They are not counted in the books."""
        with _as_unavailable(), self._transaction(TRIM_POLL, TRIM_TRIES):
            for key, record in self._of_people():
                if is_of(record, telegram_id) and record.at_ms <= until_ms:
                    self._cache.delete(key)

    def scrub(self) -> bool:
        """Write the file anew and empty its log, which still have what was removed; False when that must wait.

        It waits while more lies here than is written in a moment, for redirects would wait with it, or while somebody
        else reads or writes.
        """
        with suppress(sqlite3.Error, OSError):
            if self._cache.volume() > SCRUB_BYTES:
                return False
            self._cache.reset("sqlite_synchronous", 1, update=False)
            self._cache._sql("VACUUM")  # noqa: SLF001
            ((busy, _, _),) = self._cache._sql("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # noqa: SLF001
            return not busy
        return False

    def probe(self) -> None:
        """A real write."""
        self._refuse()
        with _as_broken(), self._transaction(WRITER_POLL, WRITER_TRIES):
            self._cache.set("~probe", b"")
            self._cache.delete("~probe")

    def __len__(self) -> int:
        """How many entries wait."""
        return self._read(lambda: len(self._cache))

    def volume(self) -> int:
        """Bytes on disk."""
        return self._read(lambda: int(self._cache.volume()))

    def close(self) -> None:
        """Close the file and let go of the lock; what is in it stays."""
        with suppress(sqlite3.Error, OSError):
            self._cache.close()
        if self._lock is not None:
            self._lock.release()

    def adopt(self) -> bool:
        """True when the writer is gone, and the caller holds its lock now, until `close`."""
        self._lock = self._lock or FolderLock.if_free(self.folder / WRITER_LOCK)
        return self._lock is not None

    def destroy(self) -> None:
        """Remove an adopted spool that is empty."""
        self.close()
        rmtree(self.folder, ignore_errors=True)

    def _leave_checkpoints_to_the_worker(self) -> None:
        """A checkpoint takes milliseconds, in which no click is answered. The worker makes one when it trims.

        Without a worker this writer makes them, but seldom. The log keeps the size that this gives it: an fsync of what
        was written over takes half as long as one that also makes the file longer.
        """
        with _as_unavailable():
            self._cache.reset("sqlite_wal_autocheckpoint", WRITER_CHECKPOINT_PAGES, update=False)
            self._cache.reset("sqlite_journal_size_limit", LOG_BYTES, update=False)

    def _refuse(self) -> None:
        if self._broken:
            raise StoreBroken("the spool could not be written before")
        # Measuring costs as much as writing. Between two measurements the quota may be exceeded by a few commits.
        self._since_measured += 1
        if self._full or self._since_measured >= MEASURE_EVERY:
            self._since_measured = 0
            self._full = self.volume() + self.elsewhere >= self._quota
        if self._full:
            raise SpoolFull("the spools are at their quota")

    def _read(self, call: Callable[[], T]) -> T:
        """A reader waits too: for another process that opens a dead writer's log, or closes one as the last to leave."""
        for _ in range(TRIM_TRIES):
            try:
                with _as_unavailable():
                    return call()
            except StoreUnavailable as error:
                if not _locked_by_another(error.__cause__):
                    raise
            self._pause.wait(TRIM_POLL)
        raise StoreUnavailable(LOCKED)

    @contextmanager
    def _transaction(self, poll: float, tries: int) -> Iterator[None]:
        for _ in range(tries):
            with ExitStack() as held:
                try:
                    held.enter_context(self._cache.transact())
                except Timeout:
                    self._pause.wait(poll)
                    continue
                yield
                self._commit(held)
                return
        raise StoreUnavailable(LOCKED)

    def _commit(self, held: ExitStack) -> None:
        """Leave the transaction. diskcache does not roll back a COMMIT that failed: nothing is written here any more."""
        try:
            held.close()
        except sqlite3.Error:
            self._give_up()
            raise

    def _give_up(self) -> None:
        self._broken = True
        self._cache.close()

    def _keep_alone(self, batch: list[tuple[int, bytes]], counted: dict[int, int]) -> None:
        """A commit that is one entry, as most are, is one statement: SQLite makes its transaction itself.

        Each statement hands the interpreter to the busy loop and back, several times: BEGIN and COMMIT would be two
        thirds of a commit's time.
        """
        key, value = self._entry(batch, counted)
        for _ in range(WRITER_TRIES):
            try:
                self._insert(key, value)
            except sqlite3.Error as error:
                if not _locked_by_another(error):
                    self._give_up()
                    raise
                self._pause.wait(WRITER_POLL)
            else:
                return
        raise StoreUnavailable(LOCKED)

    def _entry(self, batch: list[tuple[int, bytes]], counted: dict[int, int]) -> tuple[str, bytes]:
        """Key and value of clicks of at most a second's span, with the counts that they bring their minutes to."""
        for at_ms, _ in batch:
            minute = at_ms // MINUTE_MS
            counted[minute] = counted.get(minute, self._spooled.get(minute, 0)) + 1
        books = (self._count(at_ms // MINUTE_MS, counted) for at_ms in {batch[0][0], batch[-1][0]})
        key = f"c{batch[-1][0]:012x}-{batch[0][0]:012x}-{self._writer}-{next(self._numbers):x}"
        return key, encode_batch([*(raw for _, raw in batch), *books])

    def _keep(self, fact: Fact, raw: bytes) -> None:
        """A conversion that is there stays as it was reported first."""
        keep = self._cache.add if isinstance(fact, Conversion) else self._cache.set
        keep(_key_of(fact), raw)

    def _insert(self, key: str, value: bytes) -> None:
        """As `Cache.set` of a key that is not there yet, without asking first whether it is."""
        size, mode, filename, raw = self._cache.disk.store(value, read=False, key=key)
        columns = (None, None, size, mode, filename, raw)
        self._unsure = key
        self._cache._row_insert(key, True, 0.0, columns)  # noqa: FBT003, SLF001

    def _count(self, minute: int, counted: dict[int, int]) -> bytes:
        return encode(BookEntry(node=self._node, boot=self._boot, minute=minute, spooled=counted[minute]))

    def _newest(self, limit: int) -> list[Entry]:
        found = []
        for key in self._keys():
            entry = Entry.of(key, self._fetch(key))
            found.append(entry)
            limit -= len(entry.found.records) + len(entry.found.damaged)
            if limit <= 0:
                break
        return found

    def _entry_at(self, key: str) -> Entry:
        return Entry.of(key, self._read(lambda: self._fetch(key)))

    def _keys(self) -> Iterator[str]:
        return (key for key in self._cache.iterkeys(reverse=True) if key != FOREIGN)

    def _batches_of(self, at_ms: int) -> list[str]:
        """The keys of the batches that may hold a click of that millisecond, those that were written close to it first."""
        keys = self._keys_between(f"c{at_ms:012x}", f"c{at_ms + BATCH_SPAN_MS + 1:012x}")
        return [key for key in keys if key[14:26] <= f"{at_ms:012x}"]

    def _of_people(self, kinds: Iterable[str] = ("e", "s")) -> Iterator[tuple[str, OfPerson]]:
        for kind in kinds:
            for key in self._keys_between(kind, chr(ord(kind) + 1)):
                for record in Entry.of(key, self._fetch(key)).found.records:
                    if isinstance(record, Start | Conversion):
                        yield key, record

    def _keys_between(self, first: str, end: str) -> list[str]:
        # diskcache has no range query; its own statement function is the only way to its index.
        rows = self._cache._sql(  # noqa: SLF001
            "SELECT key FROM Cache WHERE raw = 1 AND key >= ? AND key < ? ORDER BY key", (first, end)
        ).fetchall()
        return [key for (key,) in rows if isinstance(key, str)]

    def _fetch(self, key: str) -> bytes | None:
        try:
            found: bytes | None = self._cache.get(key)
        except ValueError:
            return None
        return found


def _open(folder: Path, *, synced: bool) -> Cache:
    with _as_unavailable():
        return Cache(
            str(folder),
            timeout=0,
            disk=RawDisk,
            eviction_policy="none",
            cull_limit=0,
            statistics=0,
            tag_index=0,
            sqlite_synchronous=2 if synced else 1,
            # What is trimmed or removed is overwritten with zeros, not only unlinked (ADR 0016).
            sqlite_secure_delete=1,
        )


def remove_unopened(folder: Path) -> None:
    """Remove what an opening that failed has left, where nothing was ever written to: a disk that stays full, or a process
    without descriptors, would leave a folder at each try. Takes no descriptor itself.
    """
    with suppress(OSError):
        for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal", WRITER_LOCK):
            (folder / name).unlink(missing_ok=True)
        folder.rmdir()


def spools_under(root: Path) -> list[Path]:
    """The folders under `root` that hold a spool: one per writer."""
    return sorted(path.parent for path in root.glob(f"*/{DATABASE}"))


def open_if_there(folder: Path, open_spool: Callable[[Path], Spool]) -> Spool | None:
    """The spool, or None when it was settled and removed in the meantime."""
    try:
        return open_spool(folder)
    except StoreUnavailable:
        if (folder / DATABASE).exists():
            raise
        return None


def is_of(record: Record, telegram_id: int) -> bool:
    """Whether it is a start or a conversion that names this person."""
    return (
        isinstance(record, Start | Conversion)
        and record.owner is not None
        and record.owner.telegram_id == telegram_id
    )


def _key_of(fact: Fact) -> str:
    match fact:
        case Start():
            return "s" + fact.id.hex
        case Conversion():
            return "e" + fact.id.hex
        case BookEntry():
            return f"r{fact.minute:010d}-{fact.boot}"
        case Click():
            raise TypeError("clicks are kept in batches")


def _is_click(record: Record, click_id: UUID) -> bool:
    return isinstance(record, Click) and record.id == click_id


def _by_span(clicks: list[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Clicks in order of their time, cut where a batch would span more than a second."""
    batch: list[tuple[int, bytes]] = []
    for click in sorted(clicks):
        if batch and click[0] - batch[0][0] > BATCH_SPAN_MS:
            yield batch
            batch = []
        batch.append(click)
    if batch:
        yield batch


def _locked_by_another(error: BaseException | None) -> bool:
    # The low byte is the primary code: SQLITE_BUSY_SNAPSHOT and the like are the same to us.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, Timeout) as error:
        raise StoreUnavailable(f"the spool failed: {type(error).__name__}") from error


@contextmanager
def _as_broken() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StoreBroken(f"the spool cannot be written: {type(error).__name__}") from error
