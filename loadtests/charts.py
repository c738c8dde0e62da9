"""Charts as inline SVG: lines over time, that follow the page's colours and width and need nothing from anywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 8, 10, 26
MOST_POINTS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line; None is a gap. `style` is a class of the page's style sheet, `area` fills what is below."""

    name: str
    style: str
    values: Sequence[float | None]
    area: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A span of the time axis that is shaded, in seconds."""

    name: str
    start: float
    end: float


def chart(
    title: str,
    seconds: Sequence[float],
    lines: Sequence[Line],
    *,
    unit: str,
    bands: Sequence[Band] = (),
    log: bool = False,
) -> str:
    """One chart with its legend. `log`: the value axis is logarithmic."""
    axes = _Axes.around(seconds, lines, log=log)
    parts = [_band(band, axes) for band in bands]
    parts += [_tick(value, axes, unit) for value in axes.ticks]
    parts += [_time_tick(at, axes) for at in _nice(axes.last, 6)]
    parts += [_drawn(line, seconds, axes) for line in lines]
    legend = "".join(f'<span><i class="{line.style}"></i>{escape(line.name)}</span>' for line in lines)
    return (
        f'<figure><figcaption><b>{escape(title)}</b><span class="legend">{legend}</span></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg></figure>'
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axes:
    last: float
    low: float
    high: float
    log: bool
    ticks: list[float]

    @classmethod
    def around(cls, seconds: Sequence[float], lines: Sequence[Line], *, log: bool) -> _Axes:
        values = [value for line in lines for value in line.values if value is not None and value > 0]
        last = max([*seconds, 1.0])
        if not log:
            high = max([*values, 1.0]) * 1.08
            return cls(last=last, low=0.0, high=high, log=False, ticks=_nice(high, 4))
        low = 10 ** math.floor(math.log10(min([*values, 1.0])))
        high = 10 ** math.ceil(math.log10(max([*values, 10.0])))
        decades = range(round(math.log10(low)), round(math.log10(high)) + 1)
        return cls(last=last, low=low, high=high, log=True, ticks=[10.0**power for power in decades])

    def x(self, second: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * second / self.last, 1)

    def y(self, value: float) -> float:
        share = (
            math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
            if self.log
            else value / self.high
        )
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(1.0, share), 1)


def _drawn(line: Line, seconds: Sequence[float], axes: _Axes) -> str:
    step = max(1, math.ceil(len(seconds) / MOST_POINTS))
    runs: list[list[tuple[float, float]]] = [[]]
    for at in range(0, len(seconds), step):
        window = [value for value in line.values[at : at + step] if value is not None]
        if window:  # of several the worst: a chart that leaves out what was bad would be kind and wrong
            runs[-1].append((axes.x(seconds[at]), axes.y(max(window))))
        elif runs[-1]:
            runs.append([])
    return "".join(_run(run, line) for run in runs if run)


def _run(points: Sequence[tuple[float, float]], line: Line) -> str:
    way = " ".join(f"{x},{y}" for x, y in points)
    if not line.area:
        return f'<polyline class="{line.style}" points="{way}"/>'
    floor = HEIGHT - BOTTOM
    return (
        f'<polygon class="{line.style} area" points="{points[0][0]},{floor} {way} {points[-1][0]},{floor}"/>'
    )


def _tick(value: float, axes: _Axes, unit: str) -> str:
    y = axes.y(value)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}{escape(unit)}</text>'
    )


def _time_tick(second: float, axes: _Axes) -> str:
    said = f"{second:g} s" if axes.last < 300 else f"{second / 60:g} min"
    return f'<text x="{axes.x(second)}" y="{HEIGHT - 8}" text-anchor="middle">{said}</text>'


def _band(band: Band, axes: _Axes) -> str:
    x = axes.x(band.start)
    width = round(axes.x(min(band.end, axes.last)) - x, 1)
    return f'<rect class="band" x="{x}" y="{TOP}" width="{width}" height="{HEIGHT - TOP - BOTTOM}"><title>{escape(band.name)}</title></rect>'


def _nice(high: float, about: int) -> list[float]:
    """Some round numbers between 0 and that."""
    rough = high / about
    power: float = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [number * step for number in range(1, math.floor(high / step) + 1)]
