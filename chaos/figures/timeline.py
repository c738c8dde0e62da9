"""The timeline of a drill, in steps of a quarter of a second: what its plot is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from chaos.crowd.told import Clicked
from chaos.figures.phases import quantile
from chaos.watch import DURABILITIES, Sample

STEP = 0.25


def timeline(
    clicks: Sequence[Clicked], samples: Sequence[Sample], zero: float, seconds: float
) -> dict[str, Any]:
    """Columns of equal length; latencies are None in a step in which nobody was answered."""
    steps = max(1, round(seconds / STEP))
    times: list[list[float]] = [[] for _ in range(steps)]
    errors = [0] * steps
    for click in clicks:
        step = int((click.at - zero) / STEP)
        if 0 <= step < steps:
            (times[step].append(click.ms) if click.redirected else errors.__setitem__(step, errors[step] + 1))
    ordered = [sorted(step) for step in times]
    at = _by_step(samples, zero, steps)
    grown = _grown(samples, zero, steps)
    return {
        "step_s": STEP,
        "rate": [round(len(step) / STEP, 1) for step in ordered],
        "errors": [round(count / STEP, 1) for count in errors],
        "p50_ms": _column(ordered, 0.5),
        "p99_ms": _column(ordered, 0.99),
        "max_ms": _column(ordered, 1.0),
        **grown,
        "breakers": {tier: at(_breaker(tier)) for tier in _tiers(samples)},
        "backlog": at(lambda sample: sample.backlog),
    }


def _column(ordered: list[list[float]], share: float) -> list[float | None]:
    return [quantile(step, share) if step else None for step in ordered]


def _breaker(tier: str) -> Callable[[Sample], float | None]:
    return lambda sample: sample.breakers.get(tier)


def _tiers(samples: Sequence[Sample]) -> list[str]:
    return sorted({tier for sample in samples for tier in sample.breakers})


def _by_step(
    samples: Sequence[Sample], zero: float, steps: int
) -> Callable[[Callable[[Sample], float | None]], list[float | None]]:
    """The worst that any daemon showed in a step; None where none could be looked at."""
    seen: list[list[Sample]] = [[] for _ in range(steps)]
    for sample in samples:
        step = int((sample.at - zero) / STEP)
        if 0 <= step < steps:
            seen[step].append(sample)

    def column(value: Callable[[Sample], float | None]) -> list[float | None]:
        values = [[v for sample in step if (v := value(sample)) is not None] for step in seen]
        return [max(step) if step else None for step in values]

    return column


def _grown(samples: Sequence[Sample], zero: float, steps: int) -> dict[str, list[float]]:
    """Clicks a second by durability. A counter that fell belongs to a new process, and counts from 0."""
    columns = {durability: [0.0] * steps for durability in DURABILITIES}
    for earlier, later in _successive(samples):
        step = int((later.at - zero) / STEP)
        if 0 <= step < steps:
            for durability, now in later.receipts.items():
                columns[durability][step] += _growth(earlier.receipts[durability], now) / STEP
    return {name: [round(value, 1) for value in column] for name, column in columns.items()}


def total(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """How much a counter grew over all daemons and all their lives, its first value included."""
    first = {sample.daemon: value(sample) for sample in reversed(samples)}
    grown = sum(_growth(value(earlier), value(later)) for earlier, later in _successive(samples))
    return sum(first.values()) + grown


def _successive(samples: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    daemons = {sample.daemon for sample in samples}
    return [
        pair for daemon in sorted(daemons) for pair in pairwise([s for s in samples if s.daemon == daemon])
    ]


def _growth(before: float, now: float) -> float:
    return now - before if now >= before else now
