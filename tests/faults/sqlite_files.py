"""A spy and saboteur between SQLite and its files, inside this process and below the real library.

SQLite reaches files through a table of functions. `watch` puts ours in front of it for the files below one folder:
they count and may refuse every write, fsync and truncation, and remember what each file held at its last fsync, which
is what a power cut would leave of it.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import threading
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p, cast
from pathlib import Path

OK, IOERR = 0, 10
IOERR_WRITE, IOERR_FSYNC, FULL = IOERR | 3 << 8, IOERR | 4 << 8, 13
METHODS_BY_VERSION = {1: 12, 2: 16, 3: 18}
SYNC, WRITE, TRUNCATE = "sync", "write", "truncate"
Hook = Callable[[str, str, str], None]
"""Called with the kind, the file's path, and `before` or `after`."""

# Names go through as addresses: SQLite keeps the pointer, and looks behind the text for parameters.
_Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_Delete = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
_Sync = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(Structure):
    """sqlite3_vfs, as far as it is needed (sqlite3.h)."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", c_void_p),
        ("delete", c_void_p),
    )


class Watch:
    """What happens to the files of one folder. `full`, `broken` and `deaf` make writes and fsyncs fail from now on.

    full: writes fail as on a full disk. broken: writes fail with an I/O error. deaf: fsync fails with one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.resolve()) + "/"
        self.syncs = 0
        self.full = self.broken = self.deaf = False
        self.hook: Hook | None = None
        self._synced: dict[str, bytes] = {}

    def close(self) -> None:
        """Let the files be."""
        _WATCHES.remove(self)

    def crash(self, *, power: bool) -> Callable[[], None]:
        """The end of the process now. Call what is returned once nobody has the files open: closing tidies them up.

        Without `power` everything that was not fsync'd is lost too; with it the kernel keeps what was written.
        """
        folder = Path(self.folder)
        files = [path for path in folder.rglob("cache.db*") if not path.name.endswith("-shm")]
        left = {path: path.read_bytes() for path in files if power or str(path) in self._synced}
        if not power:
            left = {path: self._synced[str(path)] for path in left}

        def leave() -> None:
            for path in folder.rglob("cache.db*"):
                path.unlink()
            self._synced = {str(path): content for path, content in left.items()}
            for path, content in left.items():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.write_bytes(content)

        return leave

    def opened(self, path: str) -> None:
        """A file that was there before counts as synced, as it is."""
        found = Path(path)
        if path not in self._synced and found.exists() and found.stat().st_size:
            self._synced[path] = found.read_bytes()

    def deleted(self, path: str) -> None:
        """The file is gone."""
        self._synced.pop(path, None)

    def around(self, kind: str, path: str, call: Callable[[], int]) -> int:
        """Do what SQLite asked for, or refuse it."""
        refused = self._refusal(kind)
        if refused:
            return refused
        if self.hook is not None:
            self.hook(kind, path, "before")
        code = call()
        if kind == SYNC and code == OK:
            self.syncs += 1
            self._synced[path] = Path(path).read_bytes()
        if self.hook is not None:
            self.hook(kind, path, "after")
        return code

    def _refusal(self, kind: str) -> int:
        if kind == SYNC:
            return IOERR_FSYNC if self.deaf else OK
        return FULL if self.full else IOERR_WRITE if self.broken else OK


_WATCHES: list[Watch] = []
_LOCK = threading.Lock()
_paths: dict[int, tuple[Watch, str]] = {}
_kept: list[object] = []


def watch(folder: Path) -> Watch:
    """Watch the files below a folder. Connections that were opened before are not seen."""
    with _LOCK:
        if not _kept:
            _install()
        found = Watch(folder)
        _WATCHES.append(found)
        return found


def _watching(path: str) -> Watch | None:
    return next((found for found in _WATCHES if path.startswith(found.folder)), None)


def _install() -> None:
    library = ctypes.CDLL(_sqlite3.__file__)  # resolves what the module itself is linked to
    library.sqlite3_vfs_find.restype = c_void_p
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    vfs = cast(library.sqlite3_vfs_find(None), POINTER(_Vfs)).contents
    open_file, delete_file = _Open(vfs.open), _Delete(vfs.delete)
    tables: dict[int, ctypes.Array[c_void_p]] = {}

    def opened(self: int, name: int | None, file: int, flags: int, out: int | None) -> int:
        path = ctypes.string_at(name).decode() if name else ""
        found = _watching(path)
        if found is not None:
            found.opened(path)
        code: int = open_file(self, name, file, flags, out)
        slot = cast(file, POINTER(c_void_p))
        if code == OK and slot[0] and found is not None:
            table = tables.get(slot[0]) or tables.setdefault(slot[0], _table(slot[0]))
            _paths[file] = (found, path)
            slot[0] = ctypes.addressof(table)
        return code

    def deleted(self: int, name: int, directory: int) -> int:
        path = ctypes.string_at(name).decode()
        found = _watching(path)
        if found is not None:
            found.deleted(path)
        return int(delete_file(self, name, directory))

    callbacks = (_Open(opened), _Delete(deleted))
    vfs.open, vfs.delete = (cast(callback, c_void_p) for callback in callbacks)
    _kept.extend((library, open_file, delete_file, callbacks, tables))


def _table(original: int) -> ctypes.Array[c_void_p]:
    """A copy of sqlite3_io_methods with our write, truncate and sync in it."""
    version = cast(original, POINTER(c_int))[0]
    size = 1 + METHODS_BY_VERSION[min(version, 3)]
    table = (c_void_p * size)(*cast(original, POINTER(c_void_p))[0:size])
    write, truncate, sync = _Write(table[3]), _Truncate(table[4]), _Sync(table[5])

    def written(file: int, data: int, amount: int, offset: int) -> int:
        return _around(WRITE, file, lambda: write(file, data, amount, offset))

    def truncated(file: int, size: int) -> int:
        return _around(TRUNCATE, file, lambda: truncate(file, size))

    def synced(file: int, flags: int) -> int:
        return _around(SYNC, file, lambda: sync(file, flags))

    callbacks = (_Write(written), _Truncate(truncated), _Sync(synced))
    table[3], table[4], table[5] = (cast(callback, c_void_p).value for callback in callbacks)
    _kept.append(callbacks)
    return table


def _around(kind: str, file: int, call: Callable[[], int]) -> int:
    found, path = _paths[file]
    try:
        return found.around(kind, path, call)
    except Exception:  # noqa: BLE001  ctypes would swallow it, and SQLite would take that for success
        return IOERR
