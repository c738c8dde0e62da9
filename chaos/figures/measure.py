"""Every figure that an experiment may set a tolerance for, by its name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import inf
from typing import Any

from chaos.checker.check import Findings, check
from chaos.checker.undone import without_undone
from chaos.drill import EVENTS, Drill
from chaos.figures import breakers
from chaos.figures.forged import forged_accepted
from chaos.figures.phases import Phase, phase, quantile
from chaos.figures.visible import visible_figures
from chaos.stage.trilha import TrilhaProcess

QUIET_MS = 10.0


def measure(drill: Drill) -> dict[str, Any]:
    """All figures of the drill so far: how often each invariant is broken, what visitors felt, how long the breakers took.

    Latencies are of all visits since the drill was warm. `stall_ms` is what the machine itself adds to them.
    """
    evidence = drill.evidence()
    told, undone = without_undone(evidence.told, evidence.held, drill.log.undone)
    findings = check(
        told,
        evidence.held,
        events=EVENTS,
        erased=evidence.erased,
        until=evidence.until,
        receipts_lost=drill.log.receipts_lost,
        damaged=drill.log.damaged,
        asked_again=drill.stage.asked_again(),
    )
    clicks = evidence.told.clicks
    whole = phase("whole", clicks, 0.0, inf, drill.log.zero)
    outside = drill.outside.figures(
        evidence.held,
        events=EVENTS,
        erased=evidence.erased.clicks,
        now=drill.log.to_wall(drill.log.ended or time.monotonic()),
        final=evidence.until is None,
    )
    counts = {name: getattr(findings, name).count for name in Findings.__slots__}
    return {
        **counts,
        **outside,
        **visible_figures(drill),
        "findings": findings,
        "books": evidence.held.books,
        "effects": counts["double_effects"] + counts["missing_effects"],
        "non_302": sum(c.status not in (0, 302) or (c.status == 302 and not c.token) for c in clicks),
        "errors": sum(not c.status for c in clicks),
        "p99_ms": whole.p99_ms,
        "p999_ms": whole.p999_ms,
        "max_ms": whole.max_ms,
        "p99_ratio": p99_ratio(drill),
        "undone": undone,
        "p99_under_fault_ratio": p99_under_fault_ratio(drill),
        "forged_accepted": forged_accepted(drill.stage.folder),
        "stall_ms": stall_ms(drill),
        "token_only": evidence.held.books.token_only,
        "detect_ms": detect_ms(drill),
        "recover_s": recover_s(drill),
        "settle_s": settle_s(drill),
        "backlog": round(max((sample.backlog for sample in drill.watch.samples), default=0)),
        "breaker_opened": breaker_opened(drill),
    }


def phases(drill: Drill) -> list[Phase]:
    """Before the first fault, while any fault was there, and after the last."""
    log, clicks = drill.log, drill.told().clicks
    end = (log.ended or time.monotonic()) - log.zero
    if not log.windows:
        return [phase("before", clicks, 0.0, end, log.zero)]
    first = log.windows[0].began - log.zero
    last = max(window.ended or log.ended or window.began for window in log.windows) - log.zero
    stretches = (("before", 0.0, first), ("fault", first, last), ("after", last, end))
    return [phase(name, clicks, begins, ends, log.zero) for name, begins, ends in stretches]


def p99_ratio(drill: Drill) -> float:
    """How many times as slow redirects were after the last fault as before the first, by their p99; 1 before any fault."""
    stretches = phases(drill)
    before, after = stretches[0].p99_ms, stretches[-1].p99_ms
    return round(after / before, 2) if before else 1.0


def p99_under_fault_ratio(drill: Drill) -> float:
    """How many times as slow redirects were while anything was broken as before, by their p99; 1 before any fault."""
    before, *under = phases(drill)[:2]
    return round(under[0].p99_ms / before.p99_ms, 2) if under and before.p99_ms else 1.0


def stall_ms(drill: Drill) -> float:
    """How late the crowd came to its own visits (p99.9), or how long visits took while nothing was broken, less QUIET_MS.

    A machine that stalls does so to everybody on it: a promise of milliseconds can only be kept on top of that.
    """
    late = sorted(click.late_ms for click in drill.told().clicks if click.at >= drill.log.zero)
    return round(max(quantile(late, 0.999), phases(drill)[0].p999_ms - QUIET_MS, 0.0), 3)


def turns(drill: Drill) -> list[breakers.Turn]:
    """Of all daemons' breakers."""
    return [turn for daemon in drill.stage.daemons for turn in _turns_of(daemon)]


def _turns_of(daemon: TrilhaProcess) -> list[breakers.Turn]:
    if not daemon.log.exists():
        return []
    with daemon.log.open(errors="replace") as log:
        return breakers.turns(log)


def breaker_opened(drill: Drill) -> int:
    """How often breakers opened since the first fault; 0 before any."""
    windows = drill.log.windows
    return breakers.openings(turns(drill), drill.log.to_wall(windows[0].began)) if windows else 0


def detect_ms(drill: Drill) -> float | None:
    """From the first fault until a breaker opened; 0 before any fault, None if none opened."""
    windows = drill.log.windows
    if not windows:
        return 0.0
    return breakers.detected(turns(drill), drill.log.to_wall(windows[0].began))


def recover_s(drill: Drill) -> float | None:
    """From the end of the last fault until every breaker was closed again."""
    healed = healed_at(drill)
    return 0.0 if healed is None else breakers.recovered(turns(drill), drill.log.to_wall(healed))


def settle_s(drill: Drill) -> float | None:
    """From the end of the last fault until no more waited in the spools than before the first."""
    healed = healed_at(drill)
    if healed is None:
        return 0.0
    samples = drill.watch.samples
    calm = [s.backlog for s in samples if drill.log.zero <= s.at < drill.log.windows[0].began]
    usual = max(calm, default=0)
    return first_calm([(s.at, s.backlog) for s in samples if s.at >= healed], usual, healed)


def first_calm(seen: Sequence[tuple[float, float]], usual: float, since: float) -> float | None:
    """Seconds from `since` until the backlog no longer exceeded the usual; None if it still did when last seen."""
    over = [at for at, backlog in seen if backlog > usual]
    later = [at for at, _ in seen if not over or at > over[-1]]
    return round((later[0] - since if over else 0.0), 2) if later else None


def healed_at(drill: Drill) -> float | None:
    """The monotonic second at which the last fault was gone; None when there was none, or one is still there."""
    windows = drill.log.windows
    if not windows or any(window.ended is None for window in windows):
        return None
    return max(window.ended or 0.0 for window in windows)
