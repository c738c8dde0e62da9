"""Sentences and numbers say what was measured, and no more."""

from __future__ import annotations

import msgspec
import pytest

from chaos.report import numbers
from chaos.report.figures import totals
from chaos.report.result import Drill, Starts, Zeros
from chaos.report.words import balance, felt, headline, outcome, overall, reach, started, tally
from tests.chaos.sample_report import named, only, report_of, sample

NONE = Zeros(acked_lost=0, double_owner=0, resurrected=0, invented=0)
replace = msgspec.structs.replace


def with_fault(**figures: object) -> Drill:
    """Redis was killed for two seconds, and the visitors of that time met this."""
    drill = named("redis-kill")
    assert drill.fault
    calm = {"from_s": 4.0, "to_s": 6.0, "asked": 1800, "answered": 1800, "p50_ms": 2.0, "max_ms": 31.0}
    return replace(drill, phases=(replace(drill.fault, **(calm | figures)),))


def test_what_visitors_felt_when_all_were_sent_on():
    assert felt(with_fault()) == (
        "1,800 visitors came while the fault lasted (2.0 s); all were sent on, half of them within 2.0 ms, "
        "the slowest in 31 ms."
    )


def test_what_visitors_felt_when_some_were_not():
    assert felt(with_fault(non_302=1, errors=12)) == (
        "1,800 visitors came while the fault lasted (2.0 s); 1 got another answer than the redirect and 12 got no "
        "answer; of all, half of them within 2.0 ms, the slowest in 31 ms."
    )


def test_what_nobody_felt():
    assert felt(with_fault(asked=0)) == "No visitor came while the fault lasted (2.0 s)."
    assert felt(named("disk-torn")) == ""
    assert "within" not in felt(with_fault(p50_ms=None))


def test_a_visitor_who_was_never_answered_was_not_sent_on():
    said = felt(with_fault(answered=1797))
    assert "3 got no answer" in said
    assert "all were sent on" not in said


@pytest.mark.parametrize(
    ("zeros", "said"),
    [
        (NONE, "every acknowledged click was kept; no click had two owners."),
        (replace(NONE, acked_lost=1), "1 acknowledged click was lost; no click had two owners."),
        (replace(NONE, double_owner=2), "every acknowledged click was kept; 2 clicks had two owners."),
        (replace(NONE, resurrected=1), "every acknowledged click was kept; no click had two owners; 1 finished click came back."),
        (replace(NONE, invented=4), "every acknowledged click was kept; no click had two owners; 4 clicks were not what the daemon had built."),
    ],
)  # fmt: skip
def test_what_became_of_the_clicks(zeros, said):
    assert outcome(zeros) == said


def test_the_headline_counts_what_was_carried_out():
    assert headline(only("redis-kill", "disk-torn")) == (
        "1 drill: every acknowledged click was kept; no click had two owners."
    )
    assert headline(sample()).startswith(
        "1 of 8 drills did not keep what was promised. 3 acknowledged clicks were lost"
    )


def test_a_run_is_broken_when_a_drill_is_whatever_its_own_verdict():
    assert overall(replace(only("disk-eio"), verdict="held")) == "broken"
    assert overall(replace(only("redis-kill"), verdict="broken")) == "broken"
    assert overall(only("redis-kill", "disk-torn")) == "held"
    assert overall(only("disk-torn")) == "untested"


def test_a_run_that_calls_itself_broken_is_never_praised():
    said = headline(replace(only("redis-kill"), verdict="broken"))
    assert said.startswith("The run is broken")


def test_the_tally_names_only_what_there_is():
    assert tally(sample()) == "7 held, 1 broken, 1 failed, 2 skipped"
    assert tally(only("redis-kill")) == "1 held"
    assert tally(report_of()) == "no drills"


def test_the_sums_leave_out_what_was_not_carried_to_its_end():
    failed = replace(named("redis-kill"), verdict="failed")
    sums = totals(report_of(failed, named("disk-eio")))
    assert (sums.drills, sums.clicks_asked, sums.not_sent_on, sums.zeros.acked_lost) == (1, 5500, 20, 3)
    assert reach(sums) == (
        "5,500 visitors came and 5,480 were answered; 20 were not sent on. "
        "312 people pressed START, and 290 came to own a click."
    )


def test_what_became_of_starts():
    calm = Starts(asked=300, answered=300, owners=270, deferred=0, lost=0)
    assert started(calm) == "300 people pressed START: 270 came to own a click; none was lost."
    assert "12 of them settled later; 2 were lost" in started(replace(calm, deferred=12, lost=2))
    assert started(replace(calm, asked=0)) == started(None) == ""


def test_the_books_are_a_sum_that_is_true_or_called_untrue():
    books = named("redis-kill").books
    assert books
    assert "The books balance: " in balance(books)
    assert " = " in balance(books)
    wrong = balance(replace(books, balanced=False, issued=books.issued + 1))
    assert "do not balance" in wrong
    assert " ≠ " in wrong


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (numbers.ms(None), "–"), (numbers.ms(0.04), "< 0.1 ms"), (numbers.ms(0), "0 ms"), (numbers.ms(2.1), "2.1 ms"),
        (numbers.ms(9.97), "10 ms"), (numbers.ms(31.4), "31 ms"), (numbers.ms(999.4), "999 ms"), (numbers.ms(1234), "1.2 s"),
        (numbers.seconds(24.1), "24 s"), (numbers.seconds(812.4), "13 min 32 s"), (numbers.seconds(120), "2 min"),
        (numbers.share(999, 1000), "> 99 %"), (numbers.share(1, 1000), "< 1 %"), (numbers.share(1, 1), "100 %"), (numbers.share(0, 0), "–"),
        (numbers.bound(True, ""), "yes"), (numbers.bound(60, "ms"), "60 ms"), (numbers.bound(71.25, "ms"), "71.25 ms"),
        (numbers.bound(0, ""), "0"), (numbers.bound(0.714, ""), "0.714"), (numbers.bound(1000.4, ""), "1,000.4"), (numbers.bound(None, "ms"), "–"), (numbers.bound("all", ""), "all"), (numbers.bound(1800, ""), "1,800"), (numbers.bound(59.96, "ms"), "59.96 ms"),
    ],
)  # fmt: skip
def test_numbers_have_as_many_digits_as_mean_something(said, expected):
    assert said == expected
