"""Disk: SQLite's files cannot be written, or synced, or only slowly; or the power goes.

Models a full disk (`write="full"`), a failing one (`write="io"`, `sync="io"`: as on Linux, pages whose fsync failed are
forgotten, and the next fsync says nothing of them), a slow one (`sync_ms`), and a power cut (`power=True`): the process is
gone at once, and of each file the disk has what was fsync'd.

It cannot say what a power cut does to files that another process writes: that one must write nothing from the moment on at
which this process has opened them, and be killed before anybody opens them again. So kill the worker, and let the daemon
begin with a fresh spool. Directories are taken for durable, and pages are lost whole. Files that are not SQLite's, such as
the copy of the catalog, are written as ever.
"""

from __future__ import annotations

import math
import os
import signal
import threading
from typing import Literal

from chaos.inside.process import Process
from chaos.inside.sqlite_vfs import Watch


class Disk:
    """Of the spools (`of="spool"`), or of the SQLite file that is the SQL database (`of="sql"`)."""

    def __init__(self, process: Process) -> None:
        self._spools = process.spools
        self._sql = process.sql

    def on(
        self,
        *,
        of: Literal["spool", "sql"] = "spool",
        write: Literal["full", "io"] | None = None,
        sync: Literal["io"] | None = None,
        sync_ms: float = 0.0,
        power: bool = False,
    ) -> None:
        """ValueError when there is no such file here, or when nothing was remembered (`disk:power`)."""
        watch = self._watch(of)
        if power:
            _cut_power(watch)
        watch.fail_write = write
        watch.fail_sync = 0 if sync is None else math.inf
        watch.forgetful = sync is not None
        watch.sync_seconds = sync_ms / 1000

    def off(self) -> None:
        """Both disks are well."""
        for watch in filter(None, (self._spools, self._sql)):
            watch.fail_write, watch.fail_sync, watch.sync_seconds, watch.forgetful = None, 0, 0.0, False

    def _watch(self, of: str) -> Watch:
        watch = {"spool": self._spools, "sql": self._sql}.get(of)
        if watch is None:
            raise ValueError(f"there is no disk of {of} here")
        return watch


def _cut_power(watch: Watch) -> None:
    """From here on nothing is written, and nobody hears of what was synced: then the files, then the end."""
    watch.crash(power=False)  # raises if nothing was remembered, while the process can still go on
    still = threading.Event()  # never set

    def stop_here(*_: object) -> None:
        still.wait()

    watch.on_event = stop_here
    watch.crash(power=False)()
    os.kill(os.getpid(), signal.SIGKILL)
