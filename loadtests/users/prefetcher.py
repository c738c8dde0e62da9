"""Browsers and apps that fetch a link before it is tapped."""

from __future__ import annotations

from loadtests.pump import Arrival
from loadtests.users.visitor import Visitor


class Prefetcher(Visitor):
    """An ad click with one of the headers that say so."""

    kind = "prefetcher"

    def act(self, arrival: Arrival) -> None:
        self.click(self.stage.crowd.prefetch(), arrival)
