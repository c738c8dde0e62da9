"""Halving finds exactly the events at fault, blames none that was not sent alone, and asks less than it might."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.bisection import Bisection


def halved(events: Sequence[int], bad: Collection[int]) -> tuple[list[int], list[int], list[list[int]]]:
    """What was accepted, what was blamed, and all calls."""
    parts = Bisection(events)
    accepted: list[int] = []
    blamed: list[int] = []
    calls: list[list[int]] = []
    while part := parts.part:
        calls.append(list(part))
        assert parts.left[: len(part)] == list(part)
        assert sorted([*accepted, *blamed, *parts.left]) == list(events)
        if not set(part) & set(bad):
            accepted += part
            parts.accepted()
        elif len(part) == 1:
            blamed += part
            parts.over()
        else:
            parts.split()
    assert not parts.left
    return accepted, blamed, calls


@given(st.integers(0, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, max(n - 1, 0))))))
def test_every_event_is_accepted_or_blamed_once_and_rightly(case: tuple[int, set[int]]) -> None:
    size, bad = case
    accepted, blamed, _ = halved(range(size), bad)
    assert sorted(accepted) == [n for n in range(size) if n not in bad]
    assert blamed == [n for n in range(size) if n in bad]


def test_a_batch_without_a_fault_is_one_call() -> None:
    assert halved(range(1000), ())[2] == [list(range(1000))]


def test_the_second_half_of_a_refused_part_is_not_asked_for_as_a_whole_when_the_first_was_accepted() -> None:
    """It must hold the fault: 8 events with the last at fault are 8, 4, then 2 of the other 4, then 1 and 1."""
    assert halved(range(8), {7})[2] == [list(range(8)), [0, 1, 2, 3], [4, 5], [6], [7]]


def test_an_event_that_must_be_the_one_at_fault_is_still_asked_for_alone() -> None:
    assert halved(range(2), {1})[2] == [[0, 1], [0], [1]]


@pytest.mark.parametrize(("bad", "most"), [(1, 20), (10, 125)])
def test_what_a_thousand_events_cost_at_most(bad: int, most: int) -> None:
    spread = {n * 1000 // bad + 1000 // bad // 2 for n in range(bad)}
    assert len(halved(range(1000), spread)[2]) <= most


def test_whether_a_batch_was_split_is_told() -> None:
    parts = Bisection([1, 2])
    assert not parts.was_split
    parts.split()
    assert parts.was_split
