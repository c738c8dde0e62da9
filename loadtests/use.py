"""What a measurement has cost, and whether others worked on its cores meanwhile."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from loadtests.machine import Pins


class Use:
    """How the cores are used from the moment that this is made: the server's, and that of the generator and Valkey."""

    def __init__(self, server: int, valkey: int, pins: Pins) -> None:
        self._server = server
        self._valkey = valkey
        self._pins = pins
        self._began = time.monotonic()
        self._before = self._now()

    def end(self) -> tuple[float | None, float | None]:
        """Seconds of CPU that the server took, and the share of the time that a core worked for others than us.

        Of two cores the larger share. None where the system does not tell.
        """
        own, beside, *busy = (_less(now, then) for now, then in zip(self._now(), self._before, strict=True))
        elapsed = time.monotonic() - self._began
        shares = [
            (used - (ours or 0)) / elapsed
            for used, ours in zip(busy, (own, beside), strict=True)
            if used is not None
        ]
        return own, max(0.0, *shares) if shares else None

    def _now(self) -> tuple[float | None, ...]:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        generator = sum(usage.ru_utime + usage.ru_stime for usage in usages)
        return (
            cpu_seconds(self._server),
            generator + (cpu_seconds(self._valkey) or 0),
            busy_seconds(self._pins.server),
            busy_seconds(self._pins.others),
        )


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process with all its threads; None where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_seconds(core: int | None) -> float | None:
    """What processes have used of a core, and what the machine below has withheld; interrupts not counted."""
    try:
        lines = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    except OSError:
        return None
    found = next((line for line in lines if line[0] == f"cpu{core}"), None)
    if found is None:
        return None
    user, nice, system, steal = (int(found[at]) for at in (1, 2, 3, 8))
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


def _less(now: float | None, then: float | None) -> float | None:
    return None if now is None or then is None else now - then
