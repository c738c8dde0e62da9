"""What a run saw, second by second, in bounded memory: counts and histograms, never a list of requests."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from loadtests.arrivals import Phase, Shape
from loadtests.histogram import Histogram

MOST_BINS = 3600
SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}
REASONS = 20


@dataclass(slots=True)
class Tally:
    """Requests of one kind."""

    latencies: Histogram = field(default_factory=Histogram)
    errors: int = 0

    @property
    def requests(self) -> int:
        """All of them. One that was never answered is an error without a latency."""
        return self.latencies.count + self.errors

    def figures(self) -> dict[str, Any]:
        """For the report."""
        latencies = {name: rounded(self.latencies.percentile(share)) for name, share in SHARES.items()}
        return {
            "requests": self.requests,
            "errors": self.errors,
            **latencies,
            "max_ms": rounded(self.latencies.largest if self.latencies.count else math.nan),
        }


class Recorder:
    """Counts what came of each request, by the second in which it was due, by its name and by its phase."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.bin_seconds = max(1, math.ceil(shape.seconds / MOST_BINS))
        self._bins: defaultdict[int, Tally] = defaultdict(Tally)
        self._names: defaultdict[str, Tally] = defaultdict(Tally)
        self._phases: defaultdict[Phase, Tally] = defaultdict(Tally)
        self.late = Histogram()
        self._late_bins: defaultdict[int, float] = defaultdict(float)
        self.acknowledged = 0
        self.uncertain = 0
        self.crowded = 0
        self.reasons: Counter[str] = Counter()

    def came(self, due: float, late_ms: float) -> None:
        """The generator came to an arrival that late. By itself: waiting for an answer is not its own lateness."""
        self.late.add(late_ms)
        at = self._bin(due)
        self._late_bins[at] = max(self._late_bins[at], late_ms)

    def answered(self, name: str, due: float, ms: float) -> None:
        """As it is documented, that long after its moment (`due`: seconds since the start)."""
        for tally in self._tallies(name, due):
            tally.latencies.add(ms)

    def failed(self, name: str, due: float, reason: str) -> None:
        """Otherwise, or not at all."""
        for tally in self._tallies(name, due):
            tally.errors += 1
        if reason in self.reasons or len(self.reasons) < REASONS:
            self.reasons[reason] += 1

    def kept(self, status: int) -> None:
        """A click's answer: 302 acknowledges it; without an answer (0) it may or may not have been kept."""
        self.acknowledged += status == 302
        self.uncertain += status == 0

    @property
    def requests(self) -> int:
        """All so far."""
        return sum(tally.requests for tally in self._phases.values())

    @property
    def errors(self) -> int:
        """All so far."""
        return sum(tally.errors for tally in self._phases.values())

    def recent(self, until: float, seconds: int = 5) -> dict[str, float]:
        """Of the last whole seconds before `until`: requests a second, p95 in milliseconds, errors of the whole run."""
        last = self._bin(until)
        bins = [self._bins[at] for at in range(max(0, last - seconds), last) if at in self._bins]
        p95 = Histogram.together(tally.latencies for tally in bins).percentile(0.95)
        requests = sum(tally.requests for tally in bins)
        span = max(1, min(seconds, last)) * self.bin_seconds
        return {"rate": requests / span, "p95_ms": rounded(p95), "errors": self.errors}

    def report(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "bin_seconds": self.bin_seconds,
            "seconds": [self._second(number) for number in range(self._last() + 1)],
            "names": {name: tally.figures() for name, tally in sorted(self._names.items())},
            "phases": {name: tally.figures() for name, tally in self._phases.items()},
            "all": {"requests": self.requests, "errors": self.errors, **self._overall()},
            "late": {
                "p50_ms": rounded(self.late.percentile(0.5)),
                "p99_ms": rounded(self.late.percentile(0.99)),
                "max_ms": rounded(self.late.largest),
                "crowded": self.crowded,
            },
            "acknowledged": self.acknowledged,
            "uncertain": self.uncertain,
            "reasons": dict(self.reasons.most_common()),
        }

    def _last(self) -> int:
        """The last second of the shape, or of what came after it."""
        planned = math.ceil(self._shape.seconds / self.bin_seconds) - 1
        return max([planned, *(number for number, tally in self._bins.items() if tally.requests)])

    def _overall(self) -> dict[str, float]:
        whole = Histogram.together(tally.latencies for tally in self._phases.values())
        return {name: rounded(whole.percentile(share)) for name, share in SHARES.items()}

    def _second(self, number: int) -> dict[str, Any]:
        second = number * self.bin_seconds
        tally = self._bins.get(number, Tally())
        figures = tally.figures()
        return {
            "second": second,
            "phase": self._shape.phase_at(second),
            "planned": round(self._shape.rate_at(second), 2),
            "requests": figures["requests"],
            "rate": round(figures["requests"] / self.bin_seconds, 2),
            "errors": figures["errors"],
            **{name: figures[name] for name in (*SHARES, "max_ms")},
            "late_ms": round(self._late_bins.get(number, 0.0), 3),
        }

    def _tallies(self, name: str, due: float) -> tuple[Tally, Tally, Tally]:
        return self._bins[self._bin(due)], self._names[name], self._phases[self._shape.phase_at(due)]

    def _bin(self, due: float) -> int:
        """A visitor's START may well be due after the shape has ended."""
        return int(max(due, 0.0) // self.bin_seconds)


def rounded(value: float) -> float | Any:
    """Three decimals; None for what is not a number, which JSON has no word for."""
    return None if math.isnan(value) else round(value, 3)
