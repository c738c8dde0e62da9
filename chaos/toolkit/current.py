"""The drill that is under way. Chaos Toolkit calls functions by their names and hands nothing from one to the next, so that
this is the one place where a process remembers something between two calls (ADR 0025).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chaos.drill import Drill
from chaos.faults import Fault


def _quiet(_text: str) -> None:
    """Nobody listens."""


@dataclass(slots=True)
class Current:
    """The drill, the faults that are there by what they are called, and what the probes have measured.

    judge_times: whether promises of times count; not on a machine that others use meanwhile. trouble: why there is no drill.
    """

    drill: Drill | None = None
    faults: dict[str, Fault] = field(default_factory=dict)
    measured: dict[str, Any] | None = None
    say: Callable[[str], None] = _quiet
    judge_times: bool = True
    trouble: str = "the experiment needs the control chaos.toolkit.control"


_current = Current()


def current() -> Current:
    """It, with or without a drill."""
    return _current


def drill() -> Drill:
    """The drill; RuntimeError with the reason where there is none."""
    if _current.drill is None:
        raise RuntimeError(f"no drill is under way: {_current.trouble}")
    return _current.drill
