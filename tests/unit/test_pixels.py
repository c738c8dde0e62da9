"""Numbers of what became of conversions."""

from __future__ import annotations

from domain.pixels import Outcome, count_of, match_rates, reasons_of

LANE = "meta/12345"
FOUND = [
    Outcome(lane=LANE, state="sent", matched=("fbc", "em"), count=1),
    Outcome(lane=LANE, state="sent", matched=("fbc",), count=2),
    Outcome(lane=LANE, state="sent", count=1),
    Outcome(lane=LANE, state="skipped", reason="off", matched=("em",), count=5),
    Outcome(lane=LANE, state="dead", reason="too late", count=2),
    Outcome(lane=LANE, state="dead", reason="too late", matched=("fbc",), count=4),
]


def test_match_rates_are_shares_of_what_was_sent_the_highest_first() -> None:
    assert list(match_rates(FOUND).items()) == [("fbc", 0.75), ("em", 0.25)]
    assert match_rates(FOUND[3:]) == {}


def test_reasons_are_those_of_what_was_not_sent_the_most_frequent_first() -> None:
    dead = Outcome(lane=LANE, state="dead", reason="too late", count=6)
    assert reasons_of(FOUND, 9) == (dead, Outcome(lane=LANE, state="skipped", reason="off", count=5))
    assert reasons_of(FOUND, 1) == (dead,)


def test_counts_are_of_one_state() -> None:
    assert [count_of(FOUND, state) for state in ("sent", "dead", "rejected")] == [4, 6, 0]
