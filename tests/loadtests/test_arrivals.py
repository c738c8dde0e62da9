"""Shapes say how many come when; the moments follow them, and are the same for the same seed."""

from __future__ import annotations

import itertools

import pytest

from loadtests.arrivals import Segment, Shape
from loadtests.shapes import load_shape, shape_names

RISE = Shape(name="rise", about="", segments=(Segment(seconds=10, start=0, end=100),))


def test_there_are_the_five_shapes_and_no_file_is_another() -> None:
    assert shape_names() == ["day", "ramp", "soak", "spike", "steady"]


def test_the_ramp_goes_from_nothing_to_a_thousand_in_five_minutes() -> None:
    ramp = load_shape("ramp")
    assert [ramp.rate_at(second) for second in (0, 75, 150, 299.7)] == pytest.approx([0, 250, 500, 999])
    assert ramp.seconds == 300
    assert ramp.peak == 1000


def test_the_spike_is_a_minute_of_two_thousand_in_two_of_two_hundred() -> None:
    spike = load_shape("spike")
    assert [spike.rate_at(second) for second in (0, 59, 60, 119, 120, 179, 180)] == [
        *(200, 200),
        *(2000, 2000),
        *(200, 200),
        0,
    ]
    assert [spike.phase_at(second) for second in (59, 60, 119, 120, 500)] == [
        *("normal", "spike", "spike"),
        *("normal", "normal"),
    ]


def test_the_day_has_a_million_clicks_with_its_hours_at_their_length_and_bursts_of_46() -> None:
    day = load_shape("day")
    calm = [segment.start for segment in day.segments if segment.start != 46]
    assert sum(calm) / 2 * 3600 == pytest.approx(1e6, rel=0.02)
    assert sum(segment.seconds for segment in day.segments) == 24 * 60
    assert day.peak == 46


def test_scale_changes_the_rate_alone_and_shorten_the_time_alone() -> None:
    small = load_shape("spike").changed(scale=0.1, shorten=20)
    assert (small.peak, small.seconds) == (200, 9)
    assert small.rate_at(4.5) == 200
    assert small.phase_at(4.5) == "spike"


def test_minutes_are_for_shapes_that_have_no_length_of_their_own() -> None:
    soak = load_shape("soak").lasting(1.5)
    assert (soak.seconds, soak.peak) == (pytest.approx(90), 200)
    with pytest.raises(ValueError, match="--shorten"):
        load_shape("ramp").lasting(2)


def test_a_shape_that_there_is_not_is_answered_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="day, ramp, soak, spike, steady"):
        load_shape("../plan")


def test_moments_come_in_order_within_the_shape_and_again_with_the_same_seed() -> None:
    moments = list(RISE.moments(7))
    assert moments == sorted(moments)
    assert 0 <= moments[0] <= moments[-1] <= 10
    assert moments == list(RISE.moments(7)) != list(RISE.moments(8))


def test_moments_are_as_dense_as_the_rate_says() -> None:
    """500 are expected, three quarters of them in the second half; a Poisson count strays by its root."""
    runs = [list(RISE.moments(seed)) for seed in range(20)]
    second_half = sum(moment >= 5 for moments in runs for moment in moments)
    assert sum(map(len, runs)) == pytest.approx(10_000, abs=400)
    assert second_half == pytest.approx(7500, abs=350)


def test_moments_bunch_as_visitors_do() -> None:
    """The gaps of a Poisson process stray as much as their mean; those of a metronome not at all."""
    shape = Shape(name="even", about="", segments=(Segment(seconds=50, start=100, end=100),))
    gaps = [after - before for before, after in itertools.pairwise(shape.moments(1))]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert spread / mean == pytest.approx(1, abs=0.1)
