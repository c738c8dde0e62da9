"""Which bot of a pool a visit is sent to."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import get_args
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ConfigError
from domain.links import Bot, BotHealth, Link, Member, Strategy
from domain.pools import MAX_MEMBERS, ROLL_BITS, Dealer, choose, valid_priority, valid_weight
from tests.making import new_id

UNFIT = ("revoked", "banned", "renamed")
healths = st.sampled_from(get_args(BotHealth))
strategies = st.sampled_from(get_args(Strategy))
rolls = st.integers(0, 2**ROLL_BITS - 1)
turns = st.integers(0, 10**9)


def member(number: int, weight: int = 1, priority: int = 1, health: BotHealth = "ok") -> Member:
    return Member(
        bot=Bot(id=number, username=f"bot_{number}", health=health), weight=weight, priority=priority
    )


@st.composite
def pools(draw: st.DrawFn, health: st.SearchStrategy[BotHealth] = healths) -> tuple[Member, ...]:
    """A pool as the catalog gives it: by priority, heavier first."""
    size = draw(st.integers(1, MAX_MEMBERS))
    found = [
        member(number, draw(st.integers(1, 1000)), draw(st.integers(1, 5)), draw(health))
        for number in range(size)
    ]
    return tuple(sorted(found, key=lambda m: (m.priority, -m.weight, m.bot.id)))


def link_of(*pool: Member, strategy: Strategy = "weighted", number: int = 1) -> Link:
    return Link(id=number, slug=f"l{number}", name="l", pool=pool, strategy=strategy)


def shares(*pool: Member, strategy: Strategy) -> Counter[int]:
    """How often each bot gets one of 20,000 clicks whose ids are as random as real ones, and the same in every run."""
    link, dealer = link_of(*pool, strategy=strategy), Dealer()
    return Counter(
        dealer.bot(link, UUID(int=number * 0x9E3779B1 & 0xFFFFFFFF)).id for number in range(20_000)
    )


@given(pools(), strategies, rolls, turns)
def test_an_unfit_bot_is_never_chosen_while_a_fit_one_is_there(
    pool: tuple[Member, ...], strategy: Strategy, roll: int, turn: int
) -> None:
    bot = choose(pool, strategy, roll=roll, turn=turn)
    assert bot in [m.bot for m in pool]
    assert bot.fit == any(m.bot.fit for m in pool)


@given(pools(st.sampled_from(UNFIT)), strategies, rolls, turns)
def test_with_no_fit_bot_the_one_that_does_least_harm_is_chosen_whatever_the_roll(
    pool: tuple[Member, ...], strategy: Strategy, roll: int, turn: int
) -> None:
    chosen = choose(pool, strategy, roll=roll, turn=turn)
    assert not chosen.fit
    best = min(UNFIT.index(m.bot.health) for m in pool)
    least = [m for m in pool if UNFIT.index(m.bot.health) == best]
    first = min(m.priority for m in least)
    heaviest = max(m.weight for m in least if m.priority == first)
    assert chosen in [m.bot for m in least if (m.priority, m.weight) == (first, heaviest)]


def test_reachable_comes_before_dead_and_dead_before_a_name_that_may_be_a_strangers() -> None:
    pool = [member(1, health="revoked", priority=9), member(2, health="banned"), member(3, health="renamed")]
    for order in permutations(pool):
        assert choose(order, "weighted", roll=0, turn=0).id == 1
    assert choose(pool[1:], "priority", roll=0, turn=0).id == 2


def test_shares_follow_the_weights_over_all_priorities() -> None:
    found = shares(member(1, 5), member(2, 3, 2), member(3, 2, 3), strategy="weighted")
    assert [round(found[number] / 20_000, 2) for number in (1, 2, 3)] == [0.5, 0.3, 0.2]


def test_the_share_of_an_unfit_bot_goes_to_the_others_by_their_weights() -> None:
    found = shares(member(1, 5, health="banned"), member(2, 3), member(3, 1), strategy="weighted")
    assert [round(found[number] / 20_000, 2) for number in (1, 2, 3)] == [0, 0.75, 0.25]


@given(pools(), st.lists(rolls, min_size=1, max_size=20))
def test_priority_takes_the_lowest_number_that_has_a_fit_bot(
    pool: tuple[Member, ...], some: list[int]
) -> None:
    fit = [m for m in pool if m.bot.fit]
    first = min((m.priority for m in fit), default=None)
    for roll in some:
        chosen = choose(pool, "priority", roll=roll, turn=0)
        assert not fit or chosen in [m.bot for m in fit if m.priority == first]


def test_priority_fails_over_to_the_next_number_and_shares_by_weight_there() -> None:
    pool = [member(1), member(2, 3, 2), member(3, 1, 2), member(4, 100, 3)]
    assert shares(*pool, strategy="priority") == {1: 20_000}
    pool[0] = member(1, health="banned")
    found = shares(*pool, strategy="priority")
    assert [round(found[number] / 20_000, 2) for number in (1, 2, 3, 4)] == [0, 0.75, 0.25, 0]


def test_round_robin_deals_in_turn_whatever_the_weights_and_priorities() -> None:
    dealer, link = Dealer(), link_of(member(1, 9), member(2, 1, 2), member(3), strategy="round_robin")
    assert [dealer.bot(link, new_id()).id for _ in range(7)] == [1, 2, 3, 1, 2, 3, 1]


def test_round_robin_leaves_out_an_unfit_bot() -> None:
    dealer, pool = Dealer(), (member(1), member(2, health="revoked"), member(3))
    link = link_of(*pool, strategy="round_robin")
    assert [dealer.bot(link, new_id()).id for _ in range(4)] == [1, 3, 1, 3]


def test_each_link_and_each_process_has_turns_of_its_own() -> None:
    pool = (member(1), member(2))
    one, other = (link_of(*pool, strategy="round_robin", number=number) for number in (1, 2))
    dealer = Dealer()
    assert [dealer.bot(link, new_id()).id for link in (one, other, one, other)] == [1, 1, 2, 2]
    assert Dealer().bot(one, new_id()).id == 1


@given(pools(), st.sampled_from(["weighted", "priority"]), st.integers(0, 2**48 - 1))
def test_two_daemons_send_one_click_id_to_the_same_bot(
    pool: tuple[Member, ...], strategy: Strategy, at_ms: int
) -> None:
    link, click_id = link_of(*pool, strategy=strategy), new_id(at_ms)
    assert Dealer().bot(link, click_id) == Dealer().bot(link, click_id)


def test_real_click_ids_reach_every_bot_of_a_pool() -> None:
    """The bits that decide are random in every id, and not its time."""
    link = link_of(*(member(number) for number in range(4)))
    assert {Dealer().bot(link, new_id(5)).id for _ in range(1000)} == {0, 1, 2, 3}


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=5), strategies, rolls)
def test_numbers_that_no_command_lets_in_choose_a_bot_all_the_same(
    weights: list[int], strategy: Strategy, roll: int
) -> None:
    """What somebody wrote into SQL by hand may not cost a redirect."""
    strange: BotHealth = "gone away"  # type: ignore[assignment]
    pool = [member(number, weight, -weight, "ok") for number, weight in enumerate(weights)]
    assert choose(pool, strategy, roll=roll, turn=0) in [m.bot for m in pool]
    assert choose([member(1, health=strange)], strategy, roll=roll, turn=0).id == 1


def test_weights_and_priorities_have_bounds() -> None:
    assert [valid_weight(n) for n in (1, 1000)] == [1, 1000]
    assert [valid_priority(n) for n in (1, 100)] == [1, 100]
    for check, bad in ((valid_weight, 1001), (valid_weight, 0), (valid_priority, 101), (valid_priority, 0)):
        with pytest.raises(ConfigError, match="not a"):
            check(bad)
