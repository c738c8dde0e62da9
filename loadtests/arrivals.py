"""When visitors come: a rate over time, and the moments that it gives.

A shape is a row of segments; in each the rate goes in a straight line from one value to another. Moments are a Poisson
process of that rate: visitors do not know of one another, so they bunch, and a server has to stand that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Phase = Literal["normal", "spike"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """`seconds` during which the rate goes from `start` to `end` arrivals a second."""

    seconds: float
    start: float
    end: float
    phase: Phase = "normal"

    @property
    def arrivals(self) -> float:
        """How many are expected."""
        return self.seconds * (self.start + self.end) / 2

    def time_of(self, arrivals: float) -> float:
        """Seconds from its start until that many are expected. At most `self.arrivals`."""
        slope = (self.end - self.start) / self.seconds
        if abs(slope) < 1e-12:
            return arrivals / self.start
        root = math.sqrt(max(0.0, self.start**2 + 2 * slope * arrivals))
        return min(self.seconds, (root - self.start) / slope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A named course of the rate. `fixed`: its length is part of it, and cannot be chosen in minutes."""

    name: str
    about: str
    segments: tuple[Segment, ...]
    fixed: bool = True

    @property
    def seconds(self) -> float:
        """Its whole length."""
        return sum(segment.seconds for segment in self.segments)

    @property
    def arrivals(self) -> float:
        """How many are expected in all."""
        return sum(segment.arrivals for segment in self.segments)

    @property
    def peak(self) -> float:
        """The highest rate, in arrivals a second."""
        return max(max(segment.start, segment.end) for segment in self.segments)

    def rate_at(self, second: float) -> float:
        """Arrivals a second at that time; where it jumps, the rate that begins then. 0 outside."""
        began = 0.0
        for segment in self.segments:
            if began <= second < began + segment.seconds:
                share = (second - began) / segment.seconds
                return segment.start + share * (segment.end - segment.start)
            began += segment.seconds
        return 0.0

    def phase_at(self, second: float) -> Phase:
        """What counts as a spike is judged more mildly."""
        began = 0.0
        for segment in self.segments:
            if began <= second < began + segment.seconds:
                return segment.phase
            began += segment.seconds
        return self.segments[-1].phase

    def changed(self, *, scale: float = 1.0, shorten: float = 1.0) -> Shape:
        """The same course at `scale` times the rate, in a `shorten`th of the time."""
        segments = tuple(
            Segment(
                seconds=part.seconds / shorten,
                start=part.start * scale,
                end=part.end * scale,
                phase=part.phase,
            )
            for part in self.segments
        )
        return Shape(name=self.name, about=self.about, segments=segments, fixed=self.fixed)

    def lasting(self, minutes: float) -> Shape:
        """The same rate for that long. ValueError when the length is part of the shape."""
        if self.fixed:
            raise ValueError(
                f"the length of {self.name} is part of it; --shorten makes it shorter, --minutes does not"
            )
        longer = minutes * 60 / self.seconds
        return self.changed(shorten=1 / longer)

    def moments(self, seed: int) -> Iterator[float]:
        """Seconds since the start at which somebody comes, in order; the same ones for the same seed."""
        chance = random.Random(seed)
        began, ahead = 0.0, chance.expovariate(1.0)
        for segment in self.segments:
            while ahead < segment.arrivals:
                yield began + segment.time_of(ahead)
                ahead += chance.expovariate(1.0)
            ahead -= segment.arrivals
            began += segment.seconds
