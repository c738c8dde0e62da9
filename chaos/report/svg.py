"""Series as SVG paths. Every step is drawn as wide as it lasts, a gap where there is no figure; nothing is smoothed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

Height = Callable[[float], float]
"""A figure's place: 0 at the top of the panel, its height at the bottom."""


def linear(maximum: float, height: float) -> Height:
    """From 0 at the bottom to `maximum` at the top."""
    return lambda value: height * (1 - min(max(value / maximum, 0), 1))


def logarithmic(lowest: float, highest: float, height: float) -> Height:
    """Decades of equal height. What is outside the scale is drawn at its edge."""
    decades = math.log10(highest / lowest)

    def place(value: float) -> float:
        at = math.log10(max(value, lowest) / lowest) / decades
        return height * (1 - min(at, 1))

    return place


def ceiling(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten: where an axis may end."""
    if value <= 0:
        return 1
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        step * power for step in (1, 2, 2.5, 5, 10) if step * power >= value * 0.999
    )  # so that dust of floating point does not double an axis


def decades(lowest: float, highest: float) -> list[float]:
    """The powers of ten around these figures, at least two."""
    first = math.floor(math.log10(max(lowest, 0.1)))
    last = max(math.ceil(math.log10(max(highest, 0.1))), first + 1)
    return [10.0**power for power in range(first, last + 1)]


def stairs(values: Sequence[float | None], place: Height) -> str:
    """A line of steps, interrupted where there is no figure."""
    return "".join(_stairs(start, run, place) for start, run in runs(values))


def _stairs(start: int, run: Sequence[float], place: Height) -> str:
    path = ""
    for level, first, end in _levels(run, place):
        path += f"V{level}H{start + end}" if first else f"M{start} {level}H{start + end}"
    return path


def area(lower: Sequence[float], upper: Sequence[float], place: Height) -> str:
    """What lies between two series of equal length."""
    if not upper:
        return ""
    back = (f"V{level}H{first}" for level, first, _ in reversed(list(_levels(lower, place))))
    return f"{_stairs(0, upper, place)}{''.join(back)}Z"


def _levels(run: Sequence[float], place: Height) -> Iterator[tuple[str, int, int]]:
    """Stretches of one level, each with its first step and the step after its last."""
    at = 0
    for level, group in groupby(_number(place(value)) for value in run):
        first, at = at, at + len(list(group))
        yield level, first, at


def runs(values: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    """The stretches that have figures, each with the step at which it starts."""
    for known, group in groupby(enumerate(values), key=lambda pair: pair[1] is not None):
        if known:
            stretch = list(group)
            yield stretch[0][0], [value for _, value in stretch if value is not None]


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
