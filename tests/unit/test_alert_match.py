"""How surprising a match rate is: figures that were computed by hand."""

from __future__ import annotations

from math import comb, log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.alerts.match import FEWEST_BEFORE, Rates, log10_at_most, surprise


def rates(clicks: int, starts: int, clicks_before: int = 1000, starts_before: int = 500) -> Rates:
    return Rates(clicks=clicks, starts=starts, clicks_before=clicks_before, starts_before=starts_before)


def test_of_twenty_clicks_at_one_half_at_most_two_are_started_211_times_in_2_to_the_20() -> None:
    """1 + 20 + 190 ways of 1,048,576: one in 4,970."""
    assert surprise(rates(20, 2)) == pytest.approx(log10(2**20 / 211), abs=0.001)
    assert surprise(rates(20, 2)) == pytest.approx(3.696, abs=0.001)


def test_none_of_ten_at_one_half_is_one_in_1024() -> None:
    assert surprise(rates(10, 0)) == pytest.approx(3.010, abs=0.001)


def test_a_handful_of_clicks_without_a_start_is_no_alarm_and_many_are() -> None:
    """At 10 % none of 87 is one in 9,564, none of 88 one in 10,627."""
    assert surprise(rates(5, 0, 1000, 100)) < 0.3
    assert surprise(rates(87, 0, 1000, 100)) < 4 < surprise(rates(88, 0, 1000, 100))


def test_a_rate_that_has_fallen_a_little_is_nobodys_worry_however_many_clicks_prove_it() -> None:
    assert surprise(rates(1_000_000, 350_000)) == 0
    assert surprise(rates(1_000_000, 349_999)) > 1000


def test_a_rate_that_is_hardly_known_is_not_compared_with() -> None:
    assert surprise(rates(1000, 0, 100, FEWEST_BEFORE - 1)) == 0
    assert surprise(rates(1000, 0, 100, FEWEST_BEFORE)) > 100


def test_no_clicks_and_more_starts_than_before_surprise_nobody() -> None:
    assert surprise(rates(0, 0)) == 0
    assert surprise(rates(100, 90)) == 0


def test_where_every_click_was_started_one_that_is_not_is_a_surprise_without_a_bound() -> None:
    assert surprise(rates(100, 60, 500, 500)) == 999


@given(st.integers(1, 60), st.data())
def test_the_chance_is_what_adding_it_up_makes_it(tries: int, data: st.DataObject) -> None:
    chance = data.draw(st.floats(0.05, 0.95))
    most = data.draw(st.integers(0, int(tries * chance)))
    whole = sum(comb(tries, n) * chance**n * (1 - chance) ** (tries - n) for n in range(most + 1))
    assert log10_at_most(most, tries, chance) == pytest.approx(log10(whole), abs=1e-9)
