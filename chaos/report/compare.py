"""Two reports side by side: what came, what went, whose verdict changed, and which figures are worse than they were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chaos.report.figures import ZEROS, Getter, during, everywhere, zero
from chaos.report.numbers import count, ms, seconds
from chaos.report.result import Drill, Report, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A figure is worse when it is more than `ratio` times what it was, and more than `floor` in its own unit.

    Below the floor a ratio is the machine's noise. A ratio of 1 and a floor of 0 let no increase pass.
    """

    figure: str
    of: Getter
    said: Callable[[float | None], str]
    ratio: float
    floor: float

    def exceeded(self, before: float, after: float) -> bool:
        """Whether the figure has become worse."""
        return after > self.floor and after > self.ratio * before


THRESHOLDS = (
    *(Threshold(figure=each.label, of=zero(each.of), said=count, ratio=1, floor=0) for each in ZEROS),
    Threshold(
        figure="answers other than 302", of=everywhere(lambda p: p.non_302), said=count, ratio=1, floor=0
    ),
    Threshold(figure="unanswered", of=everywhere(lambda p: p.unanswered), said=count, ratio=1, floor=0),
    Threshold(figure="p50 in the fault", of=during(lambda p: p.p50_ms), said=ms, ratio=2, floor=5),
    Threshold(figure="p99 in the fault", of=during(lambda p: p.p99_ms), said=ms, ratio=2, floor=15),
    Threshold(figure="p99.9 in the fault", of=during(lambda p: p.p999_ms), said=ms, ratio=2, floor=25),
    Threshold(figure="slowest in the fault", of=during(lambda p: p.max_ms), said=ms, ratio=2, floor=50),
    Threshold(figure="detect", of=lambda drill: drill.times.detect_ms, said=ms, ratio=2, floor=50),
    Threshold(figure="recover", of=lambda drill: drill.times.recover_s, said=seconds, ratio=2, floor=1),
    Threshold(figure="settle", of=lambda drill: drill.times.settle_s, said=seconds, ratio=2, floor=1),
    Threshold(figure="highest backlog", of=lambda drill: drill.backlog_peak, said=count, ratio=2, floor=500),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillNew:
    """A drill that the previous report did not have."""

    drill: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillGone:
    """A drill that only the previous report has."""

    drill: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictChanged:
    """A drill that has ended otherwise than before."""

    drill: str
    before: Verdict
    after: Verdict
    reasons: tuple[str, ...]

    @property
    def worse(self) -> bool:
        """Whether it held, and does not any more."""
        return self.before == "held" or self.after == "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureWorse:
    """A figure beyond its threshold."""

    drill: str
    threshold: Threshold
    before: float
    after: float

    @property
    def times(self) -> float | None:
        """How many times what it was; None when it was 0."""
        return self.after / self.before if self.before else None


Difference = DrillNew | DrillGone | VerdictChanged | FigureWorse
_ORDER = (VerdictChanged, FigureWorse, DrillGone, DrillNew)


def compare(
    previous: Report, current: Report, thresholds: tuple[Threshold, ...] = THRESHOLDS
) -> tuple[Difference, ...]:
    """What is different: verdicts, then figures, then drills gone and new; each as the current report orders them."""
    found = _differences(previous, current, thresholds)
    return tuple(sorted(found, key=lambda difference: _ORDER.index(type(difference))))


def _differences(
    previous: Report, current: Report, thresholds: tuple[Threshold, ...]
) -> Iterator[Difference]:
    before = {drill.name: drill for drill in previous.drills}
    for drill in current.drills:
        known = before.pop(drill.name, None)
        if known is None:
            yield DrillNew(drill=drill.name, verdict=drill.verdict)
        else:
            yield from _changed(known, drill, thresholds)
    yield from (DrillGone(drill=drill.name, verdict=drill.verdict) for drill in before.values())


def _changed(before: Drill, after: Drill, thresholds: tuple[Threshold, ...]) -> Iterator[Difference]:
    if before.verdict != after.verdict:
        yield VerdictChanged(
            drill=after.name, before=before.verdict, after=after.verdict, reasons=after.reasons
        )
    for threshold in thresholds:
        was, now = threshold.of(before), threshold.of(after)
        if was is not None and now is not None and threshold.exceeded(was, now):
            yield FigureWorse(drill=after.name, threshold=threshold, before=was, after=now)


def sentence(difference: Difference) -> str:
    """The difference in words, without the drill's name."""
    match difference:
        case DrillNew():
            return f"new, {difference.verdict}"
        case DrillGone():
            return f"gone; it was {difference.verdict}"
        case VerdictChanged():
            because = f": {'; '.join(difference.reasons)}" if difference.reasons else ""
            return f"{difference.before} → {difference.after}{because}"
        case FigureWorse():
            said = difference.threshold.said
            times = f" ({difference.times:.1f} times)" if difference.times else ""
            return (
                f"{difference.threshold.figure} {said(difference.before)} → {said(difference.after)}{times}"
            )


def rule(thresholds: tuple[Threshold, ...] = THRESHOLDS) -> str:
    """The thresholds in a sentence or two."""
    patient = [each for each in thresholds if each.floor]
    ratios = " or ".join(f"{ratio:g}" for ratio in sorted({each.ratio for each in patient}))
    floors = ", ".join(f"{each.figure} {each.said(each.floor)}" for each in patient)
    return (
        "A click lost, doubled, resurrected or invented is worse, and so is a visitor not sent on. Any other figure is "
        f"worse when it is more than {ratios} times what it was, and above what may be noise: {floors}."
    )


def worse(difference: Difference) -> bool:
    """Whether it is a reason to look: a figure beyond its threshold, or a verdict that has become worse."""
    return isinstance(difference, FigureWorse) or (
        isinstance(difference, VerdictChanged) and difference.worse
    )
