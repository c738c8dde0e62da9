"""Faults, one a file: each breaks something on a stage, and mends it. They are named by their file in an experiment.

A file `redis_oom.py` holds a class `RedisOom` whose fields are the arguments that an experiment may give. Begin with
noop.py, which breaks nothing.
"""

from __future__ import annotations

import dataclasses
import pkgutil
from importlib import import_module
from typing import Any, Protocol

from chaos.stage.stage import Stage
from domain.errors import ConfigError


class Fault(Protocol):
    """Breaks something, and mends it. `says`: what is broken, in a few words for the report.

    `needs` names what the machine must have for it (root, tmpfs); `begin` returns once the fault is in force, `end` once
    the thing answers again, and may be called when it is already whole. A fault that kills a daemon also says
    `loses_receipts`: the count of its last receipts goes with it.
    """

    @property
    def says(self) -> str: ...
    def begin(self, stage: Stage) -> None: ...
    def end(self, stage: Stage) -> None: ...


def fault_names() -> list[str]:
    """Every fault that an experiment may name."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def make_fault(name: str, arguments: dict[str, Any]) -> Fault:
    """A fault with these arguments; ConfigError for a name or an argument that there is not."""
    if name not in fault_names():
        raise ConfigError(f"there is no fault {name}; there are {', '.join(fault_names())}")
    kind = getattr(import_module(f"{__name__}.{name}"), _class_name(name))
    known = [field.name for field in dataclasses.fields(kind)]
    if unknown := sorted(set(arguments) - set(known)):
        raise ConfigError(f"the fault {name} has no {', '.join(unknown)}; it has {', '.join(known)}")
    made: Fault = kind(**arguments)
    return made


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
