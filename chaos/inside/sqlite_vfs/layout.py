"""SQLite's tables of functions (sqlite3.h), and the words for what is asked of a file."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CFUNCTYPE, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Final, Literal, NamedTuple

OK, IOERR, FULL, CANTOPEN = 0, 10, 13, 14
IOERR_WRITE, IOERR_FSYNC = IOERR | 3 << 8, IOERR | 4 << 8
WRITE: Final = "write"
TRUNCATE: Final = "truncate"
SYNC: Final = "sync"
BEFORE: Final = "before"
AFTER: Final = "after"

Kind = Literal["write", "truncate", "sync"]
Phase = Literal["before", "after"]
Hook = Callable[[Kind, Path, Phase], None]

# Names go through as addresses: SQLite keeps the pointer, and looks behind the text for parameters.
Open = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
Delete = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
Close = CFUNCTYPE(c_int, c_void_p)
Write = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
Truncate = CFUNCTYPE(c_int, c_void_p, c_int64)
Sync = CFUNCTYPE(c_int, c_void_p, c_int)
# Pointers in the tables of sqlite3.h: io_methods after its version, vfs after xDelete.
IO_METHODS = {1: 12, 2: 16, 3: 18}
VFS_REST = {1: 10, 2: 11, 3: 14}
AT_CLOSE, AT_WRITE, AT_TRUNCATE, AT_SYNC = 1, 3, 4, 5


class Vfs(Structure):
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
        ("rest", c_void_p * VFS_REST[3]),
    )


class Event(NamedTuple):
    """One call of SQLite for one file. A truncation's size is what is left; `ok` is False when it was refused or failed."""

    kind: Kind
    path: Path
    offset: int
    size: int
    ok: bool
