"""The report as a picture."""

from __future__ import annotations

import importlib
import importlib.util
import math
from pathlib import Path

from loadtests.ladder import Report
from loadtests.plan import CannotRun, rounds_text


def need_matplotlib() -> None:
    """CannotRun when the picture could not be drawn: better said before the measurement than after it."""
    if importlib.util.find_spec("matplotlib") is None:
        raise CannotRun("--plot needs matplotlib. Install it: pip install 'trilha[load]'")


def save_plot(report: Report, file: Path) -> None:
    """A bar for each rung that has figures: requests a second relative to `bare`, and the two p99s."""
    new_figure = importlib.import_module("matplotlib.figure").Figure
    results = [result for result in report.results if not result.failed][::-1]
    base = report.result("bare")
    names = [result.name for result in results]
    rates = [result.rate / (base.rate if base else math.nan) for result in results]
    figure = new_figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    bars = left.barh(names, rates, color="#4878a8")
    left.bar_label(bars, [f"{r.rate:,.0f}/s" for r in results], padding=3, fontsize=8)
    left.set_xlim(0, max([rate for rate in rates if not math.isnan(rate)], default=1) * 1.2)
    left.set_xlabel(f"requests/s relative to bare, {report.plan.connections} connections")
    places = range(len(results))
    peak = [result.median(lambda sample: sample.peak.p99) for result in results]
    steady = [math.nan if r.overloaded else r.median(lambda sample: sample.steady.p99) for r in results]
    right.barh([at + 0.2 for at in places], peak, height=0.38, label="at the peak", color="#c0793f")
    right.barh([at - 0.2 for at in places], steady, height=0.38, label="at the fixed rate", color="#5b9b68")
    for bars in right.containers:
        right.bar_label(bars, fmt="{:.1f}", padding=3, fontsize=7)
    right.set_xscale("log")
    right.set_xlim(0.1, max(peak, default=1) * 4)
    right.set_xlabel("p99, ms (logarithmic)")
    right.legend()
    figure.suptitle(f"{report.machine['cpu']}, one server process on one core, {rounds_text(report.plan)}")
    figure.savefig(file, dpi=130)
