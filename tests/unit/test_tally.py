"""What changes add to the rollups, without SQL: zones, order, and what is not known."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.tally import Tally
from domain.rollups import day_of, hour_of

SAO_PAULO, NEW_YORK, LORD_HOWE = map(
    ZoneInfo, ("America/Sao_Paulo", "America/New_York", "Australia/Lord_Howe")
)
AD = b"\1" * 8
UNKNOWN = (None,) * 8 + (None, None, False, False, False)
KNOWN = ("BR", "SP", "Santos", "phone", "iOS", "Safari", "Instagram", "in_app", 37, 100, True, True, True)


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def click(at: str | int, *, sign: int = 1, started: int | None = None, said: Any = KNOWN) -> tuple[Any, ...]:
    at_ms = at if isinstance(at, int) else ms(at)
    return (sign, f"{at_ms:012x}", 1, AD, True, False, started, *said)


def sold(lane: str, at: str = "2026-03-01T00:00", clicked: str = "2026-03-01T00:00") -> tuple[Any, ...]:
    return (1, "Purchase", ms(at), f"{ms(clicked):012x}", 1, AD, lane, "sent", None, 5, "BRL")


def of_all(table: dict[Any, list[int]]) -> dict[int, int]:
    """Clicks by time, of the trait of all of them."""
    return {key[1]: sums[0] for key, sums in table.items() if key[0] == ""}


def test_the_hour_that_comes_twice_is_two_hours_of_one_day() -> None:
    """F47: in New York clocks went back from 2:00 to 1:00 on 1 November 2026, at 06:00 UTC."""
    clicks = [click(f"2026-11-01T{at}") for at in ("04:59", "05:00", "05:59", "06:00", "06:59", "07:00")]
    found = Tally(NEW_YORK)(clicks, (), ())
    first = ms("2026-11-01T04:00") // 60_000
    assert of_all(found["rollup_hours"]) == {first: 1, first + 60: 2, first + 120: 2, first + 180: 1}
    assert of_all(found["rollup_days"]) == {20261101: 6}


def test_where_clocks_change_by_half_an_hour_hours_begin_where_the_clock_says_so() -> None:
    """F47: on Lord Howe they go back by 30 minutes, from 11 to 10:30 hours ahead of UTC."""
    clicks = [click(at) for at in ("2026-04-04T14:45", "2026-04-04T15:15", "2026-04-04T15:45")]
    hours = of_all(Tally(LORD_HOWE)(clicks, (), ())["rollup_hours"])
    assert hours == {
        ms(at) // 60_000: n
        for at, n in (("2026-04-04T14:00", 1), ("2026-04-04T14:30", 1), ("2026-04-04T15:30", 1))
    }


def test_a_day_without_midnight_begins_with_its_first_moment() -> None:
    """F47: on 4 November 2018 the day began at 1:00 in São Paulo."""
    days = of_all(
        Tally(SAO_PAULO)([click("2018-11-04T02:59"), click("2018-11-04T03:00")], (), ())["rollup_days"]
    )
    assert days == {20181103: 1, 20181104: 1}


@given(
    st.lists(st.integers(ms("1990-01-01"), ms("2037-12-31")), max_size=20),
    st.sampled_from([SAO_PAULO, NEW_YORK, LORD_HOWE]),
)
def test_times_are_those_of_the_domain_whatever_was_asked_before(times: list[int], zone: ZoneInfo) -> None:
    found = Tally(zone)([click(at) for at in times], (), ())
    assert set(of_all(found["rollup_hours"])) == {hour_of(at, zone) for at in times}
    assert set(of_all(found["rollup_days"])) == {day_of(at, zone) for at in times}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10**8), st.sampled_from([KNOWN, UNKNOWN]), st.none() | st.integers(0, 10**9)
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_batches_and_order_make_no_difference_and_what_is_taken_back_leaves_nothing(
    given_: list[tuple[int, Any, int | None]], dice: random.Random
) -> None:
    changes = [click(at, started=started, said=said) for at, said, started in given_]
    taken = [(-1, *change[1:]) for change in changes]
    both = [*changes, *taken]
    dice.shuffle(both)
    tally = Tally(SAO_PAULO)
    assert not any(tally(both, (), ()).values())
    whole = tally(changes, (), ())
    dice.shuffle(changes)
    at = dice.randrange(len(changes) + 1)
    assert added(tally(changes[:at], (), ()), tally(changes[at:], (), ())) == {
        name: dict(t) for name, t in whole.items()
    }


def added(one: Any, other: Any) -> dict[str, dict[Any, list[int]]]:
    names = {name: {*one[name], *other[name]} for name in one}
    nothing = [0] * 4
    return {
        name: {
            key: [
                a + b
                for a, b in zip(one[name].get(key, nothing), other[name].get(key, nothing), strict=False)
            ]
            for key in keys
        }
        for name, keys in names.items()
    }


def test_what_is_not_known_counts_as_empty_and_scores_by_their_tens() -> None:
    days = Tally(SAO_PAULO)([click("2026-03-01T12:00"), click("2026-03-01T12:00", said=UNKNOWN)], (), ())[
        "rollup_days"
    ]
    values = {
        trait: sorted(key[3] for key in days if key[0] == trait)
        for trait in ("city", "agent", "bot_score", "fraud_score")
    }
    assert values == {
        "city": ["", "Santos"],
        "agent": ["", "1"],
        "bot_score": ["", "30"],
        "fraud_score": ["", "100"],
    }


def test_a_start_before_its_click_has_waited_for_nothing() -> None:
    at = ms("2026-03-01T12:00")
    found = Tally(SAO_PAULO)([click(at, started=at - 5000), click(at, started=at + 61_000)], (), ())
    waits = {key[3]: sums for key, sums in found["rollup_days"].items() if key[0] == "wait"}
    assert waits == {"00": [1, 1, 0, 0], "08": [1, 1, 0, 61_000]}


@pytest.mark.parametrize("lane", ["meta/1", ""])
def test_an_event_is_its_row_that_is_no_webhooks(lane: str) -> None:
    """F45; and what an ad has sold is of the day of its click."""
    lanes = [sold(each, at="2026-03-05T12:00") for each in (lane, "webhook/a", "webhook/b")]
    found = Tally(SAO_PAULO)((), (), lanes)
    assert [*found["rollup_events"].values()] == [[1, 5]]
    assert found["rollup_sales"] == {(20260228, 1, AD, "Purchase", "BRL"): [1, 5]}
    assert len(found["rollup_deliveries"]) == len(lanes)
