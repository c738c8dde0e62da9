"""Whoever tries what happens: forged and altered tokens, odd methods, requests that are too large."""

from __future__ import annotations

from loadtests.pump import Arrival
from loadtests.users.visitor import Visitor


class Attacker(Visitor):
    """To be refused as the documentation says is success."""

    kind = "attacker"

    def act(self, arrival: Arrival) -> None:
        stage = self.stage
        self.send(stage.crowd.attack(stage.crowd.one_of(stage.tokens)), arrival)
