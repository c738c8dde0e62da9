"""What a ladder is told to do, and why it may not be able to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
REDIS_URL = "LADDER_REDIS_URL"
WRK_MISSING = (
    "wrk is not on the PATH; the load tests need it as their generator. Install it: apt-get install wrk (Debian, Ubuntu), "
    "dnf install wrk (Fedora) or brew install wrk (macOS)"
)
Say = Callable[[str], None]


class CannotRun(Exception):
    """The ladder cannot run here as asked; the message says how to mend it."""


class RungFailed(Exception):
    """One rung could not be measured; the message says why. The others go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How long, how often and how hard. `folder`: where homes and logs are made, on the disk that is to be measured."""

    wrk: Path
    valkey: Path
    folder: Path
    seconds: int = 4
    rounds: int = 3
    connections: int = 64
    rate: int = 500


def find_wrk() -> Path:
    """The generator's program, or CannotRun with how to install it."""
    found = shutil.which("wrk")
    if found is None:
        raise CannotRun(WRK_MISSING)
    return Path(found)


def rounds_text(plan: Plan) -> str:
    """What each figure is."""
    return "one round" if plan.rounds == 1 else f"medians of {plan.rounds} rounds"
