"""Crash: the process sends itself SIGKILL at a named point, the so many-th time that it gets there.

    before_write              SQLite is about to write to a spool's log (several writes make a commit)
    after_write               a commit is written to a spool's log, and not yet fsync'd
    after_fsync               a spool's log is fsync'd, and nobody was told yet
    after_302                 a redirect was handed to the kernel
    after_commit_before_trim  a batch is committed to SQL and still in its spool
    bot_after_upsert          a start is committed to SQL, and not yet answered
    relay_after_send          a destination has taken a batch, and the outbox does not know it yet

Models kill -9, the OOM killer and a fault of the interpreter. What the process has written the kernel keeps: it is no power
cut (disk.py has that).
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.inside.patch import replace
from chaos.inside.process import Process
from chaos.inside.sqlite_vfs import AFTER, BEFORE, SYNC, WRITE, Kind, Phase, Watch

LOG = "cache.db-wal"
ON_LOG = {(WRITE, BEFORE): "before_write", (SYNC, BEFORE): "after_write", (SYNC, AFTER): "after_fsync"}
AFTER_302, BEFORE_TRIM = "after_302", "after_commit_before_trim"
AFTER_UPSERT, AFTER_SEND = "bot_after_upsert", "relay_after_send"
POINTS = (*ON_LOG.values(), AFTER_302, BEFORE_TRIM, AFTER_UPSERT, AFTER_SEND)
REDIRECT = b"HTTP/1.1 302"


def die() -> None:
    """As kill -9 does it."""
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Calls `then` when the armed point was passed so many times, and once only. Off until it is armed."""

    def __init__(self, then: Callable[[], None] = die) -> None:
        self._then = then
        self._lock = threading.Lock()
        self._point: str | None = None
        self._left = 0

    def arm(self, point: str | None, count: int = 1) -> None:
        """Count from here on; None: no more. ValueError when there is no such point."""
        if point is not None and (point not in POINTS or count < 1):
            raise ValueError(f"no such point: {point}, {count} times; there are {', '.join(POINTS)}")
        with self._lock:
            self._point, self._left = point, count

    def passed(self, point: str) -> None:
        """It was passed once more."""
        with self._lock:
            if point != self._point:
                return
            self._left -= 1
            last = self._left == 0
        if last:
            self._then()


class Crash:
    """Passes every point of the product's that is listed above."""

    def __init__(self, process: Process) -> None:
        self._countdown = Countdown()
        on_log(process.spools, self._countdown)
        _on_redirects(self._countdown)
        _on_calls(self._countdown)

    def on(self, *, point: str, count: int = 1) -> None:
        """Die at the `count`-th time from now on."""
        self._countdown.arm(point, count)

    def off(self) -> None:
        """Live on."""
        self._countdown.arm(None)


class CountedTransport:
    """A connection's transport whose writes of redirects count."""

    def __init__(self, transport: Any, countdown: Countdown) -> None:
        self._transport = transport
        self._countdown = countdown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Uvloop hands it to the kernel at the end of this turn of the loop: it counts in the next one."""
        self._transport.write(data)
        if bytes(data[: len(REDIRECT)]) == REDIRECT:
            asyncio.get_running_loop().call_soon(self._countdown.passed, AFTER_302)


def on_log(watch: Watch, countdown: Countdown) -> None:
    """Count what is written to, and synced of, the logs below the watched folder."""

    def happened(kind: Kind, path: Path, phase: Phase) -> None:
        point = ON_LOG.get((kind, phase))
        if point is not None and path.name == LOG:
            countdown.passed(point)

    watch.on_event = happened


def _on_redirects(countdown: Countdown) -> None:
    from daemon.edge import CappedProtocol

    def counted(made: Any) -> Any:
        def connection_made(protocol: Any, transport: Any) -> None:
            made(protocol, CountedTransport(transport, countdown))

        return connection_made

    replace(CappedProtocol, "connection_made", counted)


def _on_calls(countdown: Countdown) -> None:
    from backends.spool import Spool
    from backends.sql.ledger import SqlLedger
    from delivery.marks import Marks

    def before(point: str) -> Callable[[Any], Any]:
        def counted(original: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                countdown.passed(point)
                return original(*args, **kwargs)

            return call

        return counted

    def after(point: str) -> Callable[[Any], Any]:
        def counted(original: Any) -> Any:
            async def call(*args: Any, **kwargs: Any) -> Any:
                result = await original(*args, **kwargs)
                countdown.passed(point)
                return result

            return call

        return counted

    replace(Spool, "trim", before(BEFORE_TRIM))
    replace(Marks, "sent", before(AFTER_SEND))
    replace(SqlLedger, "record_start", after(AFTER_UPSERT))
