"""A spy and saboteur between SQLite and its files, inside this process and below the real library.

SQLite reaches files through a table of functions, which its VFS hands out when it opens one. `install` registers a copy
of the default VFS as the new default; for files below a watched folder it hands out tables with our own write,
truncate and sync in them. All else, and every other file, goes the way it always went.

The model of a power cut: of each file the disk has what was written before its last successful fsync. Renaming,
creating and deleting are taken as durable at once, and pages that nobody synced are lost, all of them.
What other processes write is not seen.
"""

from __future__ import annotations

import _sqlite3
import atexit
import ctypes
import math
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast, string_at
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, Self

OK, IOERR, FULL, CANTOPEN = 0, 10, 13, 14
IOERR_WRITE, IOERR_FSYNC = IOERR | 3 << 8, IOERR | 4 << 8
WRITE, TRUNCATE, SYNC = "write", "truncate", "sync"
BEFORE, AFTER = "before", "after"
DATABASES, SHARED_MEMORY = (".db", ".db-wal", ".db-journal"), ".db-shm"
EVENTS_KEPT = 10_000

Kind = Literal["write", "truncate", "sync"]
Phase = Literal["before", "after"]
Hook = Callable[[Kind, Path, Phase], None]

# Names go through as addresses: SQLite keeps the pointer, and looks behind the text for parameters.
_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Delete = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_Close = CFUNCTYPE(c_int, c_void_p)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)
# Pointers in the tables of sqlite3.h: io_methods after its version, vfs after xDelete.
_IO_METHODS = {1: 12, 2: 16, 3: 18}
_VFS_REST = {1: 10, 2: 11, 3: 14}
_CLOSE, _WRITE, _TRUNCATE, _SYNC = 1, 3, 4, 5


class _Vfs(Structure):
    """sqlite3_vfs (sqlite3.h)."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
        ("rest", c_void_p * _VFS_REST[3]),
    )


class Event(NamedTuple):
    """One call of SQLite for one file. A truncation's size is what is left; `ok` is False when it was refused or failed."""

    kind: Kind
    path: Path
    offset: int
    size: int
    ok: bool


@dataclass(slots=True)
class _Shadow:
    """What the disk has of a file, and what was written since. `content` is None before the first fsync."""

    inode: int
    content: bytearray | None = None
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sync(self, path: Path, call: Callable[[], int], *, forgetful: bool = False) -> int:
        """What was written before fsync began is on disk when it has succeeded."""
        with self.lock:
            before = len(self.pending)
            code = call()
            if code == OK:
                self._apply(before, path)
            elif forgetful:
                del self.pending[:before]
        return code

    def _apply(self, count: int, path: Path) -> None:
        content = bytearray() if self.content is None else self.content
        for offset, data in self.pending[:count]:
            if data is None:
                del content[offset:]
                continue
            _grow(content, offset)
            content[offset : offset + len(data)] = data
        del self.pending[:count]
        with suppress(FileNotFoundError):  # SQLite also grows files without writing (SIZE_HINT under mmap)
            _grow(content, path.stat().st_size)
        self.content = content


def _grow(content: bytearray, size: int) -> None:
    if size > len(content):
        content.extend(bytes(size - len(content)))


@dataclass(slots=True)
class _File:
    """An open file of a watched folder."""

    watch: Watch
    path: Path
    shadow: _Shadow | None
    original: int
    table: int


class Watch:
    """What happens to SQLite's files below one folder, from `watch(folder)` to `close()`.

    on_event: called before each write, truncation and fsync, and after it succeeded, in the thread that does it. It may
    block, kill the process, or change the settings here. What it raises is kept in `errors`, and SQLite gets an error.
    fail_write: from now on writes fail as on a full disk ("full") or with EIO ("io").
    fail_sync: so many fsyncs from now on fail with EIO; `math.inf` for all. `sync_seconds`: how long each one takes.
    forgetful: a failed fsync loses what it was to sync for good, as Linux does; a later one does not bring it back.
    """

    def __init__(self, folder: Path, *, record: bool = True, remember: bool = True) -> None:
        self.folder = Path(folder).resolve()
        self.record = record
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.errors: list[BaseException] = []
        self.syncs = 0
        self.on_event: Hook | None = None
        self.fail_write: Literal["full", "io"] | None = None
        self.fail_sync: float = 0
        self.sync_seconds = 0.0
        self.forgetful = False
        self._remember = remember
        self._shadows: dict[Path, _Shadow] = {}
        self._lock = threading.Lock()
        self._pause = threading.Event()  # never set

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the files be; those that are open go on as if there had been no watch."""
        install().let_go(self)
        self._shadows = {}

    @property
    def full(self) -> bool:
        """Writes fail as on a full disk."""
        return self.fail_write == "full"

    @full.setter
    def full(self, on: bool) -> None:
        self._switch("full", on=on)

    @property
    def broken(self) -> bool:
        """Writes fail with an I/O error."""
        return self.fail_write == "io"

    @broken.setter
    def broken(self, on: bool) -> None:
        self._switch("io", on=on)

    @property
    def deaf(self) -> bool:
        """Every fsync fails with an I/O error."""
        return self.fail_sync == math.inf

    @deaf.setter
    def deaf(self, on: bool) -> None:
        self.fail_sync = math.inf if on else 0

    def lose_unsynced(self, into: Path) -> None:
        """Write the databases into another folder as a power cut now would leave them: what was not fsync'd is not there.

        A file that SQLite has not opened since the watch began is there as it is.
        """
        for path, content in self._left(power=False).items():
            _write(Path(into) / path.relative_to(self.folder), content)

    def crash(self, *, power: bool) -> Callable[[], None]:
        """The end of the process now. Call what is returned once nobody has the files open: closing tidies them up.

        Without `power` everything that was not fsync'd is lost too; with it the kernel keeps what was written.
        """
        left = self._left(power=power)

        def leave() -> None:
            for path in list(self.folder.rglob("*")):
                if path.name.endswith((*DATABASES, SHARED_MEMORY)):
                    path.unlink()
            self._shadows = {}
            for path, content in left.items():
                _write(path, content)
                self._shadows[path] = _Shadow(path.stat().st_ino, bytearray(content))

        return leave

    def _left(self, *, power: bool) -> dict[Path, bytes]:
        if not self._remember and not power:
            raise ValueError("this watch does not remember what was synced")
        found = [path for path in self.folder.rglob("*") if path.name.endswith(DATABASES)]
        contents = {path: path.read_bytes() if power else self._durable(path) for path in found}
        return {path: content for path, content in contents.items() if content is not None}

    def _durable(self, path: Path) -> bytes | None:
        shadow = self._shadows.get(path)
        if shadow is None:
            return path.read_bytes()
        with shadow.lock:
            return None if shadow.content is None else bytes(shadow.content)

    def _switch(self, how: Literal["full", "io"], *, on: bool) -> None:
        if on or self.fail_write == how:
            self.fail_write = how if on else None

    def shadow_of(self, path: Path, before: os.stat_result | None) -> _Shadow | None:
        """The shadow of a file that was just opened. One that was there before, and not made by SQLite, counts as synced."""
        if not self._remember:
            return None
        inode = path.stat().st_ino
        known = self._shadows.get(path)
        if known is None or before is None or known.inode != inode:
            content = bytearray(path.read_bytes()) if before is not None else None
            known = self._shadows[path] = _Shadow(inode, content)
        return known

    def deleted(self, path: Path) -> None:
        """The file is gone."""
        self._shadows.pop(path, None)

    def failed(self, error: BaseException) -> int:
        """Ctypes would drop the exception, and SQLite would take that for success."""
        self.errors.append(error)
        return IOERR

    def do(self, file: _File, event: tuple[Kind, int, int], data: int, call: Callable[[], int]) -> int:
        """Do what SQLite asked for, or refuse it."""
        kind, offset, size = event
        if self.on_event is not None:
            self.on_event(kind, file.path, BEFORE)
        code = self._refusal(kind)
        if code != OK:
            self._failed_sync(file, kind)
        else:
            code = self._sync(file, call) if kind == SYNC else self._change(file, event, data, call)
        if self.record:
            self.events.append(Event(kind, file.path, offset, size, code == OK))
        if code == OK and self.on_event is not None:
            self.on_event(kind, file.path, AFTER)
        return code

    def _change(self, file: _File, event: tuple[Kind, int, int], data: int, call: Callable[[], int]) -> int:
        code = call()
        if code == OK and file.shadow is not None:
            kind, offset, size = event
            change = (offset, string_at(data, size)) if kind == WRITE else (size, None)
            file.shadow.pending.append(change)
        return code

    def _sync(self, file: _File, call: Callable[[], int]) -> int:
        if self.sync_seconds:
            self._pause.wait(self.sync_seconds)
        shadow = file.shadow
        code = call() if shadow is None else shadow.sync(file.path, call, forgetful=self.forgetful)
        if code == OK:
            with self._lock:
                self.syncs += 1
        return code

    def _failed_sync(self, file: _File, kind: Kind) -> None:
        if kind == SYNC and file.shadow is not None:
            file.shadow.sync(file.path, lambda: IOERR_FSYNC, forgetful=self.forgetful)

    def _refusal(self, kind: Kind) -> int:
        if kind == WRITE and self.fail_write is not None:
            return FULL if self.fail_write == "full" else IOERR_WRITE
        if kind != SYNC or not self.fail_sync:
            return OK
        with self._lock:
            self.fail_sync = max(0, self.fail_sync - 1)
        return IOERR_FSYNC


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(content)


class SqliteFiles:
    """The VFS of this process. Connections that were opened before it was installed are not seen."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_sqlite3.__file__)  # resolves what the module itself is linked to
        self._watches: list[Watch] = []
        self._files: dict[int, _File] = {}
        self._tables: dict[int, ctypes.Array[c_void_p]] = {}
        self._kept: list[object] = []  # SQLite holds the addresses of these
        self._lock = threading.Lock()
        self._register()
        atexit.register(self._retire)

    def watch(self, folder: Path, *, record: bool = True, remember: bool = True) -> Watch:
        """Watch what is opened below a folder from now on; the newest watch of a file's folders has it.

        `record` keeps the last events. Without `remember` nobody knows what a power cut would leave, and it is faster.
        """
        made = Watch(folder, record=record, remember=remember)
        with self._lock:
            self._watches.insert(0, made)
        return made

    def let_go(self, watch: Watch) -> None:
        """Its open files get their own methods back."""
        with self._lock:
            if watch in self._watches:
                self._watches.remove(watch)
            for address, file in list(self._files.items()):
                if file.watch is watch:
                    self._restore(address, file)

    def _restore(self, address: int, file: _File) -> None:
        slot = cast(address, POINTER(c_void_p))
        if slot[0] == file.table:
            slot[0] = file.original
        del self._files[address]

    def _register(self) -> None:
        find, register = self._library.sqlite3_vfs_find, self._library.sqlite3_vfs_register
        find.restype, find.argtypes, register.argtypes = c_void_p, [c_char_p], [c_void_p, c_int]
        original = find(None)
        vfs, version = _Vfs(), min(cast(original, POINTER(c_int))[0], 3)
        ctypes.memmove(
            ctypes.addressof(vfs),
            original,
            _Vfs.rest.offset + _VFS_REST[version] * ctypes.sizeof(c_void_p),
        )
        callbacks = (
            self._opener(original, _Open(vfs.open)),
            self._deleter(original, _Delete(vfs.delete)),
        )
        self._originals = vfs.open, vfs.delete
        vfs.version, vfs.next, vfs.name = version, None, b"trilha-test"
        vfs.open, vfs.delete = (cast(callback, c_void_p).value for callback in callbacks)
        self._kept += (vfs, callbacks)
        self._vfs = vfs
        if register(ctypes.addressof(vfs), 1) != OK:
            raise RuntimeError("SQLite does not take the VFS")

    def _retire(self) -> None:
        """The interpreter ends: what is still open is closed by SQLite alone, without us.

        Its connections hold the address of the VFS, and delete their logs through it: it must outlive us.
        """
        for watch in list(self._watches):
            self.let_go(watch)
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._vfs))
        self._vfs.open, self._vfs.delete = self._originals
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._vfs))

    def _watching(self, name: int | None) -> tuple[Watch | None, Path]:
        path = Path(os.fsdecode(string_at(name)) if name else "")  # a temporary file has no name
        inside = (watch for watch in self._watches if watch.folder in path.parents)
        return next(inside, None), path

    def _opener(self, vfs: int, original: Callable[..., int]) -> object:
        def opened(_: int, name: int | None, file: int, flags: int, out: int | None) -> int:
            watch = None
            try:
                watch, path = self._watching(name)
                if watch is None:
                    return original(vfs, name, file, flags, out)
                with self._lock:
                    before = path.stat() if path.exists() else None
                    code = original(vfs, name, file, flags, out)
                    if code == OK:
                        self._take(watch, path, file, before)
                return code
            except BaseException as error:  # noqa: BLE001
                cast(file, POINTER(c_void_p))[0] = None
                return CANTOPEN if watch is None else watch.failed(error)

        return _Open(opened)

    def _take(self, watch: Watch, path: Path, file: int, before: os.stat_result | None) -> None:
        slot = cast(file, POINTER(c_void_p))
        original = slot[0]
        table = self._tables.get(original)
        if table is None:
            table = self._tables[original] = self._table(original)
        address = ctypes.addressof(table)
        self._files[file] = _File(watch, path, watch.shadow_of(path, before), original, address)
        slot[0] = address

    def _deleter(self, vfs: int, original: Callable[..., int]) -> object:
        def deleted(_: int, name: int, directory: int) -> int:
            watch = None
            try:
                watch, path = self._watching(name)
                code = original(vfs, name, directory)
                if watch is not None and code == OK:
                    watch.deleted(path)
                return code
            except BaseException as error:  # noqa: BLE001
                return IOERR if watch is None else watch.failed(error)

        return _Delete(deleted)

    def _table(self, original: int) -> ctypes.Array[c_void_p]:
        """A copy of sqlite3_io_methods with ours in it; shared memory and locks stay as they are."""
        version = min(cast(original, POINTER(c_int))[0], 3)
        size = 1 + _IO_METHODS[version]
        table = (c_void_p * size)(*cast(original, POINTER(c_void_p))[0:size])
        cast(table, POINTER(c_int))[0] = version
        callbacks = {
            _CLOSE: self._closer(_Close(table[_CLOSE])),
            _WRITE: self._writer(_Write(table[_WRITE])),
            _TRUNCATE: self._truncater(_Truncate(table[_TRUNCATE])),
            _SYNC: self._syncer(_Sync(table[_SYNC])),
        }
        for at, callback in callbacks.items():
            table[at] = cast(callback, c_void_p).value
        self._kept.append(callbacks)
        return table

    def _closer(self, original: Callable[..., int]) -> object:
        def closed(address: int) -> int:
            try:
                with self._lock:
                    self._files.pop(address, None)
            finally:
                code = original(address)
            return code

        return _Close(closed)

    def _writer(self, original: Callable[..., int]) -> object:
        files = self._files

        def written(address: int, data: int, amount: int, offset: int) -> int:
            file = files.get(address)
            if file is None:
                return original(address, data, amount, offset)
            try:
                return file.watch.do(
                    file, (WRITE, offset, amount), data, lambda: original(address, data, amount, offset)
                )
            except BaseException as error:  # noqa: BLE001
                return file.watch.failed(error)

        return _Write(written)

    def _truncater(self, original: Callable[..., int]) -> object:
        files = self._files

        def truncated(address: int, size: int) -> int:
            file = files.get(address)
            if file is None:
                return original(address, size)
            try:
                return file.watch.do(file, (TRUNCATE, 0, size), 0, lambda: original(address, size))
            except BaseException as error:  # noqa: BLE001
                return file.watch.failed(error)

        return _Truncate(truncated)

    def _syncer(self, original: Callable[..., int]) -> object:
        files = self._files

        def synced(address: int, flags: int) -> int:
            file = files.get(address)
            if file is None:
                return original(address, flags)
            try:
                return file.watch.do(file, (SYNC, 0, 0), 0, lambda: original(address, flags))
            except BaseException as error:  # noqa: BLE001
                return file.watch.failed(error)

        return _Sync(synced)


_INSTALLED: list[SqliteFiles] = []
_INSTALLING = threading.Lock()


def install() -> SqliteFiles:
    """The VFS of this process, installed once."""
    with _INSTALLING:
        if not _INSTALLED:
            _INSTALLED.append(SqliteFiles())
        return _INSTALLED[0]


def watch(folder: Path, *, record: bool = True, remember: bool = True) -> Watch:
    """Watch the files below a folder: see SqliteFiles.watch."""
    return install().watch(folder, record=record, remember=remember)
