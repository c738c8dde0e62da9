"""The timeline of a drill: what its plot is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

from chaos.crowd.told import Clicked
from chaos.figures.phases import quantile
from chaos.watch import DURABILITIES, Sample

STEP, MOST_STEPS = 0.25, 600
Column = list[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """`steps` of `step` seconds each, from the monotonic second `zero`."""

    zero: float
    step: float
    steps: int

    @classmethod
    def over(cls, zero: float, seconds: float) -> Grid:
        """Quarters of a second, or longer ones where there would be too many to draw."""
        step = max(1, ceil(seconds / MOST_STEPS / STEP)) * STEP
        return cls(zero=zero, step=step, steps=max(1, ceil(seconds / step)))

    def of(self, at: float) -> int | None:
        """Which step a second is in; None before the first and after the last."""
        step = int((at - self.zero) // self.step)
        return step if 0 <= step < self.steps else None

    def a_second(self, counts: Sequence[float]) -> list[float]:
        """Counts of each step as counts a second."""
        return [round(count / self.step, 1) for count in counts]


def timeline(
    clicks: Sequence[Clicked], samples: Sequence[Sample], zero: float, seconds: float
) -> dict[str, Any]:
    """Columns of equal length; latencies are None in a step in which nobody was sent on, samples where none was taken."""
    grid = Grid.over(zero, seconds)
    times, errors = _visits(clicks, grid)
    seen = _seen(samples, grid)
    return {
        "step_s": grid.step,
        "rate": grid.a_second([len(step) for step in times]),
        "errors": grid.a_second(errors),
        "p50_ms": _quantiles(times, 0.5),
        "p99_ms": _quantiles(times, 0.99),
        "max_ms": _quantiles(times, 1.0),
        **_grown(samples, grid),
        "breakers": {tier: _states(_worst(seen, _breaker(tier))) for tier in _tiers(samples)},
        "backlog": _worst(seen, lambda sample: sample.backlog),
    }


def _visits(clicks: Sequence[Clicked], grid: Grid) -> tuple[list[list[float]], list[float]]:
    """Sorted latencies of those who were sent on, and how many were not, by step."""
    times: list[list[float]] = [[] for _ in range(grid.steps)]
    errors = [0.0] * grid.steps
    for click in clicks:
        step = grid.of(click.at)
        if step is None:
            continue
        if click.redirected:
            times[step].append(click.ms)
        else:
            errors[step] += 1
    return [sorted(step) for step in times], errors


def _quantiles(times: list[list[float]], share: float) -> Column:
    return [quantile(step, share) if step else None for step in times]


def _seen(samples: Sequence[Sample], grid: Grid) -> list[list[Sample]]:
    seen: list[list[Sample]] = [[] for _ in range(grid.steps)]
    for sample in samples:
        step = grid.of(sample.at)
        if step is not None:
            seen[step].append(sample)
    return seen


def _worst(seen: list[list[Sample]], value: Callable[[Sample], float | None]) -> Column:
    """The most that any daemon showed in a step."""
    values = [[v for sample in step if (v := value(sample)) is not None] for step in seen]
    return [max(step) if step else None for step in values]


def _states(column: Column) -> list[int | None]:
    return [None if state is None else int(state) for state in column]


def _tiers(samples: Sequence[Sample]) -> list[str]:
    return sorted({tier for sample in samples for tier in sample.breakers})


def _breaker(tier: str) -> Callable[[Sample], float | None]:
    return lambda sample: sample.breakers.get(tier)


def _grown(samples: Sequence[Sample], grid: Grid) -> dict[str, list[float]]:
    """Clicks a second by durability."""
    columns = {durability: [0.0] * grid.steps for durability in DURABILITIES}
    for earlier, later in _successive(samples):
        step = grid.of(later.at)
        if step is not None:
            for durability, now in later.receipts.items():
                columns[durability][step] += _growth(earlier.receipts[durability], now)
    return {name: grid.a_second(column) for name, column in columns.items()}


def total(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """How much a counter grew over all daemons and all their lives, its first value included."""
    first = {sample.daemon: value(sample) for sample in reversed(samples)}
    grown = sum(_growth(value(earlier), value(later)) for earlier, later in _successive(samples))
    return sum(first.values()) + grown


def _successive(samples: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    daemons = sorted({sample.daemon for sample in samples})
    return [pair for daemon in daemons for pair in pairwise([s for s in samples if s.daemon == daemon])]


def _growth(before: float, now: float) -> float:
    """A counter that fell belongs to a new process, and counts from 0."""
    return now - before if now >= before else now
