"""What the visitors felt, by phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chaos.crowd.told import Clicked


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The visits of a stretch of time; latencies in ms from the moment each was meant for. No answer has no latency."""

    name: str
    from_s: float
    to_s: float
    asked: int
    answered: int
    non_302: int
    errors: int
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


def phase(name: str, clicks: Sequence[Clicked], from_s: float, to_s: float, zero: float) -> Phase:
    """The visits meant for between two seconds after `zero`."""
    theirs = [click for click in clicks if from_s <= click.at - zero < to_s]
    answered = [click for click in theirs if click.status]
    times = sorted(click.ms for click in answered)
    return Phase(
        name=name,
        from_s=round(from_s, 3),
        to_s=round(to_s, 3),
        asked=len(theirs),
        answered=len(answered),
        non_302=sum(not click.redirected for click in answered),
        errors=len(theirs) - len(answered),
        p50_ms=quantile(times, 0.5),
        p99_ms=quantile(times, 0.99),
        p999_ms=quantile(times, 0.999),
        max_ms=quantile(times, 1.0),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed (nearest rank); 0 of none."""
    if not ordered:
        return 0.0
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]
