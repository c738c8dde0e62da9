"""A soak: faults drawn at random, one after the other, on one stage under one crowd, for as long as you like."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.catalogue import Experiment, experiment_at

NAME = "soak"
REST_SECONDS = 8.0
# A breaker may be open for up to 30 s, and a crowd of hours meets a stall of the machine: what is promised is that nothing
# is lost. What visitors felt is in the report.
AT_MOST: dict[str, float | None] = {"p999_ms": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """A fault that a soak may draw, with its arguments, and how many seconds it lasts at least and at most."""

    fault: str
    arguments: dict[str, Any] = field(default_factory=dict)
    seconds: tuple[float, float] = (2.0, 10.0)


DRAWS = (
    Draw(fault="kill", arguments={"target": "valkey"}),
    Draw(fault="freeze", arguments={"target": "valkey"}),
    Draw(fault="kill", arguments={"target": "postgres"}),
    Draw(fault="freeze", arguments={"target": "postgres"}),
    Draw(fault="kill", arguments={"target": "work"}),
    Draw(fault="freeze", arguments={"target": "work"}),
)


def soak(minutes: float, seed: int, folder: Path) -> Experiment:
    """An experiment of that length, written into the folder; the same seed gives the same faults."""
    path = folder / f"{NAME}.json"
    path.write_text(json.dumps(_experiment(minutes, seed), ensure_ascii=False))
    return experiment_at(path)


def drawn(minutes: float, seed: int) -> Iterator[tuple[Draw, float]]:
    """Faults and their lengths in seconds, which with a rest after each fill the minutes."""
    source, left = random.Random(seed), minutes * 60  # a soak is to be repeatable
    while left > 0:
        draw = source.choice(DRAWS)
        seconds = round(source.uniform(*draw.seconds), 1)
        left -= seconds + REST_SECONDS
        yield draw, seconds


def _experiment(minutes: float, seed: int) -> dict[str, Any]:
    steps = [step for draw, seconds in drawn(minutes, seed) for step in _steps(draw, seconds)]
    return {
        "version": "1.0.0",
        "title": f"A soak of {minutes:g} minutes",
        "description": f"{len(steps) // 2} faults drawn with seed {seed}, one after the other, without a break of the load.",
        "tags": [NAME],
        "extensions": [{"name": "trilha", "drill": NAME, "tier": "combined", "covers": []}],
        "configuration": {"stage": {"sql": "postgres"}},
        "controls": [{"name": "stage", "provider": {"type": "python", "module": "chaos.toolkit.control"}}],
        "steady-state-hypothesis": {
            "title": "Every visitor is sent on, and nothing acknowledged is missing",
            "probes": [
                {
                    "type": "probe",
                    "name": "every promise",
                    "tolerance": "kept",
                    "provider": _provider("probes", "promises", at_most=AT_MOST),
                }
            ],
        },
        "method": steps,
        "rollbacks": [
            {
                "type": "action",
                "name": "mend what is still broken",
                "provider": _provider("actions", "mend_all"),
            }
        ],
    }


def _steps(draw: Draw, seconds: float) -> list[dict[str, Any]]:
    inject = _provider("actions", "inject", fault=draw.fault, **draw.arguments)
    mend = _provider("actions", "mend", fault=draw.fault)
    name = " ".join([draw.fault, *map(str, draw.arguments.values())])
    return [
        {"type": "action", "name": name, "provider": inject, "pauses": {"after": seconds}},
        {"type": "action", "name": f"{name}: over", "provider": mend, "pauses": {"after": REST_SECONDS}},
    ]


def _provider(module: str, function: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "python", "module": f"chaos.toolkit.{module}", "func": function, "arguments": arguments}
