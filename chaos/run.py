"""Running drills, one after the other: each is a Chaos Toolkit experiment, run by its own library in this process."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Protocol

from chaoslib.experiment import run_experiment
from chaoslib.types import Strategy

from chaos.catalogue import Experiment
from chaos.machine import machine
from chaos.toolkit.current import current

Result = dict[str, Any]


class Listener(Protocol):
    """Hears how drills go: which began, what happens in it, and how it ended."""

    def started(self, name: str, number: int, total: int) -> None: ...
    def said(self, text: str) -> None: ...
    def ended(self, drill: Result) -> None: ...


def run_drills(wanted: Iterable[Experiment], listener: Listener) -> Result:
    """Run them all, whatever becomes of each, and return the report. KeyboardInterrupt ends the one under way first."""
    began, at = time.monotonic(), datetime.now(UTC)
    drills = list(wanted)
    results = [_heard(each, number, len(drills), listener) for number, each in enumerate(drills, 1)]
    return {
        "version": 1,
        "trilha": metadata.version("trilha"),
        "began": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "seconds": round(time.monotonic() - began, 1),
        "machine": machine(),
        "verdict": "held" if all(each["verdict"] in ("held", "skipped") for each in results) else "broken",
        "drills": results,
    }


def _heard(experiment: Experiment, number: int, total: int, listener: Listener) -> Result:
    listener.started(experiment.name, number, total)
    result = run_drill(experiment, listener.said)
    listener.ended(result)
    return result


def run_drill(experiment: Experiment, say: Callable[[str], None]) -> Result:
    """Run one. Never raises for what goes wrong in it: that is its result."""
    if experiment.missing:
        return without_run(experiment, "skipped", experiment.missing)
    logging.getLogger("logzero_default").setLevel(logging.CRITICAL)
    current().say = say
    journal = run_experiment(experiment.load(), strategy=Strategy.DEFAULT)
    result: Result | None = journal.get("trilha")
    if result is None:
        return without_run(experiment, "failed", [_why(journal)])
    return result


def without_run(experiment: Experiment, verdict: str, reasons: list[str]) -> Result:
    """The result of a drill that was not carried out."""
    return {
        "name": experiment.name,
        "title": experiment.title,
        "about": experiment.about,
        "tier": experiment.tier,
        "covers": list(experiment.covers),
        "verdict": verdict,
        "reasons": reasons,
    }


def _why(journal: dict[str, Any]) -> str:
    """What kept Chaos Toolkit from giving any figures."""
    probes = (journal.get("steady_states", {}).get("before") or {}).get("probes", [])
    failed = [(p.get("exception") or ["?"])[-1].strip() for p in probes if p.get("status") == "failed"]
    return "; ".join(failed) or f"the experiment ended as {journal.get('status', 'nothing')}"
