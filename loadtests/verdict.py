"""What a rung's measurements add up to: figures, or the reasons why there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from loadtests.home import Books
from loadtests.wrk import Peak


@dataclass(frozen=True, slots=True)
class Latencies:
    """Percentiles in milliseconds."""

    p50: float
    p99: float
    p999: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Latencies:
        """Of latencies in seconds; the nearest rank, so that each is one that was measured."""
        ordered = sorted(seconds)
        return cls(*(percentile(ordered, share) * 1000 for share in (0.5, 0.99, 0.999)))


@dataclass(slots=True, kw_only=True)
class Sample:
    """One measurement of one rung. `steady`: at the fixed `rate`. `spare`: requests that were sent, and whose answers nobody waited for.

    `foreign`: the share of the peak's time that a core of ours worked for others. `on_disk_…`: the share of clicks that were on the disk before their answer; None where nothing is promised.
    """

    answered: int
    spare: int
    peak: Peak
    rate: int
    steady: Latencies
    late_p99: float
    cpu_us: float | None = None
    foreign: float | None = None
    on_disk_steady: float | None = None
    on_disk_peak: float | None = None
    redis_bytes: float | None = None
    stored: int | None = None
    complaints: list[str] = field(default_factory=list)


Getter = Callable[[Sample], "float | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a rung's stores hold after all its measurements. None: there is no such store."""

    stored: int | None = None
    spool_bytes: float | None = None
    complaints: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Result:
    """A rung: its samples by round, and every reason why its figures may not be shown."""

    name: str
    compared: bool = True
    samples: dict[int, Sample] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)
    reasons: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """True when the figures may not be shown."""
        return bool(self.reasons)

    @property
    def answered(self) -> int:
        """Everything that was answered, warm-ups too: all of it must be stored."""
        return sum(sample.answered for sample in self.samples.values())

    @property
    def spare(self) -> int:
        """What may be stored beyond that: requests whose answers nobody waited for."""
        return sum(sample.spare for sample in self.samples.values())

    @property
    def rate(self) -> float:
        """Requests a second at the peak, the median of the rounds."""
        return self.median(lambda sample: sample.peak.rate)

    @property
    def fixed_rate(self) -> int:
        """Requests a second of the other measurement."""
        return next((sample.rate for sample in self.samples.values()), 0)

    @property
    def overloaded(self) -> bool:
        """True when the fixed rate is more than the rung can do: its latencies say how long it was measured, no more."""
        return self.rate < self.fixed_rate

    def median(self, of: Getter) -> float:
        """The median of a figure over the rounds; nan without any."""
        found = [value for sample in self.samples.values() if (value := of(sample)) is not None]
        return median(found) if found else float("nan")

    def judge(self) -> None:
        """Find every reason for FAILED. Called once, when all is measured."""
        for number, sample in self.samples.items():
            self.reasons += [f"round {number}: {text}" for text in sample.complaints]
        self.reasons += self.kept.complaints
        if not self.samples and not self.reasons:
            self.reasons.append("nothing was measured")
        stored = self.kept.stored
        if stored is not None and self.samples:
            self.reasons += balance("stored", stored, self.answered, self.spare)


def balance(name: str, stored: int, answered: int, spare: int) -> list[str]:
    """Empty when answered <= stored <= answered + spare."""
    if stored < answered:
        return [f"{name} {stored} < answered {answered}: {answered - stored} are lost"]
    if stored > answered + spare:
        return [f"{name} {stored} > answered {answered} + {spare} that may have been under way"]
    return []


def faults_of(books: Books) -> list[str]:
    """What the books of a Trilha home say against it."""
    if books.balanced:
        return []
    return [f"the books do not balance: {fault}" for fault in books.faults or ["no fault is named"]]


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank of a sorted sequence; nan of an empty one."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def added(result: Result, base: Result, of: Getter) -> float:
    """How much more than the base's, each round compared with itself; the median of that. nan without such rounds."""
    pairs = [
        (mine, theirs)
        for number in result.samples.keys() & base.samples.keys()
        if (mine := of(result.samples[number])) is not None
        and (theirs := of(base.samples[number])) is not None
    ]
    return median([mine - theirs for mine, theirs in pairs]) if pairs else float("nan")
