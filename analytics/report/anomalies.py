"""What stands out: one whole day against the days before it, and what should be none at all. Pure.

Nothing is said of tiny numbers. Each rule and its formula: docs/reference/report.md, which a test compares.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from analytics.figures.clicks import Counts
from analytics.report import words
from analytics.report.rules import RULES, RuleName
from analytics.report.spread import Usual, usual_count
from analytics.shares import Share, newcombe

BEFORE_DAYS = 28
LEAST_DAYS = 7
LEAST_CLICKS = 50
LEAST_STARTS = 10
LEAST_EVENTS = 10
FAR = 4.0
SURE = 3.290526731491926
"""The normal distribution's 99.95th percentile: a chance finding in a thousand, as many shares are looked at every day."""
ALL_LINKS = "all links"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """Something odd: which rule, about what, the figure and what was expected, in words; why it matters and what to look at."""

    rule: RuleName
    subject: str
    figure: str
    expected: str
    why: str
    look: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSeen:
    """A share of the day and the same of the days before. `twice`: it must have become so many times as large to be odd."""

    rule: RuleName
    subject: str
    day: Share
    before: Share
    least: int = LEAST_CLICKS
    twice: float = 2.0
    points: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What should be none, or is a fact in itself: nothing to compare with."""

    rule: RuleName
    subject: str
    figure: str
    expected: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """All that is looked at. series: clicks and starts by day of each link, and of all of them as ALL_LINKS.

    day: the one that is judged; None when no day of the period is over, and then the series and shares are not looked at.
    """

    day: date | None
    series: Mapping[str, Mapping[date, Counts]]
    shares: Sequence[ShareSeen]
    facts: Sequence[Fact]


def anomalies(seen: Seen, top: int = 10) -> tuple[Anomaly, ...]:
    """The gravest first, at most `top`."""
    found = [_told(fact) for fact in seen.facts]
    if seen.day is not None:
        for subject, by_day in seen.series.items():
            before = _days_before(by_day, seen.day)
            if len(before) >= LEAST_DAYS:
                found += _of_series(subject, by_day.get(seen.day, Counts()), before)
        found += [_told(each) for each in map(_of_share, seen.shares) if each]
    return tuple(sorted(found, key=lambda each: -each.weight)[:top])


def _days_before(by_day: Mapping[date, Counts], day: date) -> list[Counts]:
    """The days before, from the first that has a click on: a link that is new has no quiet days behind it."""
    first = min((each for each, counts in by_day.items() if counts.clicks), default=day)
    days = (day - timedelta(days=n) for n in range(BEFORE_DAYS, 0, -1))
    return [by_day.get(each, Counts()) for each in days if each >= first]


def _of_series(subject: str, day: Counts, before: list[Counts]) -> Iterator[Anomaly]:
    if fact := _of_clicks(subject, day.clicks, [each.clicks for each in before]):
        yield _told(fact)
    if fact := _of_match(subject, day, before):
        yield _told(fact)


def _of_clicks(subject: str, clicks: int, before: list[int]) -> Fact | None:
    usual = usual_count(before, times=FAR)
    if max(usual.median, clicks) < LEAST_CLICKS or usual.low <= clicks <= usual.high:
        return None
    rule: RuleName = "clicks_rose" if clicks > usual.high else "clicks_fell" if clicks else "clicks_stopped"
    if rule == "clicks_rose" and clicks < 2 * usual.median:
        return None
    expected = f"{words.count(round(max(usual.low, 0)))} to {words.count(round(usual.high))} a day"
    weight = abs(clicks - usual.median) / (usual.reach or 1)
    return Fact(
        rule=rule, subject=subject, figure=f"{words.count(clicks)} clicks", expected=expected, weight=weight
    )


def _of_match(subject: str, day: Counts, before: list[Counts]) -> Fact | None:
    """Both the chance of the day's own clicks and how much the days before varied must leave no doubt."""
    total = sum(before, Counts())
    now, then = day.match, total.match
    shares = [
        each.match.share for each in before if each.clicks >= LEAST_CLICKS and each.match.share is not None
    ]
    difference = newcombe(then, now, z=SURE)
    if (
        now.share is None
        or then.share is None
        or difference is None
        or day.clicks < LEAST_CLICKS
        or len(shares) < LEAST_DAYS
        or then.share * day.clicks < LEAST_STARTS
        or difference.high >= 0
        or now.share >= Usual.of(shares, times=FAR, least=0.01).low
    ):
        return None
    return Fact(
        rule="match_fell",
        subject=subject,
        figure=f"{words.with_interval(now)} of {words.count(day.clicks)} clicks were started",
        expected=words.with_interval(then),
        weight=4 * (then.share - now.share) / then.share,
    )


def _of_share(seen: ShareSeen) -> Fact | None:
    difference = newcombe(seen.before, seen.day, z=SURE)
    if (
        difference is None
        or seen.day.share is None
        or seen.before.share is None
        or min(seen.day.part, seen.day.whole) < seen.least
        or difference.low <= 0
        or difference.difference < seen.points
        or seen.day.share < seen.twice * seen.before.share
    ):
        return None
    return Fact(
        rule=seen.rule,
        subject=seen.subject,
        figure=f"{words.with_interval(seen.day)}, {words.count(seen.day.part)} of {words.count(seen.day.whole)}",
        expected=words.share(seen.before.share),
        weight=1 + 4 * difference.difference,
    )


def _told(fact: Fact) -> Anomaly:
    rule = RULES[fact.rule]
    return Anomaly(
        rule=fact.rule,
        subject=fact.subject,
        figure=fact.figure,
        expected=fact.expected,
        why=rule.why,
        look=rule.look,
        weight=fact.weight,
    )


def judged_day(days: Iterable[date], today: date) -> date | None:
    """The last of these days that is over."""
    return max((day for day in days if day < today), default=None)
