"""Two links or ads side by side: whether the data show a difference, and how many clicks would. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from analytics.report.words import count, share
from analytics.shares import Difference, Share, needed_each, newcombe

Measure = Literal["starts", "sales"]
WORTH_SEEING = 0.2
"""The relative difference that a comparison should be able to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One of those compared: its clicks, and how many of them were started and led to a sale."""

    name: str
    clicks: int
    starts: int
    sales: int

    def share(self, measure: Measure) -> Share:
        """Starts, or sales, of the clicks."""
        return Share.of(min(self.starts if measure == "starts" else self.sales, self.clicks), self.clicks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`second` against `first` in one measure. `difference` is None when one of them has no clicks.

    needed: clicks of each that would most likely show a relative difference of 20 % (80 % power); None when that cannot be said.
    """

    measure: Measure
    first: Arm
    second: Arm
    difference: Difference | None
    needed: int | None
    verdict: str


def compare(arms: Sequence[Arm]) -> tuple[Comparison, ...]:
    """Each of the others against the first, in starts and in sales of clicks."""
    measures: tuple[Measure, ...] = ("starts", "sales")
    return tuple(_compared(measure, arms[0], other) for measure in measures for other in arms[1:])


def _compared(measure: Measure, first: Arm, second: Arm) -> Comparison:
    one, other = first.share(measure), second.share(measure)
    difference = newcombe(one, other)
    base = (one.part + other.part) / (one.whole + other.whole) if one.whole + other.whole else 0.0
    needed = needed_each(base, base * WORTH_SEEING) if base else None
    return Comparison(
        measure=measure,
        first=first,
        second=second,
        difference=difference,
        needed=needed,
        verdict=_verdict(second.name, first.name, difference, needed, base, min(one.whole, other.whole)),
    )


def _verdict(
    name: str, than: str, difference: Difference | None, needed: int | None, base: float, clicks: int
) -> str:
    if difference is None or needed is None:
        return "nothing to compare yet"
    if difference.certain:
        word = "better" if difference.difference > 0 else "worse"
        ends = f"{difference.low * 100:+.1f} to {difference.high * 100:+.1f} points"
        return f"{name} is {word} than {than}, by {abs(difference.difference) * 100:.1f} points ({ends})"
    size = share(base * WORTH_SEEING).replace(" %", " points")
    if needed > clicks:
        more = count(needed - clicks)
        return f"no difference can be seen yet; about {more} more clicks of each would show one of {size}"
    return f"no difference can be seen; one of {size} would most likely have shown by now"
