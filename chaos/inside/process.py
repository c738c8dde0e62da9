"""What faults find in the process that they live in."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from chaos.inside.patch import replace
from chaos.inside.sqlite_vfs import Watch, watch
from runtime import lifecycle
from runtime.settings import Settings, load_settings

SQLITE = "sqlite+aiosqlite:///"


class Fault(Protocol):
    """One kind of fault, off when it is made. `on` takes the settings of its switch; `off` may be called when it is off."""

    @property
    def on(self) -> Callable[..., None]: ...

    def off(self) -> None: ...


class Process:
    """This process, before its command begins. `remember`: what was written and not fsync'd is known (see Watch)."""

    def __init__(self, *, remember: bool = False) -> None:
        self._remember = remember
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_loop = threading.Event()

    @cached_property
    def settings(self) -> Settings:
        """Those that the command will read too."""
        return load_settings()

    @cached_property
    def spools(self) -> Watch:
        """The files of every spool, as this process writes them."""
        _ = self.sql  # first: of two watches over a file the newer one has it
        return self._watch(self.settings.spools)

    @cached_property
    def sql(self) -> Watch | None:
        """The SQLite files in the folder of the SQL database; None on another server."""
        url = self.settings.sql
        return self._watch(Path(url.removeprefix(SQLITE)).parent) if url.startswith(SQLITE) else None

    def catch_loop(self) -> None:
        """The event loop of the command will be known as soon as it runs. The command must not be loaded yet."""
        if "cli.processes" in sys.modules:
            raise RuntimeError("the command has taken the genuine stop_on_signals already")

        def caught(stop_on_signals: Any) -> Any:
            def called() -> asyncio.Event:
                self._loop = asyncio.get_running_loop()
                self._has_loop.set()
                stop: asyncio.Event = stop_on_signals()
                return stop

            return called

        replace(lifecycle, "stop_on_signals", caught)

    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop; waits until there is one."""
        self._has_loop.wait()
        if self._loop is None:
            raise RuntimeError("catch_loop was not called")
        return self._loop

    def _watch(self, folder: Path) -> Watch:
        return watch(folder, record=False, remember=self._remember)
