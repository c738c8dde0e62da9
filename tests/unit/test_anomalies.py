"""What stands out does, and ordinary days, tiny numbers and new links do not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.figures.clicks import Counts
from analytics.report.anomalies import ALL_LINKS, Anomaly, Fact, Seen, ShareSeen, anomalies, judged_day
from analytics.report.rules import RULES
from analytics.report.spread import usual_count
from analytics.shares import Share

DAY = date(2026, 11, 26)


def days(*counts: Counts) -> dict[date, Counts]:
    """The last of them is the day that is judged."""
    return {DAY - timedelta(days=n): each for n, each in enumerate(reversed(counts))}


def usual(clicks: int = 1000, starts: int = 400, number: int = 28) -> list[Counts]:
    """Days that vary a little, weekends more."""
    factors = (1.0, 0.97, 1.04, 1.01, 0.95, 1.1, 0.9)
    return [
        Counts(clicks=round(clicks * factors[n % 7]), starts=round(starts * factors[n % 7]))
        for n in range(number)
    ]


def found(series: Mapping[str, Mapping[date, Counts]], **more: Any) -> list[tuple[str, str]]:
    seen = Seen(**({"day": DAY, "series": series, "shares": (), "facts": ()} | more))
    return [(each.rule, each.subject) for each in anomalies(seen)]


def test_an_ordinary_day_has_nothing_that_stands_out() -> None:
    assert found({"promo": days(*usual(), Counts(clicks=930, starts=371))}) == []


@pytest.mark.parametrize(
    ("clicks", "starts", "rule"),
    [(0, 0, "clicks_stopped"), (300, 120, "clicks_fell"), (5000, 2000, "clicks_rose")],
)
def test_clicks_that_stop_fall_or_rise_far_beyond_the_usual_are_told(
    clicks: int, starts: int, rule: str
) -> None:
    assert found({"promo": days(*usual(), Counts(clicks=clicks, starts=starts))}) == [(rule, "promo")]


def test_a_link_whose_match_rate_falls_is_told_with_what_was_expected() -> None:
    series = {"promo": days(*usual(), Counts(clicks=1000, starts=200))}
    (told,) = anomalies(Seen(day=DAY, series=series, shares=(), facts=()))
    assert told.rule == "match_fell"
    assert told.figure.startswith("20.0 % (")
    assert told.expected.startswith("40.0 % (")
    assert (told.why, told.look) == (RULES["match_fell"].why, RULES["match_fell"].look)


def test_a_match_rate_that_always_varies_is_no_news() -> None:
    """Chance alone would not explain 33 %, but the days before went up and down by as much."""
    before = [Counts(clicks=1000, starts=starts) for starts in (300, 500, 350, 480, 320, 460, 410) * 4]
    assert found({"promo": days(*before, Counts(clicks=1000, starts=330))}) == []


def test_nothing_is_said_of_tiny_numbers_nor_of_a_link_that_is_new() -> None:
    assert found({"tiny": days(*usual(20, 8), Counts())}) == []
    assert found({"new": days(*usual(number=6), Counts())}) == []


def test_one_odd_day_before_does_not_hide_another() -> None:
    """A mean and its deviation would: the median and MAD do not."""
    before = [*usual(number=27), Counts(clicks=100_000, starts=40_000)]
    assert found({"promo": days(*before, Counts())}) == [("clicks_stopped", "promo")]


def share(day: tuple[int, int], before: tuple[int, int], **more: Any) -> ShareSeen:
    values: Any = {"rule": "machines_rose", "subject": "class tool"} | more
    return ShareSeen(day=Share.of(*day), before=Share.of(*before), **values)


@pytest.mark.parametrize(
    ("day", "before", "told"),
    [
        ((300, 1000), (300, 10_000), True),
        ((40, 100), (30, 1000), False),  # fewer than fifty
        ((70, 1000), (500, 10_000), False),  # not twice as large
        ((60, 2000), (0, 10_000), False),  # certain and new, but no five points
        ((300, 1000), (0, 0), False),  # nothing to compare with
    ],
)
def test_a_share_stands_out_when_it_is_large_twice_as_large_and_certain(
    day: tuple[int, int], before: tuple[int, int], *, told: bool
) -> None:
    assert bool(found({}, shares=(share(day, before),))) == told


def test_the_gravest_comes_first_and_not_more_than_are_read() -> None:
    facts = [
        Fact(rule="token_only", subject=ALL_LINKS, figure="1", expected="none", weight=2),
        Fact(rule="books", subject=ALL_LINKS, figure="x", expected="equal", weight=100),
    ]
    assert [rule for rule, _ in found({}, facts=facts * 10)] == ["books"] * 10


def test_while_no_day_is_over_only_facts_are_told() -> None:
    series = {"promo": days(*usual(), Counts())}
    fact = Fact(rule="token_only", subject=ALL_LINKS, figure="1", expected="none", weight=2)
    assert found(series, day=None, facts=[fact]) == [("token_only", ALL_LINKS)]
    assert judged_day([DAY], DAY) is None
    assert judged_day([DAY - timedelta(days=1), DAY], DAY) == DAY - timedelta(days=1)


@given(st.lists(st.integers(0, 10_000), min_size=7, max_size=28))
def test_what_is_usual_is_never_narrower_than_chance(values: list[int]) -> None:
    found = usual_count(values, times=4.0)
    assert found.low <= found.median - 4 * found.median**0.5 + 1e-6
    assert found.high >= found.median


@given(st.lists(st.integers(900, 1100), min_size=29, max_size=29))
def test_days_within_a_tenth_of_each_other_raise_no_alarm(clicks: list[int]) -> None:
    series = {"promo": days(*(Counts(clicks=each, starts=each * 2 // 5) for each in clicks))}
    told: tuple[Anomaly, ...] = anomalies(Seen(day=DAY, series=series, shares=(), facts=()))
    assert told == ()
