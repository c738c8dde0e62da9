"""Clock: the wall clock of the process jumps, forwards or back.

Models a clock that is set while the process runs: by NTP after a long time without it, by hand, by a virtual machine
that is woken. The monotonic clock goes on as ever, as the kernel promises. What others read of the time is not moved:
Redis' TTLs, SQL's own now(), the times of files, the log's own stamps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.inside.patch import replace
from chaos.inside.process import Process
from domain.clock import SystemClock


class Clock:
    """Adds seconds to what SystemClock says of the wall clock."""

    def __init__(self, _: Process) -> None:
        self._ms = 0
        replace(SystemClock, "now_ms", self._moved)

    def on(self, *, seconds: float) -> None:
        """From now on it is so much later; earlier, when negative."""
        self._ms = round(seconds * 1000)

    def off(self) -> None:
        """It jumps back to what it would be."""
        self._ms = 0

    def _moved(self, now_ms: Callable[[Any], int]) -> Callable[[Any], int]:
        return lambda clock: now_ms(clock) + self._ms
