"""Stall: the event loop does nothing for a while, again and again.

Models a long garbage collection, a slow call made on the loop, or a machine that gives the process no processor. The
threads of the process go on meanwhile, which they would not on a frozen machine: for that there is SIGSTOP.
"""

from __future__ import annotations

import threading
import time

from chaos.inside.process import Process


class Stall:
    """Blocks the loop for `ms` every `every_s` seconds while it is on."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._over = threading.Event()
        process.catch_loop()

    def on(self, *, ms: float, every_s: float = 1.0) -> None:
        """The first stall begins at once."""
        self._over = threading.Event()
        threading.Thread(target=self._stall, args=(self._over, ms / 1000, every_s), daemon=True).start()

    def off(self) -> None:
        """One that has begun ends in its time."""
        self._over.set()

    def _stall(self, over: threading.Event, seconds: float, every: float) -> None:
        loop = self._process.loop()
        while not over.is_set() and not loop.is_closed():
            loop.call_soon_threadsafe(time.sleep, seconds)
            over.wait(every)
