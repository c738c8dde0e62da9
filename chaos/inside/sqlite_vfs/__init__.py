"""A spy and saboteur between SQLite and its files, inside this process and below the real library.

SQLite reaches files through a table of functions, which its VFS hands out when it opens one. `install` registers a copy
of the default VFS as the new default; for files below a watched folder it hands out tables with our own write,
truncate and sync in them. All else, and every other file, goes the way it always went.

The model of a power cut: of each file the disk has what was written before its last successful fsync. Renaming,
creating and deleting are taken as durable at once, and pages that nobody synced are lost, all of them.
What other processes write is not seen.
"""

from chaos.inside.sqlite_vfs.files import SqliteFiles, install, watch
from chaos.inside.sqlite_vfs.layout import AFTER, BEFORE, SYNC, TRUNCATE, WRITE, Event, Hook, Kind, Phase
from chaos.inside.sqlite_vfs.watch import Watch

__all__ = [
    "AFTER",
    "BEFORE",
    "SYNC",
    "TRUNCATE",
    "WRITE",
    "Event",
    "Hook",
    "Kind",
    "Phase",
    "SqliteFiles",
    "Watch",
    "install",
    "watch",
]
