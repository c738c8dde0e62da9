"""Every fault that can be made possible within a process, by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from chaos.inside.clock import Clock
from chaos.inside.crash import Crash
from chaos.inside.disk import Disk
from chaos.inside.dns import Dns
from chaos.inside.files import Files
from chaos.inside.process import Fault, Process
from chaos.inside.stall import Stall

FAULTS: Mapping[str, Callable[[Process], Fault]] = MappingProxyType(
    {
        "clock": Clock,
        "crash": Crash,
        "disk": Disk,
        "dns": Dns,
        "files": Files,
        "stall": Stall,
    }
)
