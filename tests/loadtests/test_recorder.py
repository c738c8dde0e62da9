"""What was seen is counted by second, name and phase, in buckets that are at most 2 in 100 too high."""

from __future__ import annotations

import pytest

from loadtests.histogram import Histogram
from loadtests.recorder import Recorder
from loadtests.shapes import load_shape

SPIKE = load_shape("spike").changed(shorten=20)  # 3 s, 3 s of it the spike, 3 s


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_never_too_low_and_at_most_two_in_a_hundred_too_high(share: float) -> None:
    histogram = Histogram()
    values = [number**2 / 100 for number in range(1, 1001)]
    for value in values:
        histogram.add(value)
    exact = values[int(len(values) * share)]
    assert exact <= histogram.percentile(share) <= exact * 1.021


def test_no_percentile_is_above_the_largest_and_an_empty_one_is_no_number() -> None:
    one = Histogram()
    assert one.percentile(0.5) != one.percentile(0.5)
    one.add(3.0)
    assert one.percentile(0.99) == 3.0


def test_together_they_are_what_one_would_be() -> None:
    parts = [Histogram(), Histogram()]
    for number in range(1, 101):
        parts[number % 2].add(number)
    whole = Histogram.together(parts)
    assert whole.count == 100
    assert whole.percentile(0.5) == pytest.approx(51, rel=0.02)


def test_a_request_counts_in_the_second_and_the_phase_in_which_it_was_due() -> None:
    recorder = Recorder(SPIKE)
    recorder.answered("click", 1.2, 5.0)
    recorder.answered("click", 3.5, 700.0)  # due in the spike, answered after a second more
    recorder.failed("start", 3.9, "start: 503")
    seen = recorder.report()
    assert [
        (row["second"], row["requests"], row["errors"]) for row in seen["seconds"] if row["requests"]
    ] == [
        (1, 1, 0),
        (3, 2, 1),
    ]
    assert {name: figures["requests"] for name, figures in seen["phases"].items()} == {
        "normal": 1,
        "spike": 2,
    }
    assert {name: figures["errors"] for name, figures in seen["names"].items()} == {"click": 0, "start": 1}
    assert seen["reasons"] == {"start: 503": 1}


def test_what_comes_after_the_shape_has_a_second_of_its_own() -> None:
    recorder = Recorder(SPIKE)
    recorder.answered("start", 11.5, 5.0)
    assert [row["second"] for row in recorder.report()["seconds"]] == list(range(12))


def test_a_run_of_days_has_no_more_rows_than_one_of_an_hour() -> None:
    recorder = Recorder(load_shape("soak").lasting(48 * 60))
    assert recorder.bin_seconds == 48
    assert len(recorder.report()["seconds"]) == 3600


def test_a_click_without_an_answer_is_uncertain_and_any_other_status_acknowledges_nothing() -> None:
    recorder = Recorder(SPIKE)
    for status in (302, 302, 0, 503):
        recorder.kept(status)
    assert (recorder.acknowledged, recorder.uncertain) == (2, 1)


def test_the_generator_s_own_lateness_is_kept_apart() -> None:
    recorder = Recorder(SPIKE)
    recorder.came(1.0, 0.2)
    recorder.came(1.5, 40.0)
    seen = recorder.report()
    assert seen["late"]["max_ms"] == 40.0
    assert seen["seconds"][1]["late_ms"] == 40.0
    assert seen["all"]["requests"] == 0
