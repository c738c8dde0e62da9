"""The report of a run of drills as values, and the one JSON file that it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

VERSION = 1
Verdict = Literal["held", "broken", "skipped", "failed"]
Bound = bool | int | float | str | None


class ReportUnreadable(Exception):
    """A file is not a report that this version reads; the message says what is wrong with it, and where."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the report. Fields that it does not know are ignored, so that older readers read newer files."""


class Machine(Value, frozen=True, kw_only=True):
    """What the drills ran on. A server that was not used has no version."""

    cores: int
    kernel: str
    python: str
    valkey: str | None = None
    postgres: str | None = None
    root: bool = False


class Promise(Value, frozen=True, kw_only=True):
    """One thing that was promised of a drill beforehand: its bound, and what was measured."""

    name: str
    text: str
    bound: Bound
    value: Bound
    unit: str = ""
    held: bool


class Zeros(Value, frozen=True, kw_only=True):
    """The four figures that must be 0 in every drill."""

    acked_lost: int
    double_owner: int
    resurrected: int
    invented: int

    @property
    def total(self) -> int:
        """All four as one figure: 0, or something that must never happen has happened."""
        return self.acked_lost + self.double_owner + self.resurrected + self.invented


class Times(Value, frozen=True, kw_only=True):
    """Until the fault was noticed (ms), until all was as before (s), until the backlog was gone (s). None: not measured."""

    detect_ms: float | None = None
    recover_s: float | None = None
    settle_s: float | None = None


class Phase(Value, frozen=True, kw_only=True):
    """What visitors met before, during or after the fault. Latencies in ms; None where nobody was answered."""

    name: str
    from_s: float
    to_s: float
    asked: int
    answered: int
    non_302: int
    errors: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    p999_ms: float | None = None
    max_ms: float | None = None

    @property
    def unanswered(self) -> int:
        """Visitors without an answer: those who met an error, and those nobody has heard of since."""
        return max(self.errors, self.asked - self.answered)

    @property
    def missed(self) -> int:
        """Visitors who were not sent on."""
        return self.non_302 + self.unanswered


class Durability(Value, frozen=True, kw_only=True):
    """Clicks of the drill by what was promised of them."""

    synced: int
    written: int
    token_only: int

    @property
    def total(self) -> int:
        """All clicks of the drill."""
        return self.synced + self.written + self.token_only


class Starts(Value, frozen=True, kw_only=True):
    """People who pressed START, and what became of it."""

    asked: int
    answered: int
    owners: int
    deferred: int
    lost: int


class Books(Value, frozen=True, kw_only=True):
    """Conservation of clicks (I8) after the drill; `faults` says in words what does not add up."""

    balanced: bool
    faults: tuple[str, ...] = ()
    issued: int
    synced: int
    written: int
    token_only: int
    in_sql: int
    in_spools: int


class Window(Value, frozen=True, kw_only=True):
    """When a fault was on; seconds from the beginning of the drill."""

    fault: str
    from_s: float
    to_s: float


class Mark(Value, frozen=True, kw_only=True):
    """A moment worth naming; seconds from the beginning of the drill."""

    at_s: float
    text: str


Series = tuple[float | None, ...]


class Timeline(Value, frozen=True, kw_only=True):
    """The drill step by step. Series may end early; None where a step has no figure."""

    step_s: float
    rate: Series = ()
    errors: Series = ()
    p50_ms: Series = ()
    p99_ms: Series = ()
    max_ms: Series = ()
    synced: Series = ()
    written: Series = ()
    token_only: Series = ()
    breakers: dict[str, tuple[int | None, ...]] = {}
    backlog: Series = ()


class Drill(Value, frozen=True, kw_only=True):
    """One drill and its verdict. One that was not carried out has reasons, and no figures."""

    name: str
    title: str
    about: str
    tier: str
    covers: tuple[str, ...]
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    began: str | None = None
    seconds: float | None = None
    promises: tuple[Promise, ...] = ()
    zeros: Zeros | None = None
    times: Times = Times()
    phases: tuple[Phase, ...] = ()
    durability: Durability | None = None
    visible_share: float | None = None
    starts: Starts | None = None
    backlog_peak: int | None = None
    breaker_opened: int | None = None
    machine_stall_ms: float | None = None
    books: Books | None = None
    windows: tuple[Window, ...] = ()
    marks: tuple[Mark, ...] = ()
    timeline: Timeline | None = None

    @property
    def ran(self) -> bool:
        """Whether it was carried out to its end, and so says something about the product."""
        return self.verdict in {"held", "broken"}

    @property
    def fault(self) -> Phase | None:
        """The phase in which the fault was on, if it came to that."""
        return next((phase for phase in self.phases if phase.name == "fault"), None)


class Report(Value, frozen=True, kw_only=True):
    """One run of drills."""

    version: int = VERSION
    trilha: str
    began: str
    seconds: float
    machine: Machine
    verdict: Literal["held", "broken"]
    drills: tuple[Drill, ...]

    def having(self, *verdicts: Verdict) -> tuple[Drill, ...]:
        """The drills of one of these verdicts, in the order in which they ran."""
        return tuple(drill for drill in self.drills if drill.verdict in verdicts)


class _Version(msgspec.Struct):
    version: int


def load(path: Path) -> Report:
    """The report in the file. Raises ReportUnreadable; OSError when there is no such file."""
    return parse(path.read_bytes(), str(path))


def save(report: Report, path: Path) -> None:
    """Write the report, readably, as `load` reads it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def parse(raw: bytes, name: str = "the report") -> Report:
    """The report in these bytes; `name` is what errors call them. Raises ReportUnreadable."""
    try:
        version = msgspec.json.decode(raw, type=_Version).version
        if version != VERSION:
            raise ReportUnreadable(f"{name}: version {version}; this program reads version {VERSION}")
        report = msgspec.json.decode(raw, type=Report)
    except msgspec.ValidationError as error:
        raise ReportUnreadable(f"{name}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReportUnreadable(f"{name}: not JSON ({error})") from error
    _complete(report, name)
    return report


def _complete(report: Report, name: str) -> None:
    names: set[str] = set()
    for drill in report.drills:
        if drill.name in names:
            raise ReportUnreadable(f"{name}: two drills are called {drill.name!r}")
        names.add(drill.name)
        # A figure that was never measured must not be shown as if it were 0.
        if drill.ran and (drill.zeros is None or not drill.phases):
            missing = "phases" if drill.zeros else "zeros"
            raise ReportUnreadable(f"{name}: drill {drill.name!r} is {drill.verdict}, and has no `{missing}`")
