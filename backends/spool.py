"""Spool: the disk tier seen as a queue, on diskcache. What is in it is acknowledged and not yet in SQL.

Keys sort by kind, then by time:   b… spooled counts   c… clicks   r… receipts   s… starts
One writing process per spool (a lock); the settling worker reads and trims it from its own process. Records leave
only through `trim`, after they are in SQL: nothing is evicted (I13).
"""

import errno
import fcntl
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Event
from typing import IO, Any

from diskcache import Cache, Disk, Timeout
from diskcache.core import MODE_RAW

from backends.codec import encode
from domain.attribution import Start
from domain.books import MINUTE_MS, BookEntry
from domain.click import Click
from domain.errors import ConfigError, SpoolFull, StoreUnavailable

DATABASE = "cache.db"
# SQLite waits for a lock in growing sleeps, too coarse for a redirect. The writer asks again every 0.3 ms; trimming
# asks seldom and pauses between its chunks, so that the writer always goes first.
WRITER_POLL, WRITER_TRIES = 0.0003, 6000
TRIM_POLL, TRIM_TRIES = 0.004, 500
TRIM_CHUNK = 32
TRIM_PAUSE = 0.004
FOREIGN = "!"
Fact = Click | Start | BookEntry


class RawDisk(Disk):  # type: ignore[misc]
    """Takes str keys and bytes values only, and refuses every other row, planted ones included (CVE-2025-69872)."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """The key as it is."""
        if not isinstance(key, str):
            raise TypeError("keys are str")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        """The key as it is; a planted one is never unpickled, and `_keys` passes over it."""
        return key if raw and isinstance(key, str) else FOREIGN

    def store(self, value: Any, read: Any, key: Any = None) -> tuple[int, int, None, Any]:  # noqa: ARG002
        """The bytes, in the row itself, whatever their length."""
        if read or not isinstance(value, bytes):
            raise TypeError("values are bytes")
        return 0, MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> bytes:
        """The bytes of a raw row; anything else is not ours."""
        if mode != MODE_RAW or filename is not None or read or not isinstance(value, bytes | memoryview):
            raise ValueError("not a record of ours")
        return bytes(value)

    def remove(self, file_path: Any) -> None:
        """Nothing: no record of ours lies in a file, and a planted row must not name one to delete."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as it lies in the spool. `raw` is None when the row is not one we wrote."""

    key: str
    raw: bytes | None


class Spool:
    """One diskcache folder. All calls of one Spool come from one thread."""

    def __init__(self, folder: Path, *, quota: int, synced: bool, node: int = 0, boot: str = "") -> None:
        self._quota = quota
        self._node = node
        self._boot = boot
        self._spooled: dict[int, int] = {}
        self._folder = private_folder(folder)
        self._synchronous = 2 if synced else 1
        self._pause = Event()  # never set: waiting for it is how this thread sleeps
        with _as_unavailable():
            self._cache = Cache(
                str(folder),
                timeout=0,
                disk=RawDisk,
                eviction_policy="none",
                cull_limit=0,
                statistics=0,
                tag_index=0,
                sqlite_synchronous=self._synchronous,
            )

    def append(self, records: Sequence[tuple[Fact, bytes]]) -> None:
        """Keep all in one transaction, or raise StoreUnavailable and keep none. A fact that is there stays (I7)."""
        if self.volume() >= self._quota:
            raise SpoolFull("the spool is at its quota")
        counted: dict[int, int] = {}
        with _as_unavailable(), self._transaction(WRITER_POLL, WRITER_TRIES):
            for fact, raw in records:
                self._keep(fact, raw, counted)
            for minute, spooled in counted.items():
                entry = BookEntry(node=self._node, boot=self._boot, minute=minute, spooled=spooled)
                self._cache.set(f"b{minute:010d}:{self._boot}", encode(entry))
        # Every minute of this boot is remembered: the ring may bring a click of an old one, whose count must grow.
        self._spooled.update(counted)

    def get(self, key: str) -> bytes | None:
        """The bytes of one record, or None."""
        with _as_unavailable():
            found: bytes | None = self._cache.get(key)
            return found

    def newest(self, limit: int) -> list[Entry]:
        """Up to `limit` entries: starts, receipts, then clicks from the newest on, then counts."""
        with _as_unavailable():
            return [Entry(key, self._fetch(key)) for key in islice(self._keys(), limit)]

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

    def remove(self, key: str) -> None:
        """Take one record out: a discarded click, or a damaged record that was set aside."""
        with _as_unavailable(), self._transaction(TRIM_POLL, TRIM_TRIES):
            self._cache.delete(key)

    def set_aside(self, entry: Entry) -> None:
        """Move a record that cannot be settled to `aside/`, for inspection; it no longer blocks the others."""
        with _as_unavailable():
            aside = private_folder(self._folder / "aside")
            (aside / f"{entry.key.replace('/', '_')}.bin").write_bytes(entry.raw or b"")
        self.remove(entry.key)

    def probe(self) -> None:
        """A real write."""
        if self.volume() >= self._quota:
            raise SpoolFull("the spool is at its quota")
        with _as_unavailable(), self._transaction(WRITER_POLL, WRITER_TRIES):
            self._cache.set("~probe", b"")
            self._cache.delete("~probe")

    def keys(self, prefix: str) -> list[str]:
        """The keys of one kind."""
        with _as_unavailable():
            return [key for key in self._keys() if key.startswith(prefix)]

    def __len__(self) -> int:
        """How many records wait."""
        with _as_unavailable():
            return len(self._cache)

    def volume(self) -> int:
        """Bytes on disk."""
        with _as_unavailable():
            return int(self._cache.volume())

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._cache.close()

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
        raise StoreUnavailable("the spool is locked by another process")

    def _commit(self, held: ExitStack) -> None:
        """Leave the transaction. diskcache does not roll back a COMMIT that failed: that connection is never used again."""
        try:
            held.close()
        except sqlite3.Error:
            self._cache.close()
            # The next connection keeps this writer's promise, whatever another process has left in the file.
            self._cache.reset("sqlite_synchronous", self._synchronous, update=False)
            raise

    def _keep(self, fact: Fact, raw: bytes, counted: dict[int, int]) -> None:
        """Write one record; a new click is counted in its minute."""
        if isinstance(fact, BookEntry):
            self._cache.set(key_of(fact), raw)
        elif self._cache.add(key_of(fact), raw) and isinstance(fact, Click):
            minute = fact.at_ms // MINUTE_MS
            counted[minute] = counted.get(minute, self._spooled.get(minute, 0)) + 1

    def _keys(self) -> Iterator[str]:
        return (key for key in self._cache.iterkeys(reverse=True) if key != FOREIGN)

    def _fetch(self, key: str) -> bytes | None:
        try:
            found: bytes | None = self._cache.get(key)
        except ValueError:
            return None
        return found


class SpoolLock:
    """Held by the process that writes a spool (or settles it) for as long as it lives; freed by its death."""

    def __init__(self, path: Path, holder: str, setting: str = "TRILHA_SPOOL_DIR") -> None:
        private_folder(path.parent)
        self._file: IO[str] = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            msg = f"{path.parent} is in use by another {holder}. Stop it, or give this one its own {setting}"
            raise ConfigError(msg) from None

    def release(self) -> None:
        """Let another process have it."""
        self._file.close()


def key_of(fact: Fact) -> str:
    """Where a fact lies in the spool."""
    match fact:
        case Click():
            return "c" + fact.id.hex
        case Start():
            return "s" + fact.id.hex
        case BookEntry():
            return f"r{fact.minute:010d}:{fact.boot}"


def spools_under(root: Path) -> list[Path]:
    """The folders under `root` that hold a spool: one per writer."""
    return sorted(path.parent for path in root.glob(f"*/{DATABASE}"))


def private_folder(path: Path) -> Path:
    """A folder of ours alone: made 0700; ConfigError when it is a link, another user's, or open to others."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTDIR, errno.ELOOP}:
            raise ConfigError(f"{path} is not a folder") from None
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{path} must be a folder of this user's, not a link or another's")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{path} is open to others. Mend it with: chmod 700 {path}")
    return path


@contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError, Timeout) as error:
        raise StoreUnavailable(f"the spool failed: {type(error).__name__}") from error
