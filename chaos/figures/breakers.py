"""What the daemons logged of their breakers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

OPENED, CLOSED = "breaker opened", "breaker closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A breaker that turned; `at`: seconds since the epoch."""

    at: float
    tier: str
    to: Literal["open", "closed"]


def turns(log: Iterable[str]) -> list[Turn]:
    """From a daemon's log."""
    found = []
    for line in log:
        if OPENED in line or CLOSED in line:
            said = json.loads(line)
            at = datetime.fromisoformat(said["timestamp"]).timestamp()
            found.append(Turn(at=at, tier=said["tier"], to="open" if said["event"] == OPENED else "closed"))
    return found


def detected(found: Iterable[Turn], fault_at: float) -> float | None:
    """Milliseconds from the fault until the first breaker opened: 0 if one was open by then, None if none did."""
    turned = sorted(found, key=lambda turn: turn.at)
    before = {turn.tier: turn.to for turn in turned if turn.at < fault_at}
    opened = [turn.at for turn in turned if turn.to == "open" and turn.at >= fault_at]
    if "open" in before.values():
        return 0.0
    return round((opened[0] - fault_at) * 1000, 1) if opened else None


def openings(found: Iterable[Turn], fault_at: float) -> int:
    """How often any breaker opened since the fault."""
    return sum(turn.to == "open" and turn.at >= fault_at for turn in found)


def recovered(found: Iterable[Turn], healed_at: float) -> float | None:
    """Seconds from the heal until the last breaker closed for good; 0 if none was open then, None if one still is."""
    state: dict[str, Turn] = {}
    for turn in sorted(found, key=lambda turn: turn.at):
        state[turn.tier] = turn
    if any(turn.to == "open" for turn in state.values()):
        return None
    return round(max([0.0, *(turn.at - healed_at for turn in state.values())]), 2)
