"""Open-loop arrivals for Locust, whose own users are a closed loop: they ask again once they were answered.

Here a greenlet of its own brings every arrival at its moment, whatever became of those before it, and users wait for
arrivals. When all users of a kind wait for an answer, arrivals queue; their latency counts from their moment all the
same, so that a server which stalls is charged for everybody whom it kept waiting.
"""

from __future__ import annotations

import heapq
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import AsyncResult

from loadtests.job import Job
from loadtests.mixes import MIXES, draw
from loadtests.recorder import Recorder

LEAD_SECONDS = 0.5


@dataclass(slots=True)
class Arrival:
    """Somebody comes: `due` seconds after the start. `then`: what is left to do of a visit that has begun."""

    due: float
    kind: str
    then: Callable[[Any, Arrival], None] | None = None
    released: float = 0.0
    waited_for: bool = False  # a user was free when it came


@dataclass(slots=True)
class _Kind:
    queue: deque[Arrival] = field(default_factory=deque)
    idle: list[AsyncResult] = field(default_factory=list)  # the last one first: its connection is warm


class Pump:
    """Brings arrivals to users. `now` is seconds since the start of the shape."""

    def __init__(self, job: Job, recorder: Recorder) -> None:
        self._job = job
        self._recorder = recorder
        self._chance = random.Random(job.seed + 1)
        self._moments = job.shape.moments(job.seed)
        self._next = next(self._moments, None)
        self._later: list[tuple[float, int, Arrival]] = []
        self._kinds = {kind: _Kind() for kind in MIXES[job.mix]}
        self._began = 0.0
        self._open: dict[int, Arrival] = {}
        self._ended = False

    @property
    def now(self) -> float:
        return time.monotonic() - self._began

    @property
    def done(self) -> bool:
        """Everybody has come and been answered, or the last had their time."""
        drained = self._ended and not self._open
        return drained or (self._began > 0 and self.now > self._job.shape.seconds + self._job.grace)

    def run(self) -> None:
        """To the end of the shape, and of the visits that began in it."""
        self._began = time.monotonic() + LEAD_SECONDS
        while (due := self._due()) is not None and not self.done:
            wait = due - self.now
            if wait > 0:
                gevent.sleep(min(wait, 0.5))
                continue
            self._release(self._pop(due))
        self._ended = True

    def take(self, kind: str) -> Arrival:
        """The next arrival of that kind; waits for it."""
        state = self._kinds[kind]
        if state.queue:
            arrival = state.queue.popleft()
        else:
            idle = AsyncResult()
            state.idle.append(idle)
            arrival = idle.get()
        self._taken(arrival)
        return arrival

    def later(self, seconds: float, kind: str, then: Callable[[Any, Arrival], None]) -> None:
        """The rest of a visit comes so much later, at a moment of its own."""
        arrival = Arrival(self.now + seconds, kind, then)
        heapq.heappush(self._later, (arrival.due, id(arrival), arrival))
        self._ended = False

    def finished(self, arrival: Arrival) -> None:
        """It was answered, or failed."""
        self._open.pop(id(arrival), None)

    def unanswered(self) -> list[Arrival]:
        """Who came and has no answer yet."""
        return list(self._open.values())

    def _due(self) -> float | None:
        moments = [self._next] if self._next is not None else []
        moments += [self._later[0][0]] if self._later else []
        if moments:
            return min(moments)
        # Whoever is on the way may still bring the rest of a visit with it.
        return self.now + 0.02 if self._open else None

    def _pop(self, due: float) -> Arrival | None:
        if self._later and self._later[0][0] == due:
            return heapq.heappop(self._later)[2]
        if self._next is None or self._next != due:
            return None
        self._next = next(self._moments, None)
        return Arrival(due, draw(MIXES[self._job.mix], self._chance))

    def _release(self, arrival: Arrival | None) -> None:
        if arrival is None:
            return
        state = self._kinds[arrival.kind]
        self._open[id(arrival)] = arrival
        arrival.released = self.now
        if state.idle:
            arrival.waited_for = True
            state.idle.pop().set(arrival)
        else:
            self._recorder.crowded += 1
            state.queue.append(arrival)

    def _taken(self, arrival: Arrival) -> None:
        """Late by itself: until it was released, and until a user that was free got hold of it."""
        until = self.now if arrival.waited_for else arrival.released
        self._recorder.came(arrival.due, max(0.0, until - arrival.due) * 1000)
