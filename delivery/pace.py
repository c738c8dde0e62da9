"""Pace: how much a lane sends at once, and when it is left alone. Pure: `now` (monotonic seconds) is handed in.

A lane whose batch had to be halved goes on with a quarter of it and doubles that with each batch that is taken whole
(measured in ADR 0022). One that is throttled pauses. One whose destination fails is left to its breaker, which lets out
one event at a time to see whether it has come back.
"""

from collections.abc import Callable
from dataclasses import dataclass

from backends.breaker import Breaker, Policy

LARGEST, SMALLEST = 1000, 16
PAUSE_SECONDS, LONGEST_PAUSE = 1.0, 60.0
LONGEST_ASKED = 3600.0
"""Of the seconds that a destination asks for, no more are heard than an hour."""
POLICY = Policy(refusals=3, cooldown=5.0, cooldown_limit=60.0)
"""Three batches in a row that failed, each of them after quick attempts; then a probe after 5 s, and at least each minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A lane may send up to `most` events now. Its ticket is the breaker's."""

    ticket: int
    most: int


class Pace:
    """One lane's."""

    def __init__(self, jitter: Callable[[float, float], float]) -> None:
        self._jitter = jitter
        self._breaker = Breaker(POLICY, jitter)
        self._size = LARGEST
        self._pauses = 0
        self._until = 0.0

    def backs_off(self, now: float) -> bool:
        """True while it is paused, or its breaker is not closed."""
        return now < self._until or self._breaker.state != "closed"

    def turn(self, now: float) -> Turn | None:
        """What may be sent now; None: nothing. Every turn ends in `released`, whatever it was told before."""
        if now < self._until:
            return None
        ticket = self._breaker.admit(now)
        if ticket is not None:
            return Turn(ticket=ticket, most=self._size)
        probe = self._breaker.probe(now)
        return None if probe is None else Turn(ticket=probe, most=1)

    def answered(self, turn: Turn, now: float, *, events: int, was_split: bool) -> None:
        """The destination took, or judged, what it was sent."""
        self._breaker.succeeded(turn.ticket, now)
        self._pauses = 0
        self._size = max(SMALLEST, events // 4) if was_split else min(self._size * 2, LARGEST)

    def throttled(self, turn: Turn, now: float, asked: float | None) -> float:
        """Slower, please: the seconds until the next turn, those that were asked for or ever more of our own."""
        self._breaker.succeeded(turn.ticket, now)
        own = min(PAUSE_SECONDS * 2 ** min(self._pauses, 20), LONGEST_PAUSE)
        self._pauses += 1
        wait = self._jitter(own, 0.2) if asked is None else min(asked, LONGEST_ASKED)
        self.pause(now, wait)
        return wait

    def pause(self, now: float, seconds: float) -> None:
        """No turn for so long."""
        self._until = max(self._until, now + seconds)

    def failed(self, turn: Turn, now: float) -> None:
        """The destination could not be asked, or had trouble of its own: three in a row are enough, and probes come ever later."""
        self._breaker.failed(turn.ticket, now, refused=self._breaker.state == "closed")

    def released(self, turn: Turn, now: float) -> None:
        """The turn is over; one that was told nothing has said nothing about the destination."""
        self._breaker.released(turn.ticket, now)
