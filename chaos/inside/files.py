"""Files: the process may open no more files and accept no more connections (EMFILE).

Models a leak of descriptors, or a limit that was set too low. What is open goes on; what is closed may be opened again in
its place. Other processes of the machine have their own limits, so it does not model ENFILE.
"""

from __future__ import annotations

import resource
from itertools import count
from pathlib import Path

from chaos.inside.process import Process


class Files:
    """Lowers RLIMIT_NOFILE to the first descriptor that is free."""

    def __init__(self, _: Process) -> None:
        self._usual = resource.getrlimit(resource.RLIMIT_NOFILE)

    def on(self) -> None:
        """None is left from now on."""
        resource.setrlimit(resource.RLIMIT_NOFILE, (_first_free(), self._usual[1]))

    def off(self) -> None:
        """The limit is as it was when the process began."""
        resource.setrlimit(resource.RLIMIT_NOFILE, self._usual)


def _first_free() -> int:
    taken = {int(path.name) for path in Path("/proc/self/fd").iterdir()}
    return next(number for number in count() if number not in taken)
