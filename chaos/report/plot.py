"""A drill's timeline: panels one below the other on one time axis, the fault shaded through all of them.

Only the figures are stretched to the width of the page. Words and the places of the axis are outside of what is
stretched, at percentages, so that a phone shows the same plot with letters as large as elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from chaos.report.markup import Html, element, hidden, joined
from chaos.report.numbers import seconds
from chaos.report.panels import LANE, Axis, Panel, panels_of
from chaos.report.result import Drill, Mark, Timeline, Window
from chaos.report.svg import ceiling


def plot(drill: Drill) -> Html:
    """The figure; nothing when the drill has no timeline."""
    timeline = drill.timeline
    length = _length(drill, timeline) if timeline else 0
    if timeline is None or length <= 0:
        return Html()
    axis = Axis(length_s=length, step_s=timeline.step_s)
    panels = panels_of(timeline, axis)
    return element(
        "figure",
        _caption(drill),
        element(
            "div",
            _lanes(drill.windows, drill.marks, axis),
            joined(_panel(drill, panel, axis) for panel in panels),
            _time(axis),
            class_="plot",
        ),
        _legend(drill.marks),
    )


def _length(drill: Drill, timeline: Timeline) -> float:
    """Seconds that the plot is wide: what was measured, and whatever is to be shown on it."""
    steps = max(map(len, (timeline.rate, timeline.p50_ms, timeline.synced, timeline.backlog)), default=0)
    shown = [window.to_s for window in drill.windows] + [mark.at_s for mark in drill.marks]
    return max([steps * timeline.step_s, *shown])


def _caption(drill: Drill) -> Html:
    faults = "; ".join(
        f"{window.fault} from {seconds(window.from_s)} to {seconds(window.to_s)}" for window in drill.windows
    )
    return element("figcaption", "The drill, step by step", hidden(f". Shaded: {faults}." if faults else "."))


def _lanes(windows: Sequence[Window], marks: Sequence[Mark], axis: Axis) -> Html:
    """Each fault in a lane of its own, by name; the marks as numbers below them."""
    height = LANE * (len(windows) + bool(marks))
    if not height:
        return Html()
    lanes = [_lane(index, window, axis) for index, window in enumerate(windows)]
    numbers = [_number(index, mark, axis, height) for index, mark in enumerate(marks, 1)]
    return element(
        "svg", joined(lanes), joined(numbers), class_="lanes", width="100%", height=height, aria_hidden="true"
    )


def _lane(index: int, window: Window, axis: Axis) -> Html:
    start, end = axis.at(window.from_s), axis.at(window.to_s)
    # The name begins or ends with its bar, whichever leaves it more room.
    late = end > 100 - start
    return joined(
        [
            element(
                "rect",
                x=f"{start:.2f}%",
                y=index * LANE + 4,
                width=f"{max(end - start, 0.4):.2f}%",
                height=LANE - 6,
                class_="window",
            ),
            element(
                "text",
                window.fault,
                x=f"{end if late else start:.2f}%",
                dx=-6 if late else 6,
                y=index * LANE + LANE - 6,
                class_="fault",
                text_anchor="end" if late else "start",
            ),
        ]
    )


def _number(index: int, mark: Mark, axis: Axis, height: int) -> Html:
    x = f"{axis.at(mark.at_s):.2f}%"
    return joined(
        [
            element("circle", cx=x, cy=height - 9, r=7, class_="mark"),
            element("text", str(index), x=x, y=height - 5.5, class_="mark", text_anchor="middle"),
        ]
    )


def _panel(drill: Drill, panel: Panel, axis: Axis) -> Html:
    keys = (element("span", key.label, class_=f"key {key.name}") for key in panel.keys)
    head = element("p", element("b", panel.title), " ", joined(keys, " "), class_="panel")
    drawing = element(
        "svg",
        element("title", f"{panel.title} over {seconds(axis.length_s)}"),
        element("desc", panel.says),
        _shades(drill.windows, axis, panel.height),
        joined(_grid(tick.y, tick.label) for tick in panel.ticks),
        element(
            "svg",
            panel.body,
            width="100%",
            height=panel.height,
            viewBox=f"0 0 {axis.steps:.4g} {panel.height}",
            preserveAspectRatio="none",
        ),
        joined(_line(mark, axis, panel.height) for mark in drill.marks),
        role="img",
        width="100%",
        height=panel.height,
    )
    return joined([head, drawing])


def _shades(windows: Sequence[Window], axis: Axis, height: int) -> Html:
    return joined(
        element(
            "rect",
            x=f"{axis.at(window.from_s):.2f}%",
            y=0,
            width=f"{max(axis.at(window.to_s) - axis.at(window.from_s), 0.4):.2f}%",
            height=height,
            class_="shade",
        )
        for window in windows
    )


def _grid(y: float, label: str) -> Html:
    return joined(
        [
            element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid"),
            element("text", label, x=-8, y=y + 3.5, text_anchor="end", class_="tick"),
        ]
    )


def _line(mark: Mark, axis: Axis, height: int) -> Html:
    x = f"{axis.at(mark.at_s):.2f}%"
    return element("line", x1=x, x2=x, y1=0, y2=height, class_="mark")


def _time(axis: Axis) -> Html:
    step = ceiling(axis.length_s / 6)
    ticks = [index * step for index in range(int(axis.length_s / step * 1.0001) + 1)]
    labels = (
        element("text", f"{tick:g}", x=f"{axis.at(tick):.2f}%", y=13, text_anchor="middle", class_="tick")
        for tick in ticks[:-1]
    )
    last = element(
        "text", f"{ticks[-1]:g} s", x=f"{axis.at(ticks[-1]):.2f}%", y=13, text_anchor="middle", class_="tick"
    )
    return element("svg", joined(labels), last, class_="time", width="100%", height=18, aria_hidden="true")


def _legend(marks: Sequence[Mark]) -> Html:
    if not marks:
        return Html()
    items = (
        element("li", mark.text, " ", element("span", f"at {seconds(mark.at_s)}", class_="quiet"))
        for mark in marks
    )
    return element("ol", joined(items), class_="marks")
