"""Run a command of Trilha that kills itself at a named point: `python -m chaos.inside.crash POINT COUNT -- serve`.

Counting starts once the file exists that the environment variable CRASH_TRIGGER names; without it, at once. At the
COUNT-th occurrence of POINT the process sends itself SIGKILL:

    before_write              SQLite is about to write to a spool's log (several writes make a commit)
    after_write               a commit is written to a spool's log, and not yet fsync'd
    after_fsync               a spool's log is fsync'd, and nobody was told yet
    after_302                 a redirect was handed to the kernel
    after_commit_before_trim  a batch is committed to SQL and still in its spool
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chaos.inside.sqlite_vfs import AFTER, BEFORE, SYNC, WRITE, Kind, Phase, watch

LOG = "cache.db-wal"
ON_LOG = {"before_write": (WRITE, BEFORE), "after_write": (SYNC, BEFORE), "after_fsync": (SYNC, AFTER)}
AFTER_302, BEFORE_TRIM = "after_302", "after_commit_before_trim"
POINTS = (*ON_LOG, AFTER_302, BEFORE_TRIM)
REDIRECT = b"HTTP/1.1 302"


def die() -> None:
    """As kill -9 does it."""
    os.kill(os.getpid(), signal.SIGKILL)


class Counter:
    """Calls `then` at the `count`-th occurrence after the trigger exists, and once only."""

    def __init__(self, count: int, trigger: Path | None, then: Callable[[], None] = die) -> None:
        self._left = count
        self._trigger = trigger
        self._then = then
        self._lock = threading.Lock()

    def occurred(self) -> None:
        """It happened once more."""
        with self._lock:
            if not self._armed():
                return
            self._left -= 1
            last = self._left == 0
        if last:
            self._then()

    def _armed(self) -> bool:
        if self._trigger is not None and self._trigger.exists():
            self._trigger = None
        return self._trigger is None


class CountedTransport:
    """A connection's transport whose writes of redirects count."""

    def __init__(self, transport: Any, counter: Counter) -> None:
        self._transport = transport
        self._counter = counter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Uvloop hands it to the kernel at the end of this turn of the loop: it counts in the next one."""
        self._transport.write(data)
        if bytes(data[: len(REDIRECT)]) == REDIRECT:
            asyncio.get_running_loop().call_soon(self._counter.occurred)


def arm(point: str, count: int, trigger: Path | None, then: Callable[[], None] = die) -> None:
    """From now on this process calls `then` at that point; for stores and servers that are opened later."""
    counter = Counter(count, trigger, then)
    if point in ON_LOG:
        _on_log(ON_LOG[point], counter)
    elif point == AFTER_302:
        _on_redirects(counter)
    else:
        _on_trim(counter)


def _on_log(wanted: tuple[str, str], counter: Counter) -> None:
    def happened(kind: Kind, path: Path, phase: Phase) -> None:
        if (kind, phase) == wanted and path.name == LOG:
            counter.occurred()

    watch(Path("/"), record=False, remember=False).on_event = happened


def _on_redirects(counter: Counter) -> None:
    from daemon import edge

    made: Any = edge.CappedProtocol.connection_made

    def connection_made(self: Any, transport: Any) -> None:
        made(self, CountedTransport(transport, counter))

    edge.CappedProtocol.connection_made = connection_made  # type: ignore[method-assign]


def _on_trim(counter: Counter) -> None:
    from backends.spool import Spool

    trim = Spool.trim

    def counted(self: Spool, *args: Any, **kwargs: Any) -> None:
        counter.occurred()
        trim(self, *args, **kwargs)

    Spool.trim = counted  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Arm, and be the `trilha` command from here on."""
    if len(arguments) < 4 or arguments[0] not in POINTS or not arguments[1].isdigit() or arguments[2] != "--":
        sys.exit(f"usage: python -m chaos.inside.crash {{{','.join(POINTS)}}} COUNT -- COMMAND ...")
    point, count, _, *command = arguments
    trigger = os.environ.get("CRASH_TRIGGER")
    arm(point, int(count), Path(trigger) if trigger else None)
    from cli.main import run

    sys.argv = ["trilha", *command]
    run()


if __name__ == "__main__":
    main(sys.argv[1:])
