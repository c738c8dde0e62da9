"""When a delivery is tried again: a table of attempts, ages and waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.schedule import (
    ALERT_SECONDS,
    LONGEST_SECONDS,
    RECEIVED_ATTEMPTS,
    STOP_SECONDS,
    TARGET_SECONDS,
    WARN_SECONDS,
    RetryDecision,
    lateness,
    retry,
)
from tests.making import NOW

WEEK_MS = STOP_SECONDS * 1000


@pytest.mark.parametrize(
    ("attempts", "seconds"),
    [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 320), (8, 640), (9, 900), (10, 900), (10**9, 900)],
)  # fmt: skip
def test_waits_double_from_five_seconds_to_a_quarter_of_an_hour(attempts: int, seconds: int) -> None:
    assert retry(attempts, event_ms=NOW, now_ms=NOW) == RetryDecision(at_ms=NOW + seconds * 1000)


@pytest.mark.parametrize(("spread", "ms"), [(-1.0, 4000), (0.0, 5000), (1.0, 6000)])
def test_a_spread_moves_a_wait_by_a_fifth_at_most(spread: float, ms: int) -> None:
    assert retry(1, event_ms=NOW, now_ms=NOW, spread=spread).at_ms == NOW + ms


def test_the_last_try_is_made_at_the_end_of_the_week_and_none_after_it() -> None:
    now = NOW + WEEK_MS - 1
    assert retry(9, event_ms=NOW, now_ms=now) == RetryDecision(at_ms=NOW + WEEK_MS)
    assert retry(9, event_ms=NOW, now_ms=now + 1) == RetryDecision(at_ms=None, reason="older than 7 days")


def test_where_attempts_are_counted_the_last_one_ends_it() -> None:
    assert retry(9, event_ms=NOW, now_ms=NOW, most=10).at_ms is not None
    assert retry(10, event_ms=NOW, now_ms=NOW, most=10) == RetryDecision(
        at_ms=None, reason="not received in 10 attempts"
    )


@given(attempts=st.integers(0, 2**31), age=st.integers(-(10**9), 2 * WEEK_MS), spread=st.floats(-1.0, 1.0))
def test_whatever_the_age_a_try_lies_ahead_within_the_longest_wait_and_within_the_week(
    attempts: int, age: int, spread: float
) -> None:
    now = NOW + age
    at_ms = retry(attempts, event_ms=NOW, now_ms=now, spread=spread).at_ms
    if at_ms is None:
        assert age >= WEEK_MS
    else:
        assert now < at_ms <= min(now + LONGEST_SECONDS * 1200, NOW + WEEK_MS)


def test_the_limits_of_lateness_are_two_hours_and_a_day() -> None:
    assert [lateness(age) for age in (0, TARGET_SECONDS, WARN_SECONDS - 1)] == [0, 0, 0]
    assert [lateness(age) for age in (WARN_SECONDS, ALERT_SECONDS - 1, ALERT_SECONDS)] == [1, 1, 2]


def test_an_event_that_is_never_received_is_given_half_an_hour() -> None:
    waits = [
        (retry(attempts, event_ms=NOW, now_ms=NOW).at_ms or 0) - NOW
        for attempts in range(1, RECEIVED_ATTEMPTS)
    ]
    assert 1800 <= sum(waits) / 1000 <= 2400
