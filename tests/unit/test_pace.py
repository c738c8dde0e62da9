"""A lane's pace: smaller batches after a split, pauses when throttled, one event at a time to a destination that is down."""

from __future__ import annotations

from delivery.pace import LARGEST, LONGEST_ASKED, LONGEST_PAUSE, SMALLEST, Pace, Turn


def fresh() -> Pace:
    return Pace(lambda base, spread: base)


def turn_of(pace: Pace, now: float = 0.0) -> Turn:
    turn = pace.turn(now)
    assert turn is not None
    return turn


def fail(pace: Pace, now: float, times: int = 1) -> None:
    for _ in range(times):
        turn = turn_of(pace, now)
        pace.failed(turn, now)
        pace.released(turn, now)


def test_a_split_batch_makes_the_next_a_quarter_and_clean_ones_double_it() -> None:
    pace, sizes = fresh(), []
    for was_split in (True, True, True, True, False, False, True, *[False] * 7):
        turn = turn_of(pace)
        pace.answered(turn, 0.0, events=turn.most, was_split=was_split)
        sizes.append(turn_of(pace).most)
    assert sizes == [250, 62, SMALLEST, SMALLEST, 32, 64, SMALLEST, 32, 64, 128, 256, 512, LARGEST, LARGEST]


def test_pauses_double_from_one_second_to_a_minute_and_begin_anew_after_an_answer() -> None:
    pace, now, waits = fresh(), 0.0, []
    for _ in range(8):
        turn = turn_of(pace, now)
        waits.append(pace.throttled(turn, now, None))
        assert pace.turn(now + waits[-1] - 0.01) is None
        assert pace.backs_off(now)
        now += waits[-1]
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE]
    pace.answered(turn_of(pace, now), now, events=1, was_split=False)
    assert pace.throttled(turn_of(pace, now), now, None) == 1


def test_the_pause_that_a_destination_asks_for_is_kept_up_to_an_hour() -> None:
    pace = fresh()
    assert pace.throttled(turn_of(pace), 0.0, 120.0) == 120.0
    assert pace.turn(119.9) is None
    assert pace.throttled(turn_of(pace, 120.0), 120.0, 10.0**9) == LONGEST_ASKED


def test_three_failed_batches_leave_a_destination_to_probes_of_one_event() -> None:
    pace = fresh()
    fail(pace, 0.0, 3)
    assert pace.backs_off(0.0)
    assert pace.turn(4.9) is None
    probe = turn_of(pace, 5.0)
    assert probe.most == 1
    pace.answered(probe, 5.0, events=1, was_split=False)
    pace.released(probe, 5.0)
    assert not pace.backs_off(5.0)
    assert turn_of(pace, 10.0).most == LARGEST


def test_probes_that_fail_come_ever_later_but_every_minute() -> None:
    pace, now, waits = fresh(), 0.0, []
    fail(pace, now, 3)
    for wait in (5, 10, 20, 40, 60, 60):
        assert pace.turn(now + wait - 0.01) is None
        now += wait
        waits.append(turn_of(pace, now).most)
        pace.failed(Turn(ticket=pace._breaker._generation, most=1), now)
    assert waits == [1] * 6


def test_a_probe_that_says_nothing_may_be_taken_again_at_once() -> None:
    pace = fresh()
    fail(pace, 0.0, 3)
    probe = turn_of(pace, 5.0)
    assert pace.turn(5.0) is None
    pace.released(probe, 5.0)
    assert turn_of(pace, 5.0).most == 1


def test_two_failures_with_an_answer_between_them_and_the_next_two_open_nothing() -> None:
    pace = fresh()
    for _ in range(5):
        fail(pace, 0.0, 2)
        for _ in range(2):
            pace.answered(turn_of(pace), 0.0, events=1000, was_split=False)
    assert not pace.backs_off(0.0)
