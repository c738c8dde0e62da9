"""The comparison. Pure: told and held in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from math import inf

from chaos.checker.held import Held
from chaos.checker.tokens import read
from chaos.crowd.plan import campaign, creative
from chaos.crowd.told import Clicked, Started, Told

SAMPLES = 10


@dataclass(slots=True)
class Finding:
    """How often one invariant is broken, and the first few places."""

    count: int = 0
    samples: list[str] = field(default_factory=list)

    def add(self, where: str) -> None:
        """Once more."""
        self.count += 1
        if len(self.samples) < SAMPLES:
            self.samples.append(where)


@dataclass(slots=True, kw_only=True)
class Findings:
    """What is broken. All are 0 when Trilha keeps its promises.

    acked_lost (I1, I9): redirected, not counted as token_only, and not in SQL (nor, under load, in a spool).
    double_owner (I2): a token whose ownership was told to two people, told to one and held for another, or denied to its
    own owner.
    resurrected (I5): an erased click that has a fact again, or was told to be somebody's after its erasure.
    invented (I6): in SQL and never clicked, or stored with another ad than it was clicked with.
    lost_starts (I9): the API took a start of a token, and nobody owns the click.
    double_effects (I3): more than one outbox row for the same click, event and lane.
    missing_effects (I4): an owned click without its conversions; a click with conversions and without an owner.
    unbalanced (I8): equations of the books that do not hold.
    unacked: redirected, counted as token_only, and not in SQL either: only the token remembers them. Nothing was promised.
    """

    acked_lost: Finding = field(default_factory=Finding)
    double_owner: Finding = field(default_factory=Finding)
    resurrected: Finding = field(default_factory=Finding)
    invented: Finding = field(default_factory=Finding)
    lost_starts: Finding = field(default_factory=Finding)
    double_effects: Finding = field(default_factory=Finding)
    missing_effects: Finding = field(default_factory=Finding)
    unbalanced: Finding = field(default_factory=Finding)
    unacked: Finding = field(default_factory=Finding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Clicks that were erased, by id, and the monotonic second at which their erasure was confirmed."""

    clicks: Collection[str] = ()
    at: float = 0.0


NOBODY = Erased()


def check(
    told: Told,
    held: Held,
    *,
    events: Collection[str],
    erased: Erased = NOBODY,
    until: float | None = None,
    receipts_lost: bool = False,
    damaged: Collection[str] = (),
    asked_again: Iterable[tuple[str, str]] = (),
) -> Findings:
    """Compare. `events`: what every owned click's conversions are called, once for each lane.

    until: the crowd is still clicking, and only what was told before that monotonic second has to be in SQL or in a spool;
    None: all is settled, and has to be in SQL. receipts_lost: a daemon was killed, and took the count of its last receipts with it. damaged: clicks whose only
    copy the drill itself has damaged on the disk; all others must be there, and the books must miss exactly these.
    asked_again: campaign and creative of each visit that a balancer gave to another daemon, as the first did not answer: that
    one may have kept a click which nobody heard of.
    """
    findings = Findings()
    given = {read(click.token).click: click for click in told.clicks if click.redirected}
    expected = {click: visit for click, visit in given.items() if click not in damaged}
    limit = inf if until is None else until
    told_by_then = {click: visit for click, visit in expected.items() if _heard(visit) < limit}
    _lost(findings, told_by_then, held, erased, waiting_counts=until is not None)
    _owners(findings, [start for start in told.starts if _heard(start) < limit], held, erased)
    _resurrected(findings, told, held, erased)
    _invented(findings, given, told.clicks, held, asked_again)
    _effects(findings, held, events)
    if until is None:
        _unacked(findings, expected, held, erased)
        _books(findings, held, 0 if receipts_lost else len(given), len(damaged))
    return findings


def _heard(answer: Clicked | Started) -> float:
    """The monotonic second of the answer: whoever is still waiting for it has not been promised anything."""
    return answer.at + answer.ms / 1000


def _lost(
    findings: Findings, given: dict[str, Clicked], held: Held, erased: Erased, *, waiting_counts: bool
) -> None:
    """As many as were counted as token_only may be missing: no store was ever said to have them."""
    missing = [click for click in _missing(given, held, erased) if not (waiting_counts and held.waits(click))]
    for click in missing[held.books.token_only :]:
        findings.acked_lost.add(f"click {click}, visit {given[click].number}")


def _unacked(findings: Findings, given: dict[str, Clicked], held: Held, erased: Erased) -> None:
    for click in _missing(given, held, erased)[: held.books.token_only]:
        findings.unacked.add(f"click {click}, visit {given[click].number}")


def _missing(given: dict[str, Clicked], held: Held, erased: Erased) -> list[str]:
    present = {click for click, row in held.clicks.items() if row.has_click or row.erased}
    return [click for click in given if click not in present and click not in erased.clicks]


def _owners(findings: Findings, starts: Iterable[Started], held: Held, erased: Erased) -> None:
    owners: dict[str, set[int]] = defaultdict(set)
    denied: dict[str, set[int]] = defaultdict(set)
    taken = set()
    for start in starts:
        click = read(start.token).click
        if start.status == 200:
            taken.add(click)
        if start.state == "settled":
            (owners if start.owner else denied)[click].add(start.person)
    for click in sorted(taken - set(erased.clicks)):
        row = held.clicks.get(click)
        if row is None or row.owner is None:
            findings.lost_starts.add(f"click {click}")
        else:
            owners[click].add(row.owner[1])
        if len(owners[click]) > 1:
            findings.double_owner.add(f"click {click}: {len(owners[click])} owners")
        elif owners[click] & denied[click]:
            findings.double_owner.add(f"click {click}: its owner was told that it is another's")


def _resurrected(findings: Findings, told: Told, held: Held, erased: Erased) -> None:
    won = {read(s.token).click for s in told.starts if s.owner and s.at > erased.at}
    for click in sorted(erased.clicks):
        row = held.clicks.get(click)
        if click in won or (row is not None and not row.erased and (row.has_click or row.owner)):
            findings.resurrected.add(f"click {click}")


def _invented(
    findings: Findings,
    given: dict[str, Clicked],
    asked: Iterable[Clicked],
    held: Held,
    asked_again: Iterable[tuple[str, str]],
) -> None:
    """A click that is held must be one that was clicked: by its id, or by its ad where nobody heard the answer."""
    unanswered = Counter((campaign(c.number), creative(c.number)) for c in asked if not c.redirected)
    unanswered.update(asked_again)
    for click, row in held.clicks.items():
        if not row.has_click or row.erased:
            continue
        stored = (row.params.get("utm_campaign", ""), row.params.get("utm_content", ""))
        if click in given:
            visit = given[click]
            meant = (campaign(visit.number), creative(visit.number))
            same_key = read(visit.token).ad_key == row.ad_key
            if stored != meant or not same_key or held.ads.get(row.ad_key, meant) != meant:
                findings.invented.add(f"click {click}: stored with another ad")
        elif unanswered[stored] > 0:
            unanswered[stored] -= 1
        else:
            findings.invented.add(f"click {click}: nobody clicked it")


def _effects(findings: Findings, held: Held, events: Collection[str]) -> None:
    rows = Counter(held.outbox)
    for (click, event, lane), times in rows.items():
        if times > 1:
            findings.double_effects.add(f"click {click}: {times} times {event} to {lane}")
    reported = defaultdict(set)
    for click, event, _ in rows:
        reported[click].add(event)
    for click, row in held.clicks.items():
        complete = row.has_click and row.owner is not None and not row.erased
        for event in events:
            if complete != (event in reported[click]) and not row.erased:
                findings.missing_effects.add(
                    f"click {click}: {event} {'missing' if complete else 'without an owner'}"
                )


def _books(findings: Findings, held: Held, given: int, damaged: int) -> None:
    """I8, once nothing waits in a spool any more."""
    books = held.books
    if books.issued < given:
        findings.unbalanced.add(f"{given} redirects were given, {books.issued} are in the books")
    if books.issued != books.synced + books.written + books.token_only:
        findings.unbalanced.add("issued is not synced + written + token_only")
    if books.spooled != books.settled + held.waiting + damaged:
        findings.unbalanced.add(f"spools took {books.spooled}, {books.settled} came from them into SQL")
