"""Files: the process may open no more files and accept no more connections (EMFILE).

Models a leak of descriptors, or a limit that was set too low. What is open goes on; what is closed may be opened again in
its place. Other processes of the machine have their own limits, so it does not model ENFILE.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from itertools import count

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
    return next(number for number in count() if not _is_open(number))


def _is_open(descriptor: int) -> bool:
    with suppress(OSError):
        os.fstat(descriptor)
        return True
    return False
