"""Token buckets: how many in a second, for each of many."""

from __future__ import annotations

import pytest

from daemon.rates import MOST, Rates
from domain.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_a_burst_is_let_through_and_then_the_rate(clock: ManualClock) -> None:
    rates = Rates(rate=2, burst=4, clock=clock)
    assert [rates.wait("a") > 0 for _ in range(5)] == [False] * 4 + [True]
    assert rates.wait("a") == pytest.approx(0.5)
    clock.advance(0.5)
    assert [rates.wait("a") > 0 for _ in range(2)] == [False, True]


def test_each_name_has_its_own(clock: ManualClock) -> None:
    rates = Rates(rate=1, burst=1, clock=clock)
    assert [rates.wait(name) > 0 for name in "aabb"] == [False, True, False, True]


def test_a_long_silence_saves_up_no_more_than_the_burst(clock: ManualClock) -> None:
    rates = Rates(rate=100, burst=2, clock=clock)
    rates.wait("a")
    clock.advance(3600)
    assert [rates.wait("a") > 0 for _ in range(3)] == [False, False, True]


def test_no_more_names_are_held_than_memory_should_hold(clock: ManualClock) -> None:
    rates = Rates(rate=0.001, burst=1, clock=clock)
    for number in range(MOST + 10):
        assert rates.wait(str(number)) == 0
    assert rates.wait("0") == 0  # forgotten
    assert rates.wait(str(MOST + 9)) > 0
