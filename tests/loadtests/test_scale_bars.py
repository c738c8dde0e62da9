"""What is asked of more daemons, and what a machine cannot tell."""

from __future__ import annotations

from loadtests.scale_bars import Measured, Verdict, verdicts


def judged(cores: int, *ratios: float, fullest: float = 0.3, others: float = 0.0) -> list[bool | None]:
    return [each.held for each in found(cores, *ratios, fullest=fullest, others=others)]


def found(cores: int, *ratios: float, fullest: float = 0.3, others: float = 0.0) -> list[Verdict]:
    by_count = dict(enumerate((1.0, *ratios), 1))
    return verdicts(Measured(cores=cores, ratios=by_count, fullest=fullest, others=others))


def test_three_daemons_must_bring_two_and_a_half_times_the_clicks_where_there_are_cores_for_them() -> None:
    assert judged(8, 1.9, 2.5) == [True, True, True]
    assert judged(8, 1.9, 2.49) == [False, True, True]


def test_on_few_cores_growth_cannot_be_judged_and_the_reason_names_them() -> None:
    assert judged(2, 1.0, 1.0) == [None, True, True]
    assert found(2, 1.0, 1.0)[0].why.startswith("2 cores; it takes 6")


def test_more_daemons_may_cost_a_tenth_and_no_more_whatever_the_machine() -> None:
    assert judged(2, 0.9, 0.89) == [None, True, False]


def test_a_miss_is_not_trilhas_when_the_generator_was_full_or_others_were_at_work() -> None:
    assert judged(8, 1.9, 2.0, fullest=0.95) == [None, True, True]
    assert judged(8, 1.9, 2.0, others=1.0) == [None, True, True]
    assert judged(8, 1.9, 2.6, fullest=0.95, others=1.0) == [True, True, True]


def test_without_three_daemons_nothing_is_said_of_their_growth() -> None:
    assert [each.bar for each in found(8, 1.8)] == ["2 daemons >= 0.9 x one"]
