"""The panels of a drill's timeline: what was asked, how long it took, what was promised, the breakers, the backlog."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from chaos.report.markup import Html, element, joined
from chaos.report.numbers import count, ms
from chaos.report.result import Timeline
from chaos.report.svg import Height, area, ceiling, decades, linear, logarithmic, stairs

LANE = 20
_BAND = 18
_STATES = {0: "closed", 1: "half-open", 2: "open"}
_RISE = {0: 2, 1: 7, 2: 13}


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The time axis: how long it is, and how long one step of the series."""

    length_s: float
    step_s: float

    @property
    def steps(self) -> float:
        """How many steps fit on it."""
        return self.length_s / self.step_s

    def at(self, seconds: float) -> float:
        """The place of a moment, in percent."""
        return min(max(100 * seconds / self.length_s, 0), 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A series as the panel's heading names it; `name` is its class in the style sheet."""

    name: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line across the panel, with its figure."""

    y: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel: its drawing, `height` px high and a step wide per unit, and the same in a sentence."""

    title: str
    says: str
    height: int
    body: Html
    keys: tuple[Key, ...] = ()
    ticks: tuple[Tick, ...] = ()


def panels_of(timeline: Timeline, axis: Axis) -> list[Panel]:
    """The panels that have something to show, from the visitor down to the spool."""
    made = (
        _rate(timeline),
        _latency(timeline),
        _durability(timeline),
        _breakers(timeline, axis),
        _backlog(timeline),
    )
    return [panel for panel in made if panel]


def _rate(timeline: Timeline) -> Panel | None:
    highest = _highest(timeline.rate)
    if highest is None:
        return None
    errors = _highest(timeline.errors) or 0
    top = ceiling(max(highest, errors))
    place = linear(top, 56)
    return Panel(
        title="Redirects a second",
        says=f"At most {count(highest)} a second; at most {count(errors)} a second failed.",
        height=56,
        body=joined([_filled("rate", timeline.rate, place), _bars("errors", timeline.errors, place)]),
        keys=(Key(name="rate", label="asked"), *([Key(name="errors", label="failed")] if errors else [])),
        ticks=_ticks(top, place),
    )


_LATENCIES: tuple[tuple[Key, Callable[[Timeline], Sequence[float | None]]], ...] = (
    (Key(name="slowest", label="slowest"), lambda timeline: timeline.max_ms),
    (Key(name="p99", label="p99"), lambda timeline: timeline.p99_ms),
    (Key(name="p50", label="p50"), lambda timeline: timeline.p50_ms),
)


def _latency(timeline: Timeline) -> Panel | None:
    series = [(key, of(timeline)) for key, of in _LATENCIES]
    known = [value for _, values in series for value in values if value is not None]
    if not known:
        return None
    scale = decades(min(known), max(known))
    place = logarithmic(scale[0], scale[-1], 104)
    said = "; ".join(f"{key.label} at most {ms(_highest(values))}" for key, values in series)
    return Panel(
        title="Latency, ms",
        says=f"On a logarithmic scale: {said}.",
        height=104,
        body=joined(_stroke(key.name, values, place) for key, values in series),
        keys=tuple(key for key, _ in series),
        ticks=tuple(Tick(y=place(value), label=f"{value:,g}") for value in scale),
    )


def _durability(timeline: Timeline) -> Panel | None:
    series = list(zip_longest(timeline.synced, timeline.written, timeline.token_only))
    stacks = [_stacked([value or 0 for value in step]) for step in series]
    if not any(stack[-1] for stack in stacks):
        return None
    place = linear(1, 40)
    names = ("synced", "written", "token-only")
    edges = list(zip(*stacks, strict=True))
    bodies = (
        element("path", d=area(edges[index], edges[index + 1], place), class_=f"fill {name}")
        for index, name in enumerate(names)
    )
    worst = min((stack[1] for stack in stacks if stack[-1]), default=0)
    return Panel(
        title="Promised of each click",
        says=f"Share of clicks by durability; at least {worst * 100:.0f} % of each step were synced.",
        height=40,
        body=joined(bodies),
        keys=tuple(Key(name=name, label=name.replace("-", " ")) for name in names),
        ticks=(Tick(y=0, label="100 %"), Tick(y=40, label="0")),
    )


def _stacked(values: Sequence[float]) -> tuple[float, ...]:
    """The edges of the stack as shares: 0, then each share on top of the last. All 0 when there was no click."""
    whole = sum(values)
    sums = [sum(values[:index]) for index in range(len(values) + 1)]
    return tuple(each / whole if whole else 0.0 for each in sums)


def _breakers(timeline: Timeline, axis: Axis) -> Panel | None:
    shown = {
        name: states
        for name, states in timeline.breakers.items()
        if any(state is not None for state in states)
    }
    if not shown:
        return None
    bands = (_band(index, states) for index, states in enumerate(shown.values()))
    said = ", ".join(f"{name} open for {_open(states, axis)} s" for name, states in shown.items())
    return Panel(
        title="Breakers",
        says=f"{said}.",
        height=_BAND * len(shown),
        body=joined(bands),
        keys=tuple(Key(name=state, label=state) for state in _STATES.values()),
        ticks=tuple(Tick(y=_BAND * (index + 1) - 2, label=name) for index, name in enumerate(shown)),
    )


def _open(states: Sequence[int | None], axis: Axis) -> str:
    return f"{sum(state == 2 for state in states) * axis.step_s:.1f}"


def _band(index: int, states: Sequence[int | None]) -> Html:
    """One breaker: the higher the bar, the less it lets through. Its height says it, and its colour says it again."""
    bars: list[Html] = []
    step = 0
    for state, group in groupby(states):
        width = len(list(group))
        if state in _RISE:
            rise = _RISE[state]
            y = _BAND * (index + 1) - 2 - rise
            bars.append(
                element("rect", x=step, y=y, width=width, height=rise, class_=f"fill {_STATES[state]}")
            )
        step += width
    return joined(bars)


def _backlog(timeline: Timeline) -> Panel | None:
    highest = _highest(timeline.backlog)
    if not highest:
        return None
    top = ceiling(highest)
    place = linear(top, 48)
    return Panel(
        title="Waiting to be settled",
        says=f"At most {count(highest)} entries in the spool; {count(_last(timeline.backlog))} at the end.",
        height=48,
        body=_filled("backlog", timeline.backlog, place),
        keys=(Key(name="backlog", label="entries in the spool"),),
        ticks=_ticks(top, place),
    )


def _ticks(top: float, place: Height) -> tuple[Tick, ...]:
    return tuple(Tick(y=place(value), label=_tick(value)) for value in (top, 0))


def _tick(value: float) -> str:
    return f"{value / 1000:g} k" if value >= 10_000 else f"{value:,g}"


def _filled(name: str, values: Sequence[float | None], place: Height) -> Html:
    known = [value or 0 for value in values]
    under = element("path", d=area([0.0] * len(known), known, place), class_=f"fill {name}")
    return joined([under, _stroke(name, values, place)])


def _stroke(name: str, values: Sequence[float | None], place: Height) -> Html:
    return element("path", d=stairs(values, place), class_=f"line {name}")


def _bars(name: str, values: Sequence[float | None], place: Height) -> Html:
    """Bars where there is something to count, and nothing elsewhere. One of a thousand is still to be seen."""
    floor = place(0)
    heights = [min(place(value), floor - 4) if value else floor for value in values]
    path = area([floor] * len(heights), heights, lambda height: height)
    return element("path", d=path, class_=f"fill {name}")


def _highest(values: Sequence[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _last(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)
