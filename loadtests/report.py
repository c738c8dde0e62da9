"""The report as JSON, and as tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadtests.ladder import DISTURBED, Report
from loadtests.plan import rounds_text
from loadtests.verdict import Getter, Latencies, Result, Sample, added

WIDTH = 110
FAILED = "FAILED"
_PERCENTILES = ("p50", "p99", "p999")


def as_json(report: Report) -> dict[str, Any]:
    """One object for scripts. A failed rung has `reasons`, and no figures."""
    plan = report.plan
    return {
        "machine": report.machine,
        "plan": {
            "seconds": plan.seconds,
            "rounds": plan.rounds,
            "connections": plan.connections,
            "rate": plan.rate,
        },
        "failed": bool(report.exit_code),
        "rungs": [_rung(report, result) for result in report.results],
        "settling": {name: _round(value) for name, value in asdict(report.settling).items()}
        if report.settling
        else None,
    }


def figures(report: Report, result: Result) -> dict[str, Any]:
    """All figures of a rung: medians over the rounds; None where there is nothing to say."""
    rates = [sample.peak.rate for sample in result.samples.values()]
    base, naive = (report.result(name) if result.compared else None for name in ("bare", "naive"))
    return {
        "peak": {
            "requests_per_second": _round(result.rate),
            "min": _round(min(rates)),
            "max": _round(max(rates)),
            "of_bare": _round(result.rate / base.rate) if base else None,
            "of_naive": _round(result.rate / naive.rate) if naive else None,
            "on_disk": _round(result.median(lambda sample: sample.on_disk_peak)),
            "cores_used_by_others": _round(result.median(lambda sample: sample.foreign)),
            "cpu_us": _round(result.median(lambda sample: sample.cpu_us)),
            **{f"{name}_ms": _round(result.median(_peak(name))) for name in _PERCENTILES},
        },
        "steady": {
            "requests_per_second": result.fixed_rate,
            "overloaded": result.overloaded,
            **{f"{name}_ms": _round(result.median(_steady(name))) for name in _PERCENTILES},
            **{
                f"{name}_added_ms": _round(added(result, base, _steady(name))) if base else None
                for name in _PERCENTILES[:2]
            },
            "on_disk": _round(result.median(lambda sample: sample.on_disk_steady)),
            "generator_late_p99_ms": _round(result.median(lambda sample: sample.late_p99)),
        },
        "stored": {
            "answered": result.answered,
            "stored": result.kept.stored,
            "redis_bytes": _round(result.median(lambda sample: sample.redis_bytes)),
            "spool_bytes": _round(result.kept.spool_bytes),
        },
    }


def worst_disturbance(report: Report) -> float:
    """The largest share of a peak's time in which a core worked for others."""
    shares = [s.foreign or 0 for result in report.results for s in result.samples.values()]
    return max(shares, default=0)


def print_tables(report: Report, console: Console | None = None) -> None:
    """Three tables, what each rung failed of, and the settling."""
    out = console or Console(highlight=False)
    if not out.is_terminal:
        out.width = WIDTH
    machine, plan = report.machine, report.plan
    out.print(
        f"{machine['cpu']}, cores: {machine['cores']}, Python {machine['python']}, {machine['filesystem']}, "
        f"fsync {machine['fsync_ms']} ms; {machine['pins']}\n",
        soft_wrap=True,
    )
    _print(
        out, report, f"As fast as it goes: {plan.connections} connections for {plan.seconds} s", _PEAK, "peak"
    )
    _print(out, report, "At a fixed rate, from the moment each was due", _STEADY, "steady")
    _print(out, report, "What was answered is stored; bytes for each click", _STORED, "stored")
    if report.settling:
        s = report.settling
        out.print(
            f"Settled: {s.rows:,} clicks of `durable` into SQL at {s.rows_per_second:,.0f}/s; "
            f"{s.bytes_per_click:,.0f} bytes for each in SQLite"
        )
    out.print(f"Figures: {rounds_text(plan)}. Each server is one process on one core.")
    disturbed = worst_disturbance(report)
    if disturbed > DISTURBED:
        out.print(
            f"[yellow]Other processes used up to {disturbed:.0%} of a core at a peak: measure again on an idle machine"
        )
    for result in report.results:
        for reason in result.reasons:
            out.print(f"[bold red]{FAILED}[/] {result.name}: {escape(reason)}", soft_wrap=True)


Column = tuple[str, Callable[[dict[str, Any]], str]]


def _column(heading: str, name: str, form: str) -> Column:
    return heading, lambda row: "-" if row[name] is None else format(row[name], form)


_PEAK: list[Column] = [
    _column("req/s", "requests_per_second", ",.0f"),
    ("min-max", lambda row: f"{row['min']:,.0f}-{row['max']:,.0f}"),
    _column("of bare", "of_bare", ".2f"),
    _column("of naive", "of_naive", ".2f"),
    _column("p50 ms", "p50_ms", ".2f"),
    _column("p99 ms", "p99_ms", ".2f"),
    _column("p99.9 ms", "p999_ms", ".2f"),
    _column("CPU µs", "cpu_us", ",.0f"),
    _column("on disk", "on_disk", ".1%"),
]
_STEADY: list[Column] = [
    _column("req/s", "requests_per_second", ",d"),
    _column("p50 ms", "p50_ms", ".2f"),
    _column("p99 ms", "p99_ms", ".2f"),
    _column("p99.9 ms", "p999_ms", ".2f"),
    _column("p50 over bare", "p50_added_ms", "+.2f"),
    _column("p99 over bare", "p99_added_ms", "+.2f"),
    _column("on disk", "on_disk", ".1%"),
]
_STORED: list[Column] = [
    _column("answered", "answered", ",d"),
    _column("stored", "stored", ",d"),
    _column("Redis", "redis_bytes", ",.0f"),
    _column("spool", "spool_bytes", ",.0f"),
]


def _print(out: Console, report: Report, title: str, columns: Iterable[Column], part: str) -> None:
    columns = list(columns)
    out.print(f"[italic]{title}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rung", no_wrap=True)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for result in report.results:
        if result.failed:
            table.add_row(result.name, f"[bold red]{FAILED}[/]")
        else:
            row = figures(report, result)[part]
            cells = [show(row) for _, show in columns]
            table.add_row(result.name, *([cells[0], "overloaded"] if row.get("overloaded") else cells))
    out.print(table)
    out.print()


def _rung(report: Report, result: Result) -> dict[str, Any]:
    shown = {} if result.failed else figures(report, result)
    return {"name": result.name, "failed": result.failed, "reasons": result.reasons, **shown}


def _peak(name: str) -> Getter:
    def get(sample: Sample) -> float:
        return float(getattr(sample.peak, name))

    return get


def _steady(name: str) -> Getter:
    def get(sample: Sample) -> float:
        latencies: Latencies = sample.steady
        return float(getattr(latencies, name))

    return get


def _round(value: float | None) -> float | None:
    """Four digits after the point are more than was measured; JSON has no nan."""
    return None if value is None or math.isnan(value) else round(value, 4)
