"""The VFS of this process, registered below the real library."""

from __future__ import annotations

import _sqlite3
import atexit
import ctypes
import os
import threading
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_int, c_void_p, cast, string_at
from pathlib import Path
from typing import Any

from chaos.inside.sqlite_vfs.layout import (
    AT_CLOSE,
    AT_SYNC,
    AT_TRUNCATE,
    AT_WRITE,
    CANTOPEN,
    IO_METHODS,
    IOERR,
    OK,
    SYNC,
    TRUNCATE,
    VFS_REST,
    WRITE,
    Close,
    Delete,
    Open,
    Sync,
    Truncate,
    Vfs,
    Write,
)
from chaos.inside.sqlite_vfs.watch import OpenFile, Watch


class SqliteFiles:
    """The VFS of this process. Connections that were opened before it was installed are not seen."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_sqlite3.__file__)  # resolves what the module itself is linked to
        self._watches: list[Watch] = []
        self._files: dict[int, OpenFile] = {}
        self._tables: dict[int, ctypes.Array[c_void_p]] = {}
        self._kept: list[object] = []  # SQLite holds the addresses of these
        self._lock = threading.Lock()
        self._register()
        atexit.register(self._retire)

    def watch(self, folder: Path, *, record: bool = True, remember: bool = True) -> Watch:
        """Watch what is opened below a folder from now on; the newest watch of a file's folders has it.

        `record` keeps the last events. Without `remember` nobody knows what a power cut would leave, and it is faster.
        """
        made = Watch(folder, self.let_go, record=record, remember=remember)
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

    def _restore(self, address: int, file: OpenFile) -> None:
        slot = cast(address, POINTER(c_void_p))
        if slot[0] == file.table:
            slot[0] = file.original
        del self._files[address]

    def _register(self) -> None:
        find, register = self._library.sqlite3_vfs_find, self._library.sqlite3_vfs_register
        find.restype, find.argtypes, register.argtypes = c_void_p, [c_char_p], [c_void_p, c_int]
        original = find(None)
        vfs, version = Vfs(), min(cast(original, POINTER(c_int))[0], 3)
        ctypes.memmove(
            ctypes.addressof(vfs),
            original,
            Vfs.rest.offset + VFS_REST[version] * ctypes.sizeof(c_void_p),
        )
        callbacks = (
            self._opener(original, Open(vfs.open)),
            self._deleter(original, Delete(vfs.delete)),
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

    def _opener(self, vfs: int, original: Callable[..., int]) -> Any:
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

        return Open(opened)

    def _take(self, watch: Watch, path: Path, file: int, before: os.stat_result | None) -> None:
        slot = cast(file, POINTER(c_void_p))
        original = slot[0]
        table = self._tables.get(original)
        if table is None:
            table = self._tables[original] = self._table(original)
        address = ctypes.addressof(table)
        self._files[file] = OpenFile(watch, path, watch.shadow_of(path, before), original, address)
        slot[0] = address

    def _deleter(self, vfs: int, original: Callable[..., int]) -> Any:
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

        return Delete(deleted)

    def _table(self, original: int) -> ctypes.Array[c_void_p]:
        """A copy of sqlite3_io_methods with ours in it; shared memory and locks stay as they are."""
        version = min(cast(original, POINTER(c_int))[0], 3)
        size = 1 + IO_METHODS[version]
        table = (c_void_p * size)(*cast(original, POINTER(c_void_p))[0:size])
        cast(table, POINTER(c_int))[0] = version
        callbacks = {
            AT_CLOSE: self._closer(Close(table[AT_CLOSE] or 0)),
            AT_WRITE: self._writer(Write(table[AT_WRITE] or 0)),
            AT_TRUNCATE: self._truncater(Truncate(table[AT_TRUNCATE] or 0)),
            AT_SYNC: self._syncer(Sync(table[AT_SYNC] or 0)),
        }
        for at, callback in callbacks.items():
            table[at] = cast(callback, c_void_p).value
        self._kept.append(callbacks)
        return table

    def _closer(self, original: Callable[..., int]) -> Any:
        def closed(address: int) -> int:
            try:
                with self._lock:
                    self._files.pop(address, None)
            finally:
                code = original(address)
            return code

        return Close(closed)

    def _writer(self, original: Callable[..., int]) -> Any:
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

        return Write(written)

    def _truncater(self, original: Callable[..., int]) -> Any:
        files = self._files

        def truncated(address: int, size: int) -> int:
            file = files.get(address)
            if file is None:
                return original(address, size)
            try:
                return file.watch.do(file, (TRUNCATE, 0, size), 0, lambda: original(address, size))
            except BaseException as error:  # noqa: BLE001
                return file.watch.failed(error)

        return Truncate(truncated)

    def _syncer(self, original: Callable[..., int]) -> Any:
        files = self._files

        def synced(address: int, flags: int) -> int:
            file = files.get(address)
            if file is None:
                return original(address, flags)
            try:
                return file.watch.do(file, (SYNC, 0, 0), 0, lambda: original(address, flags))
            except BaseException as error:  # noqa: BLE001
                return file.watch.failed(error)

        return Sync(synced)


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
