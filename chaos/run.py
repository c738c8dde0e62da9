"""Running drills, one after the other: each is a Chaos Toolkit experiment, run by its own library in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Protocol

import msgspec
from chaoslib.experiment import run_experiment
from chaoslib.types import Strategy

from chaos.catalogue import Experiment
from chaos.machine import machine
from chaos.report.result import Drill, Report, Verdict
from chaos.toolkit.current import current


class Listener(Protocol):
    """Hears how drills go: which began, what happens in it, and how it ended."""

    def started(self, name: str, number: int, total: int) -> None: ...
    def said(self, text: str) -> None: ...
    def ended(self, drill: Drill) -> None: ...


def run_drills(
    wanted: Sequence[Experiment], listener: Listener, *, judge_times: bool = True
) -> Iterator[Report]:
    """Run them all, whatever becomes of each; the report so far, after each of them.

    KeyboardInterrupt takes down the one under way, and then goes on upwards.
    """
    began, at = time.monotonic(), datetime.now(UTC)
    ran_on, drills = machine(), list[Drill]()
    current().judge_times = judge_times
    for number, each in enumerate(wanted, 1):
        drills.append(_heard(each, number, len(wanted), listener))
        yield Report(
            trilha=metadata.version("trilha"),
            began=at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            seconds=round(time.monotonic() - began, 1),
            machine=ran_on,
            verdict="held" if all(drill.verdict in ("held", "skipped") for drill in drills) else "broken",
            drills=tuple(drills),
        )


def _heard(experiment: Experiment, number: int, total: int, listener: Listener) -> Drill:
    listener.started(experiment.name, number, total)
    drill = run_drill(experiment, listener.said)
    listener.ended(drill)
    return drill


def run_drill(experiment: Experiment, say: Callable[[str], None]) -> Drill:
    """Run one. Never raises for what goes wrong in it: that is its verdict."""
    if experiment.missing:
        return without_run(experiment, "skipped", experiment.missing)
    logging.getLogger("logzero_default").setLevel(logging.CRITICAL)
    current().say = say
    journal = run_experiment(experiment.load(), strategy=Strategy.DEFAULT)
    if journal["status"] == "interrupted":  # Chaos Toolkit keeps it to itself
        raise KeyboardInterrupt
    if "trilha" not in journal:
        return without_run(experiment, "failed", [_why(journal)])
    return msgspec.convert(journal["trilha"], Drill)


def without_run(experiment: Experiment, verdict: Verdict, reasons: Sequence[str]) -> Drill:
    """A drill that was not carried out, and why."""
    return Drill(
        name=experiment.name,
        title=experiment.title,
        about=experiment.about,
        tier=experiment.tier,
        covers=experiment.covers,
        verdict=verdict,
        reasons=tuple(reasons),
    )


def _why(journal: dict[str, Any]) -> str:
    """What kept Chaos Toolkit from giving any figures."""
    probes = (journal.get("steady_states", {}).get("before") or {}).get("probes", [])
    failed = [(p.get("exception") or ["?"])[-1].strip() for p in probes if p.get("status") == "failed"]
    return "; ".join(failed) or f"the experiment ended as {journal.get('status', 'nothing')}"
