"""What more daemons bring: clicks a second of one, two and three, in turn, on one machine and under the same generator."""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.ad import HEADERS, PATH
from loadtests.bench import WARM_SECONDS, Bench, open_bench
from loadtests.home import Home
from loadtests.machine import Pins, choose_pins, facts
from loadtests.measure import peak_complaints
from loadtests.plan import Plan, Say
from loadtests.report import WIDTH
from loadtests.scale_bars import FULL, Measured, Verdict, verdicts
from loadtests.steps import complaints_of
from loadtests.use import cpu_seconds
from loadtests.verdict import balance, faults_of
from loadtests.wrk import Peak, Wrk


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """So many daemons at once. rate: clicks a second of all; cores: what daemons, generator and Valkey used of cores.

    fullest: the share of its core that the busiest thread of the generator used. others: cores that worked for others.
    """

    daemons: int
    rate: float
    answered: int
    serving: float
    generating: float
    fullest: float
    redis: float
    others: float
    p99: float
    complaints: list[str]


@dataclass(slots=True, kw_only=True)
class ScaleReport:
    """Everything that was found. reasons: why it has failed, whatever the rates are."""

    plan: Plan
    machine: dict[str, object]
    cores: int
    rounds: list[dict[int, Sample]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def counts(self) -> list[int]:
        """How many daemons were measured."""
        return sorted({count for each in self.rounds for count in each})

    def median(self, count: int, of: str) -> float:
        """Over the rounds, of a field of the samples with so many daemons."""
        return statistics.median(float(getattr(each[count], of)) for each in self.rounds if count in each)

    def ratio(self, count: int) -> float:
        """How many times the clicks of one daemon, each round compared with itself; the median of that."""
        return statistics.median(
            each[count].rate / each[1].rate for each in self.rounds if count in each and 1 in each
        )

    @property
    def verdicts(self) -> list[Verdict]:
        """What is held, missed, or cannot be judged here."""
        if not self.rounds or any(set(each) != set(self.counts) for each in self.rounds):
            return []
        measured = Measured(
            cores=self.cores,
            ratios={count: self.ratio(count) for count in self.counts},
            fullest=max(sample.fullest for each in self.rounds for sample in each.values()),
            others=max(self.median(count, "others") for count in self.counts),
        )
        return verdicts(measured)

    @property
    def exit_code(self) -> int:
        """1 when a click was lost, something could not be measured, or a bar is missed."""
        return int(bool(self.reasons) or any(each.held is False for each in self.verdicts))


def measure_scale(plan: Plan, counts: Sequence[int], say: Say) -> ScaleReport:
    """Measure so many daemons at once, every count in each round, in an order that turns. RungFailed, OSError."""
    cores = choose_pins().cores
    # Nothing is pinned: which core serves is what the machine itself decides when there are many of them.
    pins = Pins(None, None, cores, f"unpinned, on {cores} cores")
    say(pins.note)
    with open_bench(plan, pins) as bench:
        homes = [bench.home(f"node {number}", node=str(number)) for number in range(max(counts))]
        report = ScaleReport(plan=plan, machine=facts(bench.folder, pins), cores=cores)
        for number in range(plan.rounds):
            turn = number % len(counts)
            samples: dict[int, Sample] = {}
            for count in [*counts[turn:], *counts[:turn]]:
                samples[count] = sample = _measure(bench, homes[:count])
                report.reasons += sample.complaints
                say(
                    f"round {number + 1}/{plan.rounds}  {count} at once  {sample.rate:>8,.0f}/s  p99 {sample.p99:.1f} ms"
                )
            report.rounds.append(samples)
        say("books")
        report.reasons += _books(bench, homes, report)
        return report


def _measure(bench: Bench, homes: Sequence[Home]) -> Sample:
    """A second of warming, then the measurement, at all of them at once."""
    plan = bench.plan
    with _serving(bench, homes) as (pids, valkey):
        warm = _all_at_once(bench, homes, WARM_SECONDS)
        before, began = _Times.now(pids, valkey), time.monotonic()
        peaks = _all_at_once(bench, homes, plan.seconds)
        took, after = time.monotonic() - began, _Times.now(pids, valkey)
        used = after.less(before, took)
        complaints = [
            text
            for home, first, peak in zip(homes, warm, peaks, strict=True)
            for text in (
                *peak_complaints("warm-up", first),
                *peak_complaints("peak", peak),
                *complaints_of(home.metrics()),
            )
        ]
    return Sample(
        daemons=len(homes),
        rate=sum(peak.rate for peak in peaks),
        answered=sum(peak.requests for peak in (*warm, *peaks)),
        serving=used.serving,
        generating=used.generating,
        # Threads of the same work: each has its part of what all of them used.
        fullest=used.generating / len(homes),
        redis=used.redis,
        others=max(0.0, used.busy - used.serving - used.generating - used.redis),
        p99=max(peak.p99 for peak in peaks),
        complaints=complaints,
    )


@contextmanager
def _serving(bench: Bench, homes: Sequence[Home]) -> Iterator[tuple[list[int], int]]:
    """The daemons, each on a home and spools of its own, with one Valkey; their process ids."""
    with ExitStack() as stack:
        valkey = bench.valkey()
        stack.callback(valkey.kill)
        children = []
        for home in homes:
            child = home.serve(bench.children, None, redis_url=valkey.url)
            stack.callback(child.kill)
            children.append(child)
        yield [child.pid for child in children], valkey.pid
        for child in children:
            child.end()


def _all_at_once(bench: Bench, homes: Sequence[Home], seconds: int) -> list[Peak]:
    """One thread of the generator for each daemon; they share the connections among them."""
    each = max(1, bench.plan.connections // len(homes))

    def one(home: Home) -> Peak:
        return Wrk(bench.plan.wrk, home.folder, each).get(home.public, PATH, HEADERS, seconds)

    with ThreadPoolExecutor(len(homes)) as threads:
        return list(threads.map(one, homes))


def _books(bench: Bench, homes: Iterable[Home], report: ScaleReport) -> list[str]:
    """Every answer must be in the books of its daemon, and its click in a store."""
    samples = [sample for each in report.rounds for sample in each.values()]
    answered = sum(sample.answered for sample in samples)
    # Of each of two runs, the requests that were under way at its end.
    spare = 2 * bench.plan.connections * len(samples)
    books = [home.books() for home in homes]
    found = [fault for each in books for fault in faults_of(each)]
    if found:
        return found
    # What SQL took directly may be in a spool too, until it is settled.
    twice = sum(each.direct for each in books)
    issued, stored = sum(each.issued for each in books), sum(each.stored for each in books)
    return balance("issued", issued, answered, spare) + balance("stored", stored, answered, spare + twice)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """Seconds of CPU so far; or, as a difference, cores."""

    serving: float
    generating: float
    redis: float
    busy: float

    @classmethod
    def now(cls, pids: Iterable[int], valkey: int) -> _Times:
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(
            serving=sum(cpu_seconds(pid) or 0.0 for pid in pids),
            generating=sum(usage.ru_utime + usage.ru_stime for usage in usages),
            redis=cpu_seconds(valkey) or 0.0,
            busy=_busy_of_all(),
        )

    def less(self, before: _Times, seconds: float) -> _Times:
        return _Times(
            serving=(self.serving - before.serving) / seconds,
            generating=(self.generating - before.generating) / seconds,
            redis=(self.redis - before.redis) / seconds,
            busy=(self.busy - before.busy) / seconds,
        )


def _busy_of_all() -> float:
    """What processes have used of all cores; 0 where the system does not tell."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    user, nice, system, steal = (int(fields[at]) for at in (1, 2, 3, 8))
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


def as_json(report: ScaleReport) -> dict[str, Any]:
    """For programs."""
    return {
        "machine": report.machine,
        "cores": report.cores,
        "seconds": report.plan.seconds,
        "rounds": report.plan.rounds,
        "connections": report.plan.connections,
        "daemons": [_row(report, count) for count in report.counts],
        "verdicts": [
            {"bar": each.bar, "measured": round(each.measured, 3), "held": each.held, "why": each.why}
            for each in report.verdicts
        ],
        "failed": report.reasons,
    }


def _row(report: ScaleReport, count: int) -> dict[str, Any]:
    rates = [each[count].rate for each in report.rounds if count in each]
    fields = ("rate", "serving", "generating", "redis", "others", "p99")
    return {
        "count": count,
        **{name: round(report.median(count, name), 3) for name in fields},
        "min": round(min(rates), 1),
        "max": round(max(rates), 1),
        "ratio": round(report.ratio(count), 3),
        "generator_fullest": round(report.median(count, "fullest"), 3),
    }


def print_scale(report: ScaleReport, console: Console | None = None) -> None:
    """A row for each count, the verdicts, and why it has failed if it has."""
    out = console or Console(highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    out.print(
        f"{report.machine['cpu']}, {report.cores} cores, Python {report.machine['python']}, "
        f"{report.machine['filesystem']}, fsync {report.machine['fsync_ms']} ms; "
        f"{report.plan.connections} connections, {report.plan.rounds} rounds of {report.plan.seconds} s in turn\n",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("daemons", "clicks/s", "min-max", "x one", "p99 ms"):
        table.add_column(name, justify="right")
    for name in ("serve", "generator", "Valkey", "others"):
        table.add_column(f"{name}: cores", justify="right")
    for count in report.counts:
        row = _row(report, count)
        table.add_row(
            str(count),
            f"{row['rate']:,.0f}",
            f"{row['min']:,.0f}-{row['max']:,.0f}",
            f"{row['ratio']:.2f}",
            f"{row['p99']:.1f}",
            *(f"{row[name]:.2f}" for name in ("serving", "generating", "redis", "others")),
        )
    out.print(table)
    out.print(
        f"Medians; `x one` is the median of the rounds' ratios. The generator is full at {FULL} of a core.\n"
    )
    for each in report.verdicts:
        said = {True: "held", False: "[bold red]MISSED[/]", None: "cannot be judged here"}[each.held]
        why = f": {each.why}" if each.why else ""
        out.print(f"{each.bar}: {each.measured:.2f}, {said}{why}", soft_wrap=True)
    for reason in report.reasons:
        out.print(f"[bold red]FAILED[/] {reason}", soft_wrap=True)
