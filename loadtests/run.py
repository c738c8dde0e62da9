"""One run of one shape: the target, Locust in a process of its own, the books, the verdict."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from loadtests.arrivals import Phase, Shape
from loadtests.children import Child, Children, clean_environment
from loadtests.job import JOB, PROGRESS, RESULT, Job, users_for
from loadtests.machine import Pins, choose_pins, facts, on_core
from loadtests.plan import ROOT, CannotRun, RungFailed, Say
from loadtests.target import Accounts, OwnTarget, Target, own_target
from loadtests.thresholds import WORDS, Check, Level, PhaseFigures, Thresholds, level

LOCUST_MISSING = "locust is not installed; the shapes need it. Install it: pip install 'trilha[load]'"
GRACE_SECONDS = 45.0
START_SECONDS = 30.0
POLL_SECONDS = 0.2
PASSED: tuple[Level, ...] = ("held", "owner_only")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What to run. `given`: a Trilha that is there, instead of one that `valkey` is started for."""

    shape: Shape
    mix: str
    scale: float
    shorten: float
    thresholds: Thresholds
    folder: Path
    valkey: Path | None = None
    given: Target | None = None
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class RunReport:
    """What came of it. `seen` is the generator's own account; `accounts` is None where the books are not ours to see."""

    shape: Shape
    mix: str
    scale: float
    shorten: float
    machine: dict[str, object]
    seen: dict[str, Any]
    checks: list[Check]
    level: Level
    accounts: Accounts | None = None
    complaints: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 when the owner's thresholds are missed, cannot be judged, or the books do not balance."""
        return int(self.level not in PASSED)

    @property
    def verdict(self) -> str:
        """In words."""
        return WORDS[self.level]


def need_locust() -> None:
    """CannotRun without it. It is looked for and not imported: it would patch this interpreter."""
    if importlib.util.find_spec("locust") is None:
        raise CannotRun(LOCUST_MISSING)


def run_shape(plan: RunPlan, say: Say) -> RunReport:
    """Run it to its end. RungFailed when a process died or could not be started."""
    need_locust()
    pins = choose_pins()
    say(pins.note if plan.given is None else "the target is not ours: its books are not looked at")
    machine = facts(plan.folder, pins)
    with on_core(pins.others):
        if plan.given is not None:
            seen = _generate(plan, plan.given, pins, say)
            return _judged(plan, machine, seen, None)
        if plan.valkey is None:
            raise CannotRun("a Trilha of one's own needs a Valkey")
        with own_target(plan.valkey, plan.folder, pins) as own:
            seen = _generate(plan, own.target, pins, say)
            return _judged(plan, machine, seen, _accounts(own, seen, say))


def _accounts(own: OwnTarget, seen: dict[str, Any], say: Say) -> Accounts:
    return own.close_books(seen["acknowledged"], seen["uncertain"], say)


def _judged(
    plan: RunPlan,
    machine: dict[str, object],
    seen: dict[str, Any],
    accounts: Accounts | None,
) -> RunReport:
    checks = plan.thresholds.checks(phases_of(seen))
    complaints = accounts.complaints if accounts else []
    late = (seen["late"]["p99_ms"] or 0.0) > plan.thresholds.late_p99_ms
    return RunReport(
        shape=plan.shape,
        mix=plan.mix,
        scale=plan.scale,
        shorten=plan.shorten,
        machine=machine,
        seen=seen,
        checks=checks,
        level=level(checks, late=late, books=not complaints),
        accounts=accounts,
        complaints=complaints,
    )


def phases_of(seen: dict[str, Any]) -> dict[Phase, PhaseFigures]:
    """What the thresholds are compared with; a phase in which nothing was answered is infinitely slow."""
    return {
        name: PhaseFigures(
            requests=figures["requests"],
            errors=figures["errors"],
            latencies={
                rule: float("inf") if value is None else value
                for rule, value in figures.items()
                if rule.endswith("_ms")
            },
        )
        for name, figures in seen["phases"].items()
    }


def _generate(plan: RunPlan, target: Target, pins: Pins, say: Say) -> dict[str, Any]:
    """Run Locust; what it saw."""
    with _folder(plan.folder) as folder, Children() as children:
        job = Job(
            shape=plan.shape,
            mix=plan.mix,
            seed=plan.seed,
            public=target.public,
            private=target.private,
            api_key_file=str(target.api_key_file),
            users=users_for(plan.shape),
            grace=GRACE_SECONDS,
            think=plan.shorten,
            folder=str(folder),
        )
        environment = {
            name: value for name, value in clean_environment().items() if not name.startswith("LOCUST_")
        } | {JOB: str(job.write()), "HOME": str(folder)}
        child = children.start(_command(), core=pins.others, log=folder / "locust.log", env=environment)
        _watch(child, job, folder, say)
        if not (folder / RESULT).exists():
            raise RungFailed(f"Locust left no result: {child.tail()}")
        seen: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        return seen


def _command() -> list[str]:
    quiet = ["--headless", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    return [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests" / "locustfile.py"), *quiet]


def _watch(child: Child, job: Job, folder: Path, say: Say) -> None:
    """Say how it goes until it has ended. RungFailed when it does not begin, or does not end."""
    deadline = time.monotonic() + job.shape.seconds + job.grace + START_SECONDS
    began = time.monotonic()
    told = _Told(folder / PROGRESS)
    while child.alive:
        for line in told.new():
            say(_line(line, job.shape))
        stuck = not told.any and time.monotonic() > began + START_SECONDS
        if stuck or time.monotonic() > deadline:
            child.kill()
            raise RungFailed(
                f"the generator did not {'begin' if stuck else 'come to an end'}: {child.tail()}"
            )
        time.sleep(POLL_SECONDS)


class _Told:
    """The lines of a file that grows."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._at = 0

    @property
    def any(self) -> bool:
        """Whether there was a line yet."""
        return self._at > 0

    def new(self) -> list[dict[str, Any]]:
        if not self._file.exists():
            return []
        with self._file.open("rb") as file:
            file.seek(self._at)
            whole, mark, _ = file.read().rpartition(b"\n")
        self._at += len(whole + mark)
        return [json.loads(line) for line in whole.splitlines()]


def _line(told: dict[str, Any], shape: Shape) -> str:
    p95 = "-" if told["p95_ms"] is None else f"{told['p95_ms']:.1f} ms"
    return (
        f"{told['second']:6.0f} of {shape.seconds:.0f} s   planned {told['planned']:6.0f}/s   "
        f"{told['rate']:6.0f} requests/s   p95 {p95:>9}   errors {told['errors']}"
        f"   generator late p99 {told['late_p99_ms']:.1f} ms"
    )


@contextmanager
def _folder(within: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="trilha-locust-", dir=within))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def as_json(report: RunReport) -> dict[str, Any]:
    """One object for scripts."""
    return {
        "shape": report.shape.name,
        "mix": report.mix,
        "scale": report.scale,
        "shorten": report.shorten,
        "seconds": report.shape.seconds,
        "verdict": report.level,
        "words": report.verdict,
        "exit_code": report.exit_code,
        "checks": [asdict(check) for check in report.checks],
        "accounts": asdict(report.accounts) if report.accounts else None,
        "machine": report.machine,
        **report.seen,
    }
