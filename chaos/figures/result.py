"""The result of a drill as JSON: what the report is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from chaos.drill import Drill
from chaos.figures.measure import measure, phases
from chaos.figures.promises import broken_words, kept_or_not, standard_with
from chaos.figures.timeline import timeline, total
from chaos.watch import DURABILITIES, Sample

ZEROS = ("acked_lost", "double_owner", "resurrected", "invented")
EFFECTS = {"double_effects": "effects", "missing_effects": "effects"}  # one figure of two findings
TIMES = ("detect_ms", "recover_s", "settle_s")


def result_of(
    experiment: dict[str, Any], journal: dict[str, Any], drill: Drill, *, judge_times: bool
) -> dict[str, Any]:
    """Everything about one drill, from Chaos Toolkit's journal and from what was measured."""
    drill.finish()
    figures = measure(drill)
    promises = kept_or_not(bounds_of(experiment), figures, judge_times=judge_times)
    broken = {promise["name"] for promise in promises if not promise["held"]}
    about = about_of(experiment)
    reasons = [broken_words(promise) for promise in promises if not promise["held"]]
    for prefix, findings in (("", "findings"), ("meta_", "meta"), ("telegram_", "telegram")):
        reasons += [f"{name}: {where}" for name, where in _samples(prefix, figures.get(findings), broken)]
    trouble = troubles_of(journal)
    verdict = "failed" if trouble else "broken" if reasons else "held"
    return about | {
        "verdict": verdict,
        "reasons": trouble + reasons,
        "began": datetime.fromtimestamp(drill.log.wall, UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z"),
        "seconds": round((drill.log.ended or drill.log.zero) - drill.log.zero, 1),
        "promises": promises,
        "zeros": {name: figures[name] for name in ZEROS},
        "times": {name: figures[name] for name in TIMES},
        "phases": [asdict(each) for each in phases(drill)],
        **_shares(drill),
        **_outside(figures),
        "starts": _starts(drill, figures["lost_starts"]),
        "backlog_peak": figures["backlog"],
        "breaker_opened": figures["breaker_opened"],
        "machine_stall_ms": figures["stall_ms"],
        "books": _books(figures),
        **_times(drill),
    }


def about_of(experiment: dict[str, Any]) -> dict[str, Any]:
    """What an experiment says of itself: name, title, tier, which faults it covers, what it needs."""
    said: dict[str, Any] = next(
        (each for each in experiment.get("extensions", []) if each.get("name") == "trilha"), {}
    )
    return {
        "name": said.get("drill", ""),
        "title": experiment["title"],
        "about": " ".join(experiment["description"].split()),
        "tier": said.get("tier", ""),
        "covers": said.get("covers", []),
    }


def bounds_of(experiment: dict[str, Any]) -> dict[str, float]:
    """What the experiment's hypothesis promises."""
    probes = experiment.get("steady-state-hypothesis", {}).get("probes", [])
    given = [probe["provider"].get("arguments", {}).get("at_most", {}) for probe in probes]
    return standard_with(given[0] if given else {})


def troubles_of(journal: dict[str, Any]) -> list[str]:
    """What went wrong with the drill itself: it began in no steady state, or an action could not be carried out."""
    before = journal.get("steady_states", {}).get("before") or {}
    unsteady = (
        [] if before.get("steady_state_met") else [_unsteady(probe) for probe in before.get("probes", [])]
    )
    runs = [*journal.get("run", []), *journal.get("rollbacks", [])]
    return unsteady + [
        f"{run['activity']['name']}: {(run.get('exception') or ['?'])[-1].strip()}"
        for run in runs
        if run["status"] == "failed"
    ]


def _unsteady(probe: dict[str, Any]) -> str:
    said = probe.get("output") or (probe.get("exception") or ["no steady state"])[-1]
    return f"before anything was broken: {str(said).strip()}"


def _outside(figures: dict[str, Any]) -> dict[str, Any]:
    """What is only there in drills of Meta and of Telegram."""
    wanted = ("meta_twice", "delivery", "pressed")
    return {name: figures[name] for name in wanted if figures.get(name) is not None}


def _samples(prefix: str, findings: Any, broken: Collection[str]) -> list[tuple[str, str]]:
    """The first places where a promise was broken."""
    if findings is None:
        return []
    names = [name for name in findings.__slots__ if EFFECTS.get(name, prefix + name) in broken]
    return [(prefix + name, where) for name in names for where in getattr(findings, name).samples[:3]]


def _shares(drill: Drill) -> dict[str, Any]:
    samples = drill.watch.samples
    durability = {name: round(total(samples, _receipts(name))) for name in DURABILITIES}
    asked = sum(durability.values())
    visible = total(samples, lambda s: s.visible)
    return {"durability": durability, "visible_share": round(visible / asked, 3) if asked else 0.0}


def _receipts(durability: str) -> Callable[[Sample], float]:
    return lambda sample: sample.receipts[durability]


def _starts(drill: Drill, lost: int) -> dict[str, int]:
    starts = drill.told().starts
    answered = [start for start in starts if start.status == 200]
    return {
        "asked": len({(start.token, start.person) for start in starts}),
        "answered": len({(start.token, start.person) for start in answered}),
        "owners": len({start.token for start in answered if start.owner}),
        "deferred": sum(start.state == "deferred" for start in answered),
        "lost": lost,
    }


def _books(figures: dict[str, Any]) -> dict[str, Any]:
    books = figures["books"]
    faults = list(figures["findings"].unbalanced.samples)
    return {
        "balanced": not faults,
        "faults": faults,
        "issued": books.issued,
        "synced": books.synced,
        "written": books.written,
        "token_only": books.token_only,
        "in_sql": books.settled,
        "in_spools": max(0, books.spooled - books.settled),
    }


def _times(drill: Drill) -> dict[str, Any]:
    log = drill.log
    end = log.ended or log.zero
    windows = [
        {
            "fault": w.fault,
            "from_s": round(w.began - log.zero, 2),
            "to_s": round((w.ended or end) - log.zero, 2),
        }
        for w in log.windows
    ]
    return {
        "windows": windows,
        "marks": [{"at_s": round(at - log.zero, 2), "text": text} for at, text in log.marks],
        "timeline": timeline(drill.told().clicks, drill.watch.samples, log.zero, end - log.zero),
    }
