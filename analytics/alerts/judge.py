"""Judging: from what is measured and what was known, to what is known now and whether anybody is told. Pure.

    (nothing) -> pending -> firing -> resolved -> pending …

Nothing is told twice: a notice is due in the one step that changes the state, or when the last one is `remind` hours old.
"""

from dataclasses import dataclass, replace

from analytics.alerts.rules import Rule
from domain.alerts import AlertState, Kind

QUIET_MS = 120_000
"""How long a condition has to be over, at least, before an alert is: a minute of peace is none."""
LONGEST_QUIET_MS = 3_600_000
CALM_MS = 6 * 3_600_000
"""An alert that fires again within this time of its end flaps: each time its end has to be twice as long to be one."""
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state from now on (None: there is nothing to remember), and what is to be told of it."""

    state: AlertState | None
    notice: Kind | None = None


def judge(rule: Rule, measured: float, state: AlertState | None, now_ms: int) -> Verdict:
    """What becomes of an alert."""
    if state is None or state.phase == "resolved":
        return _begun(rule, measured, state, now_ms)
    if state.phase == "pending":
        return _pending(rule, measured, state, now_ms)
    return _firing(rule, measured, state, now_ms)


def quiet_ms(rule: Rule, flaps: int) -> int:
    """How long the condition has to be over before an alert that came back so often ends."""
    least = max(QUIET_MS, round(rule.holds_for * 1000))
    return max(least, min(least << min(flaps, 20), LONGEST_QUIET_MS))


def _begun(rule: Rule, measured: float, before: AlertState | None, now_ms: int) -> Verdict:
    if not measured > rule.bound:
        return Verdict(before)
    flaps = 0 if before is None or before.resolved_ms is None else _flaps(before, before.resolved_ms, now_ms)
    return _pending(rule, measured, AlertState(since_ms=now_ms, flaps=flaps, measured=measured), now_ms)


def _flaps(before: AlertState, resolved_ms: int, now_ms: int) -> int:
    return before.flaps + 1 if now_ms - resolved_ms < CALM_MS else 0


def _pending(rule: Rule, measured: float, state: AlertState, now_ms: int) -> Verdict:
    if not measured > rule.bound:
        # What is known of its flapping would go with it: it ends as one that never fired.
        return Verdict(replace(state, resolved_ms=now_ms) if state.flaps else None)
    if now_ms - state.since_ms < rule.holds_for * 1000:
        return Verdict(state)
    return Verdict(replace(state, fired_ms=now_ms, told_ms=now_ms, measured=measured), "firing")


def _firing(rule: Rule, measured: float, state: AlertState, now_ms: int) -> Verdict:
    if measured > rule.clear:
        goes_on = replace(state, cleared_ms=None)
        if now_ms - (state.told_ms or 0) < rule.remind * HOUR_MS:
            return Verdict(goes_on)
        return Verdict(replace(goes_on, told_ms=now_ms, measured=measured), "reminder")
    if state.cleared_ms is None:
        return Verdict(replace(state, cleared_ms=now_ms))
    if now_ms - state.cleared_ms < quiet_ms(rule, state.flaps):
        return Verdict(state)
    return Verdict(replace(state, resolved_ms=now_ms, told_ms=now_ms, measured=measured), "resolved")
