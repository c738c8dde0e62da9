"""What a day is made of: clicks with the truth about them, addresses, hours, and bursts."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from itertools import accumulate

from domain.enrichment import Automation, TrafficClass

DAY = 86_400.0
# Clicks by local hour: few at night, most in the evening.
HOURS = (4, 2, 1.5, 1, 1, 1.5, 3, 5, 6, 6, 6, 7, 8, 7, 6, 6, 6, 7, 9, 11, 12, 12, 10, 7)
ABROAD = ("PT", "US", "AR", "AO", "PY", "JP", "MZ", "ES")


@dataclass(slots=True, kw_only=True)
class SimClick:
    """One click, and what it was in truth. Times are seconds of the day, local."""

    kind: str
    at_s: float
    visitor: str
    link: int
    token: int
    bot: bool = False
    fraud: bool = False
    fbclid: int | None = None
    traffic: TrafficClass = "in_app"
    automation: Automation | None = None
    in_app: bool = True
    user_agent_given: bool = True
    hosting: bool = False
    country: str | None = "BR"
    starts: list[tuple[int, float]] = field(default_factory=list)
    """Who redeemed its token, and when."""


class Day:
    """The dice of one day, and what everybody in it shares: carriers' addresses, exits of VPNs, links, bursts."""

    def __init__(self, seed: int, clicks: int) -> None:
        self.dice = random.Random(seed)
        self._last = 0
        # Few addresses carry most phones.
        self._carrier = list(accumulate(1 / rank**0.8 for rank in range(1, 301)))
        # An advert that is pushed, or a channel that posts it: minutes in which one link gets hundreds of clicks.
        self.bursts = [self._burst() for _ in range(max(1, clicks // 4000))]

    def _burst(self) -> tuple[float, float, int]:
        return self.moment(), self.spread(150, 0.5), self.link()

    def new(self) -> int:
        """A number nobody else has: a person, a token, an fbclid."""
        self._last += 1
        return self._last

    def chance(self, of: float) -> bool:
        return self.dice.random() < of

    def spread(self, median: float, sigma: float) -> float:
        """A positive value with a long tail: log-normal."""
        return self.dice.lognormvariate(math.log(median), sigma)

    def count(self, median: float, sigma: float, least: int = 1) -> int:
        return max(least, round(self.spread(median, sigma)))

    def moment(self) -> float:
        [hour] = self.dice.choices(range(24), HOURS)
        return (hour + self.dice.random()) * 3600

    def link(self) -> int:
        [link] = self.dice.choices(range(6), (30, 20, 10, 5, 3, 1))
        return link

    def carrier(self) -> str:
        """A mobile carrier's shared address."""
        [address] = self.dice.choices(range(300), cum_weights=self._carrier)
        return f"carrier {address}"

    def home(self) -> str:
        return f"home {self.new()}"

    def vpn(self) -> str:
        return f"vpn {self.dice.randrange(60)}"

    def server(self) -> str:
        return f"server {self.dice.randrange(400)}"

    def country(self, *, abroad: float = 0.02) -> str | None:
        """Brazil mostly; in 4 of 100 cases the database does not know."""
        if self.chance(0.04):
            return None
        return self.dice.choice(ABROAD) if self.chance(abroad) else "BR"
