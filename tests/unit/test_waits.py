"""Percentiles are read off bins as if each were filled evenly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.waits import BINS, Waits, bin_name, percentile
from domain.rollups import WAIT_SECONDS, wait_bin

counts = st.lists(st.integers(0, 1000), min_size=BINS, max_size=BINS).map(tuple)


def test_a_percentile_lies_within_its_bin_by_hand() -> None:
    """4 starts within 5 to 10 s and 4 within 10 to 20 s: the median is 10 s, three quarters came within 15 s."""
    found = (0, 0, 0, 0, 4, 4) + (0,) * (BINS - 6)
    assert percentile(found, 0.5) == 10
    assert percentile(found, 0.75) == 15
    assert percentile(found, 0.25) == 7.5


def test_what_took_longer_than_a_week_is_told_as_a_week() -> None:
    assert percentile((0,) * (BINS - 1) + (3,), 0.5) == WAIT_SECONDS[-1]


def test_without_starts_there_is_nothing_to_tell() -> None:
    assert (Waits.of({}, 0).mean, Waits.of({}, 0).p50, Waits.of({}, 0).p95) == (None, None, None)


@given(st.lists(st.integers(0, 2_000_000_000), min_size=1, max_size=60), st.sampled_from([0.5, 0.95]))
def test_a_percentile_is_never_further_off_than_its_bin_is_wide(waits: list[int], share: float) -> None:
    by_bin: dict[str, int] = {}
    for wait in waits:
        by_bin[wait_bin(wait)] = by_bin.get(wait_bin(wait), 0) + 1
    found = Waits.of(by_bin, sum(waits))
    told = found.p50 if share == 0.5 else found.p95
    rank = -int(-share * len(waits) // 1)
    exact = sorted(waits)[max(rank, 1) - 1] / 1000
    number = int(wait_bin(sorted(waits)[max(rank, 1) - 1]))
    begin = WAIT_SECONDS[number - 1] if number else 0
    assert told is not None
    assert begin <= told <= (WAIT_SECONDS[number] if number < len(WAIT_SECONDS) else max(exact, begin))
    assert found.mean == pytest.approx(sum(waits) / len(waits) / 1000)


@given(counts)
def test_the_median_never_exceeds_the_95th_percentile(found: tuple[int, ...]) -> None:
    p50, p95 = percentile(found, 0.5), percentile(found, 0.95)
    assert (p50 is None) == (sum(found) == 0)
    if p50 is not None and p95 is not None:
        assert p50 <= p95


def test_bins_are_named_in_their_own_units() -> None:
    assert [bin_name(n) for n in (0, 4, 7, 12, 16)] == [
        "0 s - 1 s",
        "5 s - 10 s",
        "30 s - 1 min",
        "30 min - 1 h",
        "> 7 d",
    ]
