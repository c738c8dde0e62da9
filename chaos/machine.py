"""The machine that drills ran on."""

from __future__ import annotations

import os
import platform
import subprocess

from chaos.report.result import Machine
from chaos.servers import find_postgres, find_valkey


def machine() -> Machine:
    """Cores, kernel, and the versions of Python and of the servers."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        kernel=platform.release(),
        python=platform.python_version(),
        valkey=_version([str(find_valkey()), "--version"]),
        postgres=_version([str(find_postgres() / "postgres"), "--version"]),
        root=os.geteuid() == 0,
    )


def _version(command: list[str]) -> str:
    """The first word with a dot in what a server says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    return next((word.lstrip("v=") for word in said.replace("=", " ").split() if "." in word), "unknown")
