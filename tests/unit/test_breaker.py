"""The breaker does what its drawing says, whatever order calls, answers and probes come in."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from backends.breaker import Breaker, Policy

POLICY = Policy()


def fresh() -> Breaker:
    return Breaker(POLICY, lambda base, spread: base)


def ticket_of(breaker: Breaker, now: float) -> int:
    ticket = breaker.admit(now)
    assert ticket is not None
    return ticket


def opened(now: float = 0.0) -> Breaker:
    breaker = fresh()
    for _ in range(3):
        breaker.failed(ticket_of(breaker, now), now, refused=True)
    assert breaker.state == "open"
    return breaker


def test_three_refusals_in_a_row_open_it() -> None:
    breaker = fresh()
    for refused in (True, True, False, True, True):
        breaker.failed(ticket_of(breaker, 0), 0, refused=refused)
    assert breaker.state == "closed"
    breaker.failed(ticket_of(breaker, 0), 0, refused=True)
    assert breaker.state == "open"


def test_an_answer_between_refusals_starts_their_count_again() -> None:
    breaker = fresh()
    for _ in range(5):
        breaker.failed(ticket_of(breaker, 0), 0, refused=True)
        breaker.failed(ticket_of(breaker, 0), 0, refused=True)
        for _ in range(3):
            breaker.succeeded(ticket_of(breaker, 0), 0)
    assert breaker.state == "closed"


def test_half_of_twenty_calls_failing_open_it_and_of_nineteen_do_not() -> None:
    breaker = fresh()
    for _ in range(10):
        breaker.succeeded(ticket_of(breaker, 0), 0)
    for _ in range(9):
        breaker.failed(ticket_of(breaker, 1), 1)
    assert breaker.state == "closed"
    breaker.failed(ticket_of(breaker, 1), 1)
    assert breaker.state == "open"


def test_slow_answers_count_like_failures() -> None:
    breaker = fresh()
    for _ in range(20):
        assert breaker.state == "closed"
        breaker.succeeded(ticket_of(breaker, 0), 0, slow=True)
    assert breaker.state == "open"


def test_failures_older_than_the_window_are_forgotten() -> None:
    breaker = fresh()
    for second in range(200):
        breaker.failed(ticket_of(breaker, second), second)
    assert breaker.state == "closed"


def test_an_open_breaker_admits_nothing_and_one_probe_once_its_cooldown_is_over() -> None:
    breaker = opened()
    assert breaker.admit(0.5) is None
    assert breaker.probe(0.99) is None
    ticket = breaker.probe(1.0)
    assert ticket is not None
    assert breaker.state == "half_open"
    assert (breaker.probe(1.0), breaker.probe(99.0), breaker.admit(99.0)) == (None, None, None)


def test_a_good_probe_closes_it_into_a_ramp() -> None:
    """Of calls at one moment, one in ten passes first, all of them after five seconds."""
    breaker = opened()
    breaker.succeeded(breaker.probe(1.0) or 0, 1.0)
    assert breaker.state == "closed"
    first = sum(breaker.admit(1.0) is not None for _ in range(1000))
    middle = sum(breaker.admit(3.5) is not None for _ in range(1000))
    last = sum(breaker.admit(6.0) is not None for _ in range(1000))
    assert 95 <= first <= 105
    assert 545 <= middle <= 555
    assert last == 1000


def test_failed_probes_double_the_cooldown_to_its_limit_and_success_resets_it() -> None:
    breaker = opened()
    now, waits = 1.0, []
    for _ in range(7):
        breaker.failed(breaker.probe(now) or 0, now)
        due = next(step for step in range(1, 60) if breaker_due(breaker, now + step))
        waits.append(due)
        now += due
    assert waits == [2, 4, 8, 16, 30, 30, 30]
    breaker.succeeded(breaker.probe(now) or 0, now)
    now += 10
    for _ in range(3):
        breaker.failed(ticket_of(breaker, now), now, refused=True)
    assert breaker.probe(now + 0.9) is None
    assert breaker.probe(now + 1.0) is not None


def test_a_refused_probe_does_not_lengthen_the_cooldown() -> None:
    """Nobody is there whom a probe could burden, so that whoever comes back is noticed within a second or two."""
    breaker = opened()
    for now in range(1, 10):
        breaker.failed(breaker.probe(now) or 0, now, refused=True)
        assert breaker.probe(now + 0.99) is None
    assert breaker.probe(10) is not None


def breaker_due(breaker: Breaker, now: float) -> bool:
    return breaker._due <= now


def test_the_cooldown_is_jittered_by_the_source_it_was_given() -> None:
    breaker = Breaker(POLICY, lambda base, spread: base * (1 + spread))
    for _ in range(3):
        breaker.failed(ticket_of(breaker, 0), 0, refused=True)
    assert breaker.probe(1.19) is None
    assert breaker.probe(1.2) is not None


def test_a_released_probe_may_be_taken_again_at_once() -> None:
    breaker = opened()
    breaker.released(breaker.probe(1.0) or 0, 1.5)
    assert breaker.state == "open"
    assert breaker.probe(1.5) is not None


def test_a_late_answer_of_an_older_generation_is_not_heard() -> None:
    breaker = fresh()
    late = ticket_of(breaker, 0)
    for _ in range(3):
        breaker.failed(ticket_of(breaker, 0), 0, refused=True)
    breaker.succeeded(late, 0.1)
    assert breaker.state == "open"
    probe = breaker.probe(1.0)
    for answer in (breaker.succeeded, breaker.failed, breaker.released):
        answer(late, 1.0)
        assert breaker.state == "half_open"
    breaker.succeeded(probe or 0, 1.0)
    for _ in range(50):
        breaker.failed(late, 7.0, refused=True)
    assert breaker.state == "closed"


class BreakerMachine(RuleBasedStateMachine):
    """Any order of calls, answers, probes and time: requests pass only when closed, at most one probe is out."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = fresh()
        self.now = 0.0
        self.out: list[int] = []
        self.probes: set[int] = set()

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        was = self.breaker.state
        ticket = self.breaker.admit(self.now)
        if ticket is not None:
            assert was == "closed"
            self.out.append(ticket)

    @rule()
    def probe(self) -> None:
        was = self.breaker.state
        ticket = self.breaker.probe(self.now)
        if ticket is not None:
            assert was == "open"
            assert ticket not in self.probes
            self.probes.add(ticket)
            self.out.append(ticket)

    @rule(which=st.integers(0, 1000), how=st.sampled_from(["ok", "slow", "failed", "refused", "released"]))
    def answer(self, which: int, how: str) -> None:
        if not self.out:
            return
        ticket = self.out.pop(which % len(self.out))
        before, generation = self.breaker.state, self.breaker._generation
        match how:
            case "ok" | "slow":
                self.breaker.succeeded(ticket, self.now, slow=how == "slow")
            case "released":
                self.breaker.released(ticket, self.now)
            case _:
                self.breaker.failed(ticket, self.now, refused=how == "refused")
        if ticket != generation:
            assert self.breaker.state == before

    @invariant()
    def half_open_has_exactly_one_probe_out(self) -> None:
        current = [t for t in self.out if t == self.breaker._generation and t in self.probes]
        if self.breaker.state == "half_open":
            assert len(current) == 1


TestBreakerMachine = BreakerMachine.TestCase
