"""What Meta has against what it should have. Pure, but for the reading of the outbox.

It believes the loopback Meta, the clicks and the outbox in SQL, and shares no code with the product: a click's event has the
id that docs/reference/meta-events.md says.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from chaos.checker.check import Finding
from chaos.checker.held import Held

LIFE_SECONDS = 7 * 86_400
ROUND_SECONDS = 60
"""An event is given up a minute before Meta would refuse it: the way there takes time."""
TOO_OLD = "older than 7 days"
FINAL = ("rejected", "dead", "skipped")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A row of the outbox to Meta. `click` is hex, or empty; times are Unix seconds; `reason` and `code` empty for none."""

    event_id: str
    event: str
    click: str
    state: str
    reason: str = ""
    code: str = ""
    at: float
    sent_at: float | None = None
    next_at: float = 0.0
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMeta:
    """accepted: how often each event came in calls that were accepted. faulty: what it has refused a call for."""

    accepted: Mapping[str, int]
    faulty: Collection[str]


@dataclass(slots=True, kw_only=True)
class MetaFindings:
    """What is broken. All are 0 when conversions are delivered as promised.

    missing: owned clicks whose event neither is at Meta nor has ended for a reason. unknown: at Meta, and of nobody who
    pressed START. silent: called sent and not at Meta, or ended without a reason. wronged: rejected though Meta never
    refused it, or given up as too old though it is not.
    """

    missing: Finding = field(default_factory=Finding)
    unknown: Finding = field(default_factory=Finding)
    silent: Finding = field(default_factory=Finding)
    wronged: Finding = field(default_factory=Finding)


def check_meta(
    held: Held,
    reports: Collection[Report],
    meta: AtMeta,
    *,
    events: Collection[str],
    erased: Collection[str] = (),
    now: float,
    final: bool = True,
) -> MetaFindings:
    """Compare. events: what every owned click is reported as. erased: clicks whose events may be at Meta and nowhere else.

    now: Unix seconds. final: False while the crowd is clicking, when what is pending is not missing yet, and Meta may know more than `held`.
    """
    findings = MetaFindings()
    by_id = {each.event_id: each for each in reports}
    _missing(findings, held, by_id, meta, events, final=final)
    if final:
        _unknown(
            findings, held, by_id, meta, {event_id(click, event) for click in erased for event in events}
        )
    for each in reports:
        _silent(findings, each, meta)
        _wronged(findings, each, meta, now)
    return findings


def event_id(click: str, event: str) -> str:
    """Of what happens to a click once: UUIDv5 of `CLICK/EVENT` in the namespace of Trilha's events."""
    space = uuid.uuid5(uuid.NAMESPACE_URL, "trilha:event")
    return str(uuid.uuid5(space, f"{uuid.UUID(click)}/{event}"))


def _missing(
    findings: MetaFindings,
    held: Held,
    by_id: Mapping[str, Report],
    meta: AtMeta,
    events: Collection[str],
    *,
    final: bool,
) -> None:
    ended = FINAL if final else (*FINAL, "pending")
    for click, row in held.clicks.items():
        if row.owner is None or not row.has_click or row.erased:
            continue
        for event in events:
            known = event_id(click, event)
            report = by_id.get(known)
            if known not in meta.accepted and (report is None or report.state not in ended):
                findings.missing.add(f"click {click}: {event} is {_how(report)}")


def _how(report: Report | None) -> str:
    if report is None:
        return "nowhere"
    return f"{report.state}, attempts {report.attempts}, next {report.next_at - report.at:+.0f} s, {report.reason or 'no reason'}"


def _unknown(
    findings: MetaFindings, held: Held, by_id: Mapping[str, Report], meta: AtMeta, erased: Collection[str]
) -> None:
    """An order's report has an id of its own: whoever it is of, it stands in the outbox."""
    for known in meta.accepted:
        report = by_id.get(known)
        row = held.clicks.get(report.click) if report else None
        if known not in erased and (row is None or (row.owner is None and not row.erased)):
            findings.unknown.add(f"event {known}: of nobody's click")


def _silent(findings: MetaFindings, report: Report, meta: AtMeta) -> None:
    if report.state == "sent" and report.event_id not in meta.accepted:
        findings.silent.add(f"event {report.event_id}: sent, and not at Meta")
    if report.state in FINAL and not report.reason:
        findings.silent.add(f"event {report.event_id}: {report.state} without a reason")


def _wronged(findings: MetaFindings, report: Report, meta: AtMeta, now: float) -> None:
    if report.state == "rejected" and report.event_id not in meta.faulty:
        findings.wronged.add(f"event {report.event_id}: rejected, and Meta has not refused it")
    if report.reason.startswith(TOO_OLD) and now - report.at < LIFE_SECONDS - ROUND_SECONDS:
        findings.wronged.add(f"event {report.event_id}: given up before its 7 days are over")
