"""A watch over the files of one folder: what happened to them, what fails, and what a power cut would leave."""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable
from ctypes import string_at
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from chaos.inside.sqlite_vfs.layout import (
    AFTER,
    BEFORE,
    FULL,
    IOERR,
    IOERR_FSYNC,
    IOERR_WRITE,
    OK,
    SYNC,
    WRITE,
    Event,
    Hook,
    Kind,
)
from chaos.inside.sqlite_vfs.shadow import Shadow

DATABASES, SHARED_MEMORY = (".db", ".db-wal", ".db-journal"), ".db-shm"
EVENTS_KEPT = 10_000


@dataclass(slots=True)
class OpenFile:
    """An open file of a watched folder."""

    watch: Watch
    path: Path
    shadow: Shadow | None
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

    def __init__(
        self, folder: Path, let_go: Callable[[Watch], None], *, record: bool = True, remember: bool = True
    ) -> None:
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
        self._let_go = let_go
        self._remember = remember
        self._shadows: dict[Path, Shadow] = {}
        self._lock = threading.Lock()
        self._pause = threading.Event()  # never set

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the files be; those that are open go on as if there had been no watch."""
        self._let_go(self)
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
                self._shadows[path] = Shadow(path.stat().st_ino, bytearray(content))

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

    def shadow_of(self, path: Path, before: os.stat_result | None) -> Shadow | None:
        """The shadow of a file that was just opened. One that was there before, and not made by SQLite, counts as synced."""
        if not self._remember:
            return None
        inode = path.stat().st_ino
        known = self._shadows.get(path)
        if known is None or before is None or known.inode != inode:
            content = bytearray(path.read_bytes()) if before is not None else None
            known = self._shadows[path] = Shadow(inode, content)
        return known

    def deleted(self, path: Path) -> None:
        """The file is gone."""
        self._shadows.pop(path, None)

    def failed(self, error: BaseException) -> int:
        """Ctypes would drop the exception, and SQLite would take that for success."""
        self.errors.append(error)
        return IOERR

    def do(self, file: OpenFile, event: tuple[Kind, int, int], data: int, call: Callable[[], int]) -> int:
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

    def _change(
        self, file: OpenFile, event: tuple[Kind, int, int], data: int, call: Callable[[], int]
    ) -> int:
        code = call()
        if code == OK and file.shadow is not None:
            kind, offset, size = event
            change = (offset, string_at(data, size)) if kind == WRITE else (size, None)
            file.shadow.pending.append(change)
        return code

    def _sync(self, file: OpenFile, call: Callable[[], int]) -> int:
        if self.sync_seconds:
            self._pause.wait(self.sync_seconds)
        shadow = file.shadow
        code = call() if shadow is None else shadow.sync(file.path, call, forgetful=self.forgetful)
        if code == OK:
            with self._lock:
                self.syncs += 1
        return code

    def _failed_sync(self, file: OpenFile, kind: Kind) -> None:
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
