"""Robots that make cards and indexes."""

from __future__ import annotations

from loadtests.pump import Arrival
from loadtests.users.visitor import Visitor


class Crawler(Visitor):
    """It is answered like everybody, and its click is kept."""

    kind = "crawler"

    def act(self, arrival: Arrival) -> None:
        self.click(self.stage.crowd.crawl(), arrival)
