"""The machine: clicks, starts, faults, crashes, clocks, in any order; then heal, and see what holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.machine.design import Design, Mode, Ticket, World, holds

STEPS = 16
STORES = st.sampled_from(["redis", "disk", "sql"])
WHICH = st.integers(0, 3)
MODES: st.SearchStrategy[Mode] = st.sampled_from(["down", "deaf", "ok"])


class Machine(RuleBasedStateMachine):
    """One example is one life of an installation. `design` makes what is tested; subclasses set it."""

    design: ClassVar[Callable[[], Design]]
    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.under_test = type(self).design()
        self.tickets: list[Ticket] = []
        self.owner: dict[str, int] = {}
        self.snapshot: dict[bytes, bytes] = {}

    @initialize(number=st.integers(1, 2))
    def first_clicks(self, number: int) -> None:
        self.click(number)

    @rule(number=st.integers(1, 3))
    def click(self, number: int) -> None:
        """Visitors come, and are redirected."""
        for _ in range(number):
            self.tickets.append(self.under_test.mint(len(self.tickets)))
            self._put(self.tickets[-1])

    @rule(out=st.booleans())
    def a_slow_host(self, out: bool) -> None:
        """A token is out before its click is anywhere; later such clicks arrive."""
        if out:
            self.tickets.append(self.under_test.mint(len(self.tickets)))
        for ticket in self.tickets if not out else ():
            if not ticket.put:
                self._put(ticket)

    @rule(which=WHICH, people=st.lists(st.integers(1, 3), min_size=1, max_size=3), store=STORES, mode=MODES)
    def start(self, which: int, people: list[int], store: str, mode: Mode) -> None:
        """People press START: once more, or with somebody else's token. A store may falter under the first of them."""
        ticket = self.tickets[which % len(self.tickets)]
        self.under_test.fault(store, mode)
        for person in people:
            if self._run(self.under_test.start(ticket, person)):
                before = self.owner.setdefault(ticket.token, person)
                holds(
                    before == person, "I2 OneOwner", f"{before} and {person} were both told that it is theirs"
                )
            self.under_test.fault(store, "ok")

    @rule(store=STORES, mode=MODES)
    def fault(self, store: str, mode: Mode) -> None:
        self.under_test.fault(store, mode)

    @rule(how=st.sampled_from(["heal", "quota"]))
    def conditions(self, how: str) -> None:
        """Everything works again, or the spools are full."""
        if how == "heal":
            self.under_test.heal()
        else:
            self.under_test.quota(reached=True)

    @rule(again=st.booleans())
    def settle(self, again: bool) -> None:
        self._run(self.under_test.settle(again=again))

    @rule(power=st.booleans())
    def crash(self, power: bool) -> None:
        self._run(self.under_test.crash(power=power))

    @rule(how=st.sampled_from(["wipe", "copy", "restore"]))
    def redis(self, how: str) -> None:
        """Redis is flushed, copied, or comes back with that older copy."""
        match how:
            case "wipe":
                self.world.wipe()
            case "copy":
                self.snapshot = self.world.snapshot()
            case _:
                self.world.restore(self.snapshot)

    @rule(hours=st.sampled_from([-1, 1, -1, 1, 29 * 24]))
    def the_clock_jumps(self, hours: int) -> None:
        """An hour either way; or a month passes, and tokens grow old."""
        self.under_test.jump(hours * 3600)

    @rule(which=WHICH)
    def erase(self, which: int) -> None:
        self._run(self.under_test.erase(self.tickets[which % len(self.tickets)]))

    @rule(person=st.integers(1, 3))
    def erase_person(self, person: int) -> None:
        """Rarely the last that happens: they come back, and their old starts may still lie about."""
        self._run(self.under_test.erase_person(person))

    def teardown(self) -> None:
        """Everything heals, everything settles; then the invariants must hold."""
        try:
            self.under_test.heal()
            for _ in range(2):
                self._run(self.under_test.settle(again=False))
            self._run(self.under_test.check())
            for token, owner in self._run(self.under_test.owners()).items():
                told = self.owner.get(token, owner)
                holds(told == owner, "I2 OneOwner", f"{told} was told, and {owner} owns it")
        finally:
            self._run(self.under_test.close())

    def _put(self, ticket: Ticket) -> None:
        ticket.put = True
        self._run(self.under_test.put(ticket))

    def _run(self, work: object) -> object:
        return self.world.run(work)  # type: ignore[arg-type]


def profile(examples: int, *, seed_printed: bool = True) -> settings:
    """How long to look. No database: every run begins anew, with a seed of its own that is printed when it fails."""
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        print_blob=seed_printed,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
