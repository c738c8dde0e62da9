"""Who may stay connected: caps, deadlines, and who gives way to whom."""

from __future__ import annotations

from collections import Counter

import pytest

from daemon.connections import Connections, Limits, Place, group_of
from domain.clock import ManualClock
from domain.observations import Silent

LIMITS = Limits(total=4, per_address=3, idle=15, head=10, body=30)


class Hearing(Silent):
    """An observer that keeps how many are open, and why others were closed."""

    def __init__(self) -> None:
        self.open = 0
        self.reasons: Counter[str] = Counter()

    def connections(self, listener: str, count: int) -> None:
        self.open = count

    def connection_closed(self, listener: str, reason: str) -> None:
        self.reasons[reason] += 1


class Caller:
    """A connection that knows whether it was let go."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.group: str | None = None
        self.gone = False

    def let_go(self) -> None:
        self.gone = True


class Hall:
    """Connections with a clock by hand. `proxy` is a trusted proxy."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock = ManualClock()
        self.heard = Hearing()
        self.all = Connections(
            limits,
            clock=self.clock,
            observer=self.heard,
            listener="public",
            exempt=lambda who: who == "proxy",
        )

    def enter(self, address: str) -> Caller:
        caller = self.refused_or_not(address)
        assert caller.group is not None
        return caller

    def refused_or_not(self, address: str) -> Caller:
        caller = Caller()
        assert self.all.arrived(caller, address) == (caller.group is not None)
        return caller

    def answered(self, address: str) -> Caller:
        caller = self.enter(address)
        self.all.busy(caller)
        self.all.idle(caller)
        return caller

    def asking(self, address: str) -> Caller:
        caller = self.enter(address)
        self.all.busy(caller)
        return caller

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.all.expire()


@pytest.fixture
def hall() -> Hall:
    return Hall()


@pytest.mark.parametrize(
    ("state", "seconds", "reason"),
    [
        ("new", 15, "idle"),
        ("idle", 15, "idle"),
        ("slow_head", 10, "slow_head"),
        ("slow_body", 30, "slow_body"),
    ],
)
def test_each_state_has_its_deadline(hall: Hall, state: str, seconds: int, reason: str) -> None:
    caller = hall.enter("a")
    if state != "new":
        getattr(hall.all, state)(caller)
    hall.pass_time(seconds - 1)
    assert (caller.gone, hall.heard.open) == (False, 1)
    hall.pass_time(1)
    assert (caller.gone, hall.heard.open) == (True, 0)
    assert hall.heard.reasons == {reason: 1}


@pytest.mark.parametrize("state", ["slow_head", "slow_body"])
def test_one_more_byte_gives_no_more_time(hall: Hall, state: str) -> None:
    caller = hall.enter("a")
    for _ in range(40):
        getattr(hall.all, state)(caller)
        hall.pass_time(1)
    assert caller.gone


def test_one_that_is_being_answered_has_no_deadline(hall: Hall) -> None:
    caller = hall.asking("a")
    hall.pass_time(1000)
    assert not caller.gone


def test_whoever_asks_again_and_again_stays(hall: Hall) -> None:
    caller = hall.answered("a")
    for _ in range(10):
        hall.pass_time(14)
        hall.all.busy(caller)
        hall.all.idle(caller)
    assert not caller.gone


def test_at_the_cap_the_slow_give_way_before_those_who_had_an_answer(hall: Hall) -> None:
    answered, waiting, slow = hall.answered("a"), hall.enter("b"), hall.enter("c")
    hall.all.slow_head(slow)
    asking = hall.asking("d")
    hall.clock.advance(2)
    for gone in (slow, waiting, answered):
        newest = hall.enter("e" + str(id(gone)))
        hall.all.busy(newest)
        assert gone.gone
    assert not asking.gone
    assert hall.heard.reasons == {"crowded": 3}


def test_one_that_came_just_now_is_not_taken_for_slow(hall: Hall) -> None:
    answered = [hall.answered(name) for name in "ab"]
    fresh = [hall.enter(name) for name in "cd"]
    hall.enter("e")
    assert [caller.gone for caller in (*answered, *fresh)] == [True, False, False, False]


def test_a_new_one_is_refused_only_where_all_others_are_being_answered(hall: Hall) -> None:
    asking = [hall.asking(name) for name in "abcd"]
    assert hall.refused_or_not("e").group is None
    assert hall.heard.reasons == {"refused": 1}
    hall.all.idle(asking[0])
    hall.enter("f")
    assert [caller.gone for caller in asking] == [True, False, False, False]


def test_an_address_at_its_cap_makes_room_among_its_own(hall: Hall) -> None:
    other = hall.enter("b")
    hall.clock.advance(5)
    first, *_ = mine = [hall.enter("a") for _ in range(3)]
    hall.enter("a")
    assert first.gone
    assert not any(caller.gone for caller in (other, *mine[1:]))
    assert hall.heard.reasons == {"crowded_address": 1}


def test_an_address_that_is_being_answered_on_all_its_connections_gets_no_more(hall: Hall) -> None:
    mine = [hall.asking("a") for _ in range(3)]
    assert hall.refused_or_not("a").group is None
    assert not any(caller.gone for caller in mine)
    hall.enter("b")


def test_a_trusted_proxy_may_have_more_than_an_address_but_not_more_than_all(hall: Hall) -> None:
    callers = [hall.enter("proxy") for _ in range(4)]
    assert not any(caller.gone for caller in callers)
    hall.enter("proxy")
    assert [caller.gone for caller in callers] == [True, False, False, False]


def test_who_has_left_makes_room_once(hall: Hall) -> None:
    for _ in range(20):
        caller = hall.enter("a")
        hall.all.left(caller)
        hall.all.left(caller)
    assert (hall.heard.open, hall.heard.reasons) == (0, Counter())


def test_who_was_let_go_is_counted_no_more_whatever_it_still_says(hall: Hall) -> None:
    caller = hall.enter("a")
    hall.pass_time(15)
    for late in (hall.all.slow_head, hall.all.slow_body, hall.all.busy, hall.all.idle, hall.all.left):
        late(caller)
    hall.pass_time(100)
    assert (hall.heard.open, hall.heard.reasons) == (0, {"idle": 1})


def test_the_addresses_of_one_network_are_one_and_mapped_ones_are_what_they_are() -> None:
    assert group_of("2001:db8:1:2::7") == group_of("2001:db8:1:2:ffff::9") != group_of("2001:db8:1:3::7")
    assert group_of("::ffff:177.1.2.3") == group_of("177.1.2.3") == "177.1.2.3"
    assert group_of("fe80::1%eth0") == group_of("fe80::2")
    assert group_of("") == ""
