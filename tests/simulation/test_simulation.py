"""What the scores make of made-up days. The targets are the product owner's: bots 0.80, fraud 0.70, in the usual mix."""

from __future__ import annotations

import pytest

from tests.simulation.day import SimClick
from tests.simulation.measure import JUST_SETTLED, Measured, Rate, measure, rate
from tests.simulation.mix import KINDS, MIXES, clicks
from tests.simulation.seen import evidence

BOT_TARGET, FRAUD_TARGET = 0.80, 0.70


@pytest.fixture(scope="module")
def usual() -> Measured:
    return measure(number=20_000, seed=1, mix="usual")


def test_of_the_clicks_counted_as_bots_and_as_fraud_enough_are(usual: Measured) -> None:
    assert usual.rates["bot"].precision > BOT_TARGET
    assert usual.rates["fraud"].precision > FRAUD_TARGET


def test_a_score_that_hardly_ever_speaks_would_not_do(usual: Measured) -> None:
    assert usual.rates["bot"].recall > 0.5
    assert usual.rates["fraud"].recall > 0.4


def test_fraud_is_found_better_than_by_the_first_formula(usual: Measured) -> None:
    own, first = usual.rates["fraud"], usual.rates["baseline fraud"]
    assert own.precision > 2 * first.precision
    assert own.recall > 2 * first.recall


@pytest.mark.parametrize("seed", range(2, 8))
def test_the_targets_hold_on_other_days(seed: int) -> None:
    day = measure(number=10_000, seed=seed, mix="usual")
    assert day.rates["bot"].precision > BOT_TARGET
    assert day.rates["fraud"].precision > FRAUD_TARGET


def test_ten_seconds_after_a_click_they_hold_too() -> None:
    day = measure(number=10_000, seed=1, mix="usual", after_s=JUST_SETTLED)
    assert day.rates["bot"].precision > BOT_TARGET
    assert day.rates["fraud"].precision > FRAUD_TARGET


def test_people_abroad_and_at_night_are_counted_no_more_often_than_others(usual: Measured) -> None:
    for kind in ("in_app", "abroad", "night", "desktop", "double_tap"):
        whole, bot, fraud = usual.by_kind[kind]
        assert bot / whole < 0.01, kind
        assert fraud / whole < 0.01, kind


@pytest.mark.parametrize("mix", MIXES)
def test_every_kind_of_traffic_is_in_a_day_with_about_its_part(mix: str) -> None:
    day = clicks(number=20_000, seed=3, mix=mix)
    whole = sum(getattr(kind, mix) for kind in KINDS)
    assert len(day) == pytest.approx(20_000, rel=0.06)
    for kind in KINDS:
        found = sum(click.kind == kind.make.__name__ for click in day)
        assert found >= 20_000 * getattr(kind, mix) / whole - 1, kind.make.__name__


def test_the_same_seed_is_the_same_day_and_another_is_another() -> None:
    first, again, other = (clicks(number=500, seed=seed, mix="usual") for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_counts_are_by_time_and_by_key() -> None:
    def click(at: float, visitor: str, token: int, *starts: tuple[int, float]) -> SimClick:
        return SimClick(
            kind="x", at_s=at, visitor=visitor, link=1, token=token, fbclid=9, starts=list(starts)
        )

    day = [
        click(0, "a", 1, (70, 4), (71, 30)),
        click(50, "a", 2),
        click(61, "a", 3, (72, 62.5)),
        click(62, "b", 4),
    ]
    later = evidence(day, after_s=86_400)
    assert [seen.repeats for seen in later] == [1, 2, 2, 1]
    assert [seen.visitor_users for seen in later] == [0, 2, 2, 0]
    assert [seen.token_users for seen in later] == [2, 0, 1, 0]
    assert [seen.click_to_start_s for seen in later] == [4, None, 1.5, None]
    assert [seen.started for seen in later] == [True, False, True, False]
    assert [seen.fbclid_visitors for seen in later] == [2, 2, 2, 2]
    soon = evidence(day, after_s=1)
    assert [seen.started for seen in soon] == [None, None, None, None]
    assert [seen.token_users for seen in soon] == [0, 0, 0, 0]
    assert [seen.fbclid_visitors for seen in soon] == [1, 1, 2, 2]


def test_precision_is_of_those_counted_and_recall_of_those_that_are() -> None:
    found = rate([(True, True), (True, False), (True, False), (False, True), (False, False)])
    assert found == Rate(3, 2, 1)
    assert (found.precision, found.recall) == (0.5, 1 / 3)
    assert (rate([]).precision, rate([]).recall) == (0.0, 0.0)
