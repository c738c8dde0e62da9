"""A person taps on an ad, and never presses START."""

from __future__ import annotations

from loadtests.pump import Arrival
from loadtests.users.visitor import Visitor


class AdClicker(Visitor):
    """The greatest part of every campaign."""

    kind = "ad_clicker"

    def act(self, arrival: Arrival) -> None:
        self.click(self.stage.crowd.ad_click(), arrival)
