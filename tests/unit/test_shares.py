"""Intervals of shares are those that are published, and no share is told without data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.shares import Share, needed_each, newcombe, wilson


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_that_of_newcombes_table(part: int, whole: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3."""
    assert wilson(part, whole) == pytest.approx((low, high), abs=0.00005)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((2, 7), (6, 7), 0.0582, 0.8062),
        ((0, 29), (5, 56), -0.0381, 0.1926),
        ((0, 20), (0, 10), -0.1611, 0.2775),
    ],
)
def test_newcombes_interval_is_that_of_his_table(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 873-890, table II, method 10."""
    found = newcombe(Share.of(*first), Share.of(*second))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.00005)
    assert found.certain == (low > 0)


def test_so_many_are_needed_to_see_a_difference() -> None:
    """Fleiss: 388 of each for 50 % against 60 %, with 5 % and a power of 80 %."""
    assert needed_each(0.5, 0.1) == 388
    assert needed_each(0.5, 0.0) == 0
    assert needed_each(1.0, 0.1) == needed_each(1.0, -0.1)


def test_a_share_of_nothing_is_none() -> None:
    nothing = Share.of(0, 0)
    assert (nothing.share, nothing.low, nothing.high) == (None, None, None)
    assert newcombe(nothing, Share.of(1, 2)) is None
    assert newcombe(Share.of(1, 2), nothing) is None


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_an_interval_holds_its_share_and_lies_between_nothing_and_all(part: int, whole: int) -> None:
    low, high = wilson(part, whole)
    share = min(part / whole, 1.0)
    assert -1e-12 <= low <= share + 1e-9
    assert share - 1e-9 <= high <= 1.0
