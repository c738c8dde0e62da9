"""Shares of counts, and how far they can be trusted: Wilson's interval for one, Newcombe's for the difference of two."""

from dataclasses import dataclass
from math import ceil, sqrt

Z95 = 1.959963984540054
"""The normal distribution's 97.5th percentile: intervals here are 95 % ones."""
_POWER80 = 0.8416212335729143


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """`part` of `whole`, and the interval (Wilson score, 95 %) in which the true share lies. All None when `whole` is 0."""

    part: int
    whole: int
    share: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, part: int, whole: int) -> "Share":
        """The share with its interval. A part beyond the whole counts as the whole: starts may precede their clicks."""
        if whole <= 0:
            return cls(part=part, whole=whole, share=None, low=None, high=None)
        low, high = wilson(part, whole)
        return cls(part=part, whole=whole, share=part / whole, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The second share less the first, with Newcombe's 95 % interval. `certain`: zero lies outside it."""

    difference: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """True when the data show a difference."""
        return self.low > 0 or self.high < 0


def wilson(part: int, whole: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval without continuity correction (Wilson 1927): both ends lie in 0 to 1."""
    share = min(max(part / whole, 0.0), 1.0)
    square = z * z
    middle = share + square / (2 * whole)
    reach = z * sqrt(share * (1 - share) / whole + square / (4 * whole * whole))
    scale = 1 + square / whole
    return max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale)


def newcombe(first: Share, second: Share, z: float = Z95) -> Difference | None:
    """`second` less `first`, by default with 95 %, by Newcombe's method 10 (Statistics in Medicine 17, 1998); None when either has no whole."""
    if first.share is None or second.share is None:
        return None
    p1, p2 = min(first.share, 1.0), min(second.share, 1.0)
    (l1, u1), (l2, u2) = wilson(first.part, first.whole, z), wilson(second.part, second.whole, z)
    return Difference(
        difference=p2 - p1,
        low=p2 - p1 - sqrt((p2 - l2) ** 2 + (u1 - p1) ** 2),
        high=p2 - p1 + sqrt((u2 - p2) ** 2 + (p1 - l1) ** 2),
    )


def needed_each(share: float, difference: float) -> int:
    """How many of each are needed to see that difference from `share` (two-sided 5 %, power 80 %; Fleiss, normal)."""
    other = min(max(share + difference, 0.0), 1.0)
    if other == share:
        other = max(share - difference, 0.0)
    gap = abs(other - share)
    if not gap:
        return 0
    middle = (share + other) / 2
    unequal = sqrt(share * (1 - share) + other * (1 - other))
    return ceil(((Z95 * sqrt(2 * middle * (1 - middle)) + _POWER80 * unequal) / gap) ** 2)
