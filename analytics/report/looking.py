"""What anomalies are looked for in: one whole day, and the days before it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from analytics.figures.asked import Figure
from analytics.figures.clicks import NOT_KNOWN, Counts, Trait, TraitName, traits_figure
from analytics.figures.events import LaneDay, lane_days_figure
from analytics.figures.links import days_by_link_figure
from analytics.figures.starts import StartsOfKind, starts_by_kind_figure
from analytics.period import Period
from analytics.report import words
from analytics.report.anomalies import (
    ALL_LINKS,
    BEFORE_DAYS,
    LEAST_CLICKS,
    LEAST_EVENTS,
    Fact,
    Seen,
    ShareSeen,
    judged_day,
)
from analytics.report.places import TITLES
from analytics.report.rules import RuleName
from analytics.shares import Share

MACHINES = ("crawler", "tool", "datacenter", "head")
HIGH = 60
WATCHED: Mapping[TraitName, RuleName] = {
    "class": "machines_rose",
    "country": "place_rose",
    "region": "place_rose",
    "city": "place_rose",
    "bot_score": "suspects_rose",
    "fraud_score": "suspects_rose",
}
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """The day that is judged, the days before, and what is asked about them."""

    day: Period
    before: Period
    link_id: int | None

    @classmethod
    def into(cls, period: Period, today: date, link_id: int | None) -> "Looking | None":
        """The last day of the period that is over, and the 28 before; None when no day is."""
        day = judged_day(period.days, today)
        if day is None:
            return None
        first = day - BEFORE_DAYS * ONE_DAY
        return cls(
            day=Period(first=day, last=day, zone=period.zone),
            before=Period(first=first, last=day - ONE_DAY, zone=period.zone),
            link_id=link_id,
        )

    def figures(self) -> tuple[Figure[Any], ...]:
        """What `seen` takes, in this order."""
        window = Period(first=self.before.first, last=self.day.last, zone=self.day.zone)
        return (
            days_by_link_figure(window, self.link_id),
            lane_days_figure(window, self.link_id),
            starts_by_kind_figure(self.day),
            starts_by_kind_figure(self.before),
            *(
                traits_figure(span, name, self.link_id)
                for name in WATCHED
                for span in (self.day, self.before)
            ),
        )

    def seen(self, names: Mapping[int, str], facts: Sequence[Fact], found: Sequence[Any]) -> Seen:
        """From the answers to `figures`."""
        by_link, lanes, kinds, kinds_before, *traits = found
        day = self.day.first
        pairs = zip(WATCHED, traits[::2], traits[1::2], strict=True)
        of_traits = [share for name, now, before in pairs for share in _of_trait(name, now, before)]
        of_starts = [] if self.link_id is not None else [_taken(kinds, kinds_before)]
        of_lanes = [_undelivered(lane, days, day) for lane, days in lanes.items()]
        return Seen(
            day=day,
            series=_series(by_link, names, whole=self.link_id is None),
            shares=[*of_traits, *of_starts, *of_lanes],
            facts=[*facts, *_waiting(lanes, day)],
        )


def _series(
    by_link: Mapping[int, Mapping[date, Counts]], names: Mapping[int, str], *, whole: bool
) -> dict[str, Mapping[date, Counts]]:
    series: dict[str, Mapping[date, Counts]] = {
        names.get(link, f"link {link}"): days for link, days in by_link.items()
    }
    if whole and len(series) > 1:
        total: dict[date, Counts] = {}
        for days in by_link.values():
            for day, counts in days.items():
                total[day] = total.get(day, Counts()) + counts
        series[ALL_LINKS] = total
    return series


def _of_trait(name: TraitName, now: tuple[Trait, ...], before: tuple[Trait, ...]) -> Iterator[ShareSeen]:
    rule = WATCHED[name]
    for subject, values in _subjects(name, now):
        day, earlier = _part(now, values), _part(before, values)
        if day.part >= LEAST_CLICKS and earlier.whole >= LEAST_CLICKS:
            yield ShareSeen(rule=rule, subject=subject, day=day, before=earlier)


def _subjects(name: TraitName, now: tuple[Trait, ...]) -> Iterator[tuple[str, set[str]]]:
    """What each share is of, and the values that belong to it."""
    values = {each.value for each in now if each.value != NOT_KNOWN}
    match WATCHED[name]:
        case "suspects_rose":
            yield f"{TITLES[name].lower()} {HIGH} and more", {str(ten) for ten in range(HIGH, 101, 10)}
        case "machines_rose":
            yield from ((f"class {each}", {each}) for each in MACHINES if each in values)
        case _:
            yield from ((f"{name} {each}", {each}) for each in sorted(values))


def _part(found: Iterable[Trait], values: set[str]) -> Share:
    clicks = [(each.counts.clicks, each.value in values) for each in found]
    return Share.of(sum(number for number, ours in clicks if ours), sum(number for number, _ in clicks))


def _taken(now: tuple[StartsOfKind, ...], before: tuple[StartsOfKind, ...]) -> ShareSeen:
    return ShareSeen(
        rule="taken_rose", subject="all bots", day=_kind(now), before=_kind(before), least=LEAST_EVENTS
    )


def _kind(found: tuple[StartsOfKind, ...]) -> Share:
    with_token = [each for each in found if each.kind != "direct"]
    return Share.of(
        sum(each.starts for each in with_token if each.kind == "taken"), sum(e.starts for e in with_token)
    )


def _undelivered(lane: str, days: Mapping[date, LaneDay], day: date) -> ShareSeen:
    before = [each for at, each in days.items() if at < day]
    return ShareSeen(
        rule="undelivered_rose",
        subject=words.destination(lane),
        day=_failed([days.get(day, LaneDay())]),
        before=_failed(before),
        least=LEAST_EVENTS,
    )


def _failed(days: Iterable[LaneDay]) -> Share:
    found = list(days)
    failed = sum(each.failed for each in found)
    return Share.of(failed, failed + sum(each.sent + each.pending for each in found))


def _waiting(lanes: Mapping[str, Mapping[date, LaneDay]], day: date) -> Iterator[Fact]:
    for lane, days in lanes.items():
        pending = sum(each.pending for at, each in days.items() if at < day)
        if pending:
            yield Fact(
                rule="waiting_long",
                subject=words.destination(lane),
                figure=f"{words.count(pending)} of before {day}",
                expected="none",
                weight=3,
            )
