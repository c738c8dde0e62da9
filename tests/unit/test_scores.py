"""Scores: what each signal says, what none may say, and the owner's formulas to the letter."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.enrich.evidence import Evidence
from daemon.enrich.scores import (
    BOT_FROM,
    FRAUD_FROM,
    baseline_bot,
    baseline_fraud,
    bot_score,
    fraud_score,
    scores,
)
from daemon.enrich.signals import BOT_SIGNALS, FRAUD_SIGNALS, Signal
from domain.enrichment import TRAFFIC_CLASSES, Reason, Score, Scores

NOTHING_KNOWN = Evidence(clicked_at_ms=1_800_000_000_000, local_hour=12, has_fbclid=True)
HONEST = replace(
    NOTHING_KNOWN,
    traffic="in_app",
    in_app=True,
    user_agent_given=True,
    country="BR",
    started=True,
    click_to_start_s=7.0,
    repeats=1,
    token_users=1,
    fbclid_visitors=1,
)
BOT = {signal.name: signal for signal in BOT_SIGNALS}
FRAUD = {signal.name: signal for signal in FRAUD_SIGNALS}

counts = st.integers(0, 500)
evidences = st.builds(
    Evidence,
    clicked_at_ms=st.integers(0, 2**41),
    local_hour=st.integers(0, 23),
    has_fbclid=st.booleans(),
    traffic=st.sampled_from(TRAFFIC_CLASSES),
    automation=st.sampled_from([None, "crawler", "preview", "tool"]),
    in_app=st.booleans(),
    user_agent_given=st.sampled_from([None, True, False]),
    hosting=st.booleans(),
    country=st.sampled_from([None, "BR", "PT", "US"]),
    started=st.sampled_from([None, True, False]),
    click_to_start_s=st.none() | st.floats(allow_nan=True),
    repeats=counts,
    token_users=counts,
    fbclid_visitors=counts,
    visitor_users=counts,
)

# What is seen, the bot signals it sets off, the fraud signals.
SIGNS: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({"automation": "crawler"}, ["says_program"], []),
    ({"automation": "preview"}, ["says_program"], []),
    ({"automation": "tool"}, ["says_program"], []),
    ({"user_agent_given": False}, ["no_user_agent"], []),
    ({"traffic": "prefetch", "started": False}, ["unredeemed_prefetch"], []),
    ({"traffic": "head", "started": False}, ["unredeemed_prefetch"], []),
    ({"traffic": "prefetch", "started": True}, [], []),
    ({"traffic": "prefetch", "started": None}, [], []),
    ({"traffic": "human", "started": False}, [], []),
    ({"in_app": True, "hosting": True}, ["in_app_from_hosting"], ["in_app_from_hosting"]),
    ({"in_app": True}, [], []),
    ({"hosting": True}, ["hosting"], []),
    ({"repeats": 60}, [], []),
    ({"repeats": 61}, ["burst"], ["burst"]),
    ({"repeats": 10, "hosting": True}, ["hosting"], []),
    ({"repeats": 11, "hosting": True}, ["hosting", "hosting_burst"], ["hosting_burst"]),
    ({"repeats": 61, "hosting": True}, ["hosting", "hosting_burst"], ["hosting_burst"]),
    ({"click_to_start_s": 0.0}, ["instant_start"], ["instant_start"]),
    ({"click_to_start_s": 0.799}, ["instant_start"], ["instant_start"]),
    ({"click_to_start_s": 0.8}, ["fast_start"], ["fast_start"]),
    ({"click_to_start_s": 1.999}, ["fast_start"], ["fast_start"]),
    ({"click_to_start_s": 2.0}, [], []),
    ({"click_to_start_s": -0.001}, [], []),
    ({"click_to_start_s": float("nan")}, [], []),
    ({"token_users": 2}, [], []),
    ({"token_users": 3}, [], ["token_of_some"]),
    ({"token_users": 5}, [], ["token_of_some"]),
    ({"token_users": 6}, [], ["token_of_many"]),
    ({"fbclid_visitors": 7}, [], []),
    ({"fbclid_visitors": 8}, [], ["fbclid_of_some"]),
    ({"fbclid_visitors": 24}, [], ["fbclid_of_some"]),
    ({"fbclid_visitors": 25}, [], ["fbclid_of_many"]),
    ({"visitor_users": 500}, [], []),
    ({"country": "KP", "local_hour": 3, "has_fbclid": False}, [], []),
]


def expected(names: list[str], signals: dict[str, Signal]) -> tuple[int, list[tuple[str, int]]]:
    weights = [(name, signals[name].weight) for name in signals if name in names]
    return min(100, sum(weight for _, weight in weights)), weights


def told(score: Score) -> tuple[int, list[tuple[str, int]]]:
    return score.points, [(reason.signal, reason.weight) for reason in score.reasons]


@pytest.mark.parametrize(("seen", "bot", "fraud"), SIGNS, ids=[str(sign[0]) for sign in SIGNS])
def test_each_sign_sets_off_its_signals_and_no_other(
    seen: dict[str, Any], bot: list[str], fraud: list[str]
) -> None:
    found = replace(NOTHING_KNOWN, **seen)
    assert told(bot_score(found)) == expected(bot, BOT)
    assert told(fraud_score(found)) == expected(fraud, FRAUD)


def test_every_signal_is_set_off_by_some_sign() -> None:
    assert {name for _, bot, _ in SIGNS for name in bot} == BOT.keys()
    assert {name for _, _, fraud in SIGNS for name in fraud} == FRAUD.keys()


def test_names_are_unique_within_a_score_and_weights_are_points() -> None:
    assert len(BOT) == len(BOT_SIGNALS)
    assert len(FRAUD) == len(FRAUD_SIGNALS)
    assert all(0 < signal.weight <= 100 for signal in (*BOT_SIGNALS, *FRAUD_SIGNALS))


def test_a_reason_says_what_was_seen() -> None:
    found = replace(NOTHING_KNOWN, click_to_start_s=0.69, token_users=9, fbclid_visitors=30, repeats=61)
    assert bot_score(found).reasons == (
        Reason("instant_start", 60, "started 0.6 s after the click"),
        Reason("burst", 30, "61 clicks of one visitor key in a minute"),
    )
    assert [reason.evidence for reason in fraud_score(found).reasons] == [
        "9 people on one token",
        "one fbclid from 30 visitor keys",
        "started 0.6 s after the click",
        "61 clicks of one visitor key in a minute",
    ]


def test_points_stop_at_100_and_the_reasons_are_all_listed() -> None:
    found = replace(
        NOTHING_KNOWN,
        automation="tool",
        user_agent_given=False,
        traffic="head",
        started=False,
        click_to_start_s=0.1,
        token_users=99,
        fbclid_visitors=99,
    )
    bot, fraud = bot_score(found), fraud_score(found)
    assert (bot.points, fraud.points) == (100, 100)
    assert sum(reason.weight for reason in bot.reasons) == 240
    assert sum(reason.weight for reason in fraud.reasons) == 170


def test_nothing_unknown_and_nothing_honest_counts() -> None:
    assert bot_score(NOTHING_KNOWN) == fraud_score(NOTHING_KNOWN) == Score()
    assert scores(HONEST) == Scores()


UNKNOWN = {field.name: getattr(NOTHING_KNOWN, field.name) for field in fields(Evidence)}


@given(evidences, st.sampled_from(sorted(UNKNOWN)))
def test_forgetting_something_never_adds_points(found: Evidence, name: str) -> None:
    less = replace(found, **{name: UNKNOWN[name]})
    assert bot_score(less).points <= bot_score(found).points
    assert fraud_score(less).points <= fraud_score(found).points


@given(evidences)
def test_forgetting_the_user_agent_never_adds_points(found: Evidence) -> None:
    less = replace(found, in_app=False, automation=None, user_agent_given=None)
    assert bot_score(less).points <= bot_score(found).points
    assert fraud_score(less).points <= fraud_score(found).points


@given(evidences, st.sampled_from([None, "BR", "PT", "US", "JP"]), st.integers(0, 23), st.booleans())
def test_country_hour_and_a_missing_fbclid_never_change_a_score(
    found: Evidence, country: str | None, hour: int, has_fbclid: bool
) -> None:
    elsewhere = replace(found, country=country, local_hour=hour, has_fbclid=has_fbclid)
    assert bot_score(elsewhere) == bot_score(found)
    assert fraud_score(elsewhere) == fraud_score(found)


@pytest.mark.parametrize("seen", [sign[0] for sign in SIGNS], ids=str)
@pytest.mark.parametrize("country", [None, "BR", "PT", "US", "JP"])
def test_every_hour_of_every_country_has_the_same_score(seen: dict[str, Any], country: str | None) -> None:
    found = replace(NOTHING_KNOWN, **seen)
    for hour, has_fbclid in itertools.product(range(24), [True, False]):
        elsewhere = replace(found, country=country, local_hour=hour, has_fbclid=has_fbclid)
        assert (bot_score(elsewhere), fraud_score(elsewhere)) == (bot_score(found), fraud_score(found))


@given(evidences, st.sampled_from(["repeats", "token_users", "fbclid_visitors", "visitor_users"]), counts)
def test_more_of_the_same_never_takes_points_away(found: Evidence, name: str, more: int) -> None:
    grown = replace(found, **{name: getattr(found, name) + more})
    assert bot_score(grown).points >= bot_score(found).points
    assert fraud_score(grown).points >= fraud_score(found).points


@given(evidences)
def test_every_score_is_within_0_and_100_and_is_the_capped_sum_of_its_reasons(found: Evidence) -> None:
    made = scores(found)
    for score in (made.bot, made.fraud):
        assert score.points == min(100, sum(reason.weight for reason in score.reasons))
        assert all(reason.evidence for reason in score.reasons)
    assert 0 <= made.baseline_bot <= 100
    assert 0 <= made.baseline_fraud <= 100


@pytest.mark.parametrize(
    ("score", "threshold", "signals"),
    [
        (bot_score, BOT_FROM, ["hosting", "in_app_from_hosting", "fast_start", "burst"]),
        (fraud_score, FRAUD_FROM, ["in_app_from_hosting", "fast_start", "burst", "token_of_some"]),
    ],
    ids=["bot", "fraud"],
)
def test_what_happens_to_honest_people_too_is_not_counted_on_its_own(
    score: Callable[[Evidence], Score], threshold: int, signals: list[str]
) -> None:
    """A VPN, a quick thumb, a carrier's crowded address, a link passed on to friends."""
    alone: list[dict[str, Any]] = [
        {"hosting": True},
        {"hosting": True, "in_app": True},
        {"click_to_start_s": 1.5},
        {"repeats": 200},
        {"token_users": 5},
        {"fbclid_visitors": 24},
    ]
    found = [score(replace(NOTHING_KNOWN, **seen)) for seen in alone]
    assert all(one.points < threshold for one in found)
    assert {reason.signal for one in found for reason in one.reasons} >= set(signals)


@pytest.mark.parametrize(
    ("seen", "points"),
    [
        ({}, 0),
        ({"automation": "crawler"}, 50),
        ({"automation": "preview"}, 50),
        ({"automation": "tool"}, 50),
        ({"user_agent_given": False}, 0),
        ({"visitor_users": 5}, 0),
        ({"visitor_users": 6}, 30),
        ({"click_to_start_s": 1.999}, 20),
        ({"click_to_start_s": 2.0}, 0),
        ({"click_to_start_s": -1.0}, 20),
        ({"visitor_users": 6, "click_to_start_s": 0.5}, 50),
        ({"automation": "tool", "visitor_users": 6, "click_to_start_s": 0.5}, 100),
    ],
)
def test_the_baseline_of_bots_is_the_owners_formula(seen: dict[str, Any], points: int) -> None:
    assert baseline_bot(replace(NOTHING_KNOWN, **seen)) == points


@pytest.mark.parametrize(
    ("country", "has_fbclid", "hour", "automation"),
    list(itertools.product(["BR", "PT", None], [True, False], range(24), [None, "crawler"])),
)
def test_the_baseline_of_fraud_is_the_owners_formula(
    country: str | None, has_fbclid: bool, hour: int, automation: Any
) -> None:
    found = replace(
        NOTHING_KNOWN, country=country, has_fbclid=has_fbclid, local_hour=hour, automation=automation
    )
    points = {"BR": 0, "PT": 40, None: 40}[country] + (0 if has_fbclid else 30)
    points += 20 if hour in {3, 4, 5, 6} else 0
    assert baseline_fraud(found) == points + (10 if automation else 0)


def test_the_baseline_of_fraud_takes_a_bot_from_50_points() -> None:
    below = replace(NOTHING_KNOWN, country="BR", visitor_users=6)
    assert (baseline_bot(below), baseline_fraud(below)) == (30, 0)
    at = replace(below, click_to_start_s=1.0)
    assert (baseline_bot(at), baseline_fraud(at)) == (50, 10)


def test_all_four_scores_stand_side_by_side() -> None:
    found = replace(NOTHING_KNOWN, automation="tool", country="PT")
    assert scores(found) == Scores(bot_score(found), fraud_score(found), 50, 50)
