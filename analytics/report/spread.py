"""What is usual and how much it varies, so that one odd day does not hide another: median and MAD. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

NORMAL = 1.4826
"""What makes the median absolute deviation of a normal distribution its standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usual:
    """The median of some days, and how far a day may be from it before it is odd."""

    median: float
    reach: float

    @classmethod
    def of(cls, values: Sequence[float], *, times: float, least: float = 0.0) -> "Usual":
        """`times` the spread, which is never less than `least`; at least one value."""
        middle = median(values)
        spread = NORMAL * median(abs(value - middle) for value in values)
        return cls(median=middle, reach=times * max(spread, least))

    @property
    def low(self) -> float:
        """Less than this is odd."""
        return self.median - self.reach

    @property
    def high(self) -> float:
        """More than this is odd."""
        return self.median + self.reach


def usual_count(values: Sequence[int], *, times: float) -> Usual:
    """Of counts: they vary by at least the square root of their size, and by a tenth of it from day to day."""
    middle = median(values)
    return Usual.of(values, times=times, least=max(sqrt(middle), middle / 10))
