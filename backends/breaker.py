"""Breaker: a pure state machine. It owns no clock, no task, no lock: `now` (monotonic seconds) is handed in.

    closed  --(half of >= 20 calls in 10 s failed or slow, 3 refusals in a row, or broken)-->  open
    open    --(cooldown over: exactly one probe is let out)-->  half_open
    half_open --(probe succeeded)-->  closed, ramping 10 % -> 100 % over 5 s
    half_open --(probe failed)-->  open, cooldown doubled up to 30 s      (probe released --> open, due at once)
    half_open --(probe refused)--> open, the same cooldown: nobody is there whom another probe could burden

Requests are never probes: `admit` lets nothing through unless closed. An answer of an older generation is not heard.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When to open and for how long. Seconds, counts and shares."""

    window: int = 10
    least_calls: int = 20
    bad_share: float = 0.5
    refusals: int = 3
    cooldown: float = 1.0
    cooldown_limit: float = 30.0
    spread: float = 0.2
    ramp: float = 5.0
    ramp_from: float = 0.1


class Breaker:
    """One per process and tier."""

    def __init__(self, policy: Policy, jitter: Callable[[float, float], float]) -> None:
        self._policy = policy
        self._jitter = jitter
        self._state: State = "closed"
        self._generation = 0
        self._buckets: dict[int, list[int]] = {}
        self._refused = 0
        self._cooldown = policy.cooldown
        self._due = 0.0
        self._ramp_start: float | None = None
        self._credit = 0.0

    @property
    def state(self) -> State:
        """Where it stands."""
        return self._state

    def admit(self, now: float) -> int | None:
        """A ticket for one call, to be handed to succeeded, failed or released; None: do not call."""
        if self._state != "closed":
            return None
        if self._ramp_start is not None and not self._ramp_admits(now):
            return None
        return self._generation

    def probe(self, now: float) -> int | None:
        """A ticket for the one probe of this cooldown, when it is due."""
        if self._state != "open" or now < self._due:
            return None
        self._state = "half_open"
        self._generation += 1
        return self._generation

    def succeeded(self, ticket: int, now: float, *, slow: bool = False) -> None:
        """The call was answered; `slow` counts against the tier like a failure."""
        if ticket != self._generation:
            return
        self._refused = 0
        if self._state == "half_open":
            self._close(now)
        else:
            self._count(now, bad=slow)

    def failed(self, ticket: int, now: float, *, refused: bool = False, broken: bool = False) -> None:
        """The call failed or timed out; `refused`: nobody listens there; `broken`: another call would fail as well."""
        if ticket != self._generation:
            return
        if self._state == "half_open":
            if not refused:
                self._cooldown = min(self._cooldown * 2, self._policy.cooldown_limit)
            self._open(now)
            return
        self._refused = self._refused + 1 if refused else 0
        if broken or self._refused >= self._policy.refusals:
            self._open(now)
        else:
            self._count(now, bad=True)

    def released(self, ticket: int, now: float) -> None:
        """The call said nothing about the tier (cancelled, or the record was at fault): a probe may be taken again."""
        if ticket == self._generation and self._state == "half_open":
            self._state = "open"
            self._due = now

    def _ramp_admits(self, now: float) -> bool:
        policy = self._policy
        passed = now - (self._ramp_start or 0.0)
        if passed >= policy.ramp:
            self._ramp_start = None
            return True
        self._credit += policy.ramp_from + (1 - policy.ramp_from) * passed / policy.ramp
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _count(self, now: float, *, bad: bool) -> None:
        second = int(now)
        bucket = self._buckets.get(second)
        if bucket is None:
            oldest = second - self._policy.window
            self._buckets = {at: b for at, b in self._buckets.items() if at > oldest}
            bucket = self._buckets[second] = [0, 0]
        bucket[0] += 1
        bucket[1] += bad
        if bad and self._is_bad():
            self._open(now)

    def _is_bad(self) -> bool:
        calls = sum(bucket[0] for bucket in self._buckets.values())
        bad = sum(bucket[1] for bucket in self._buckets.values())
        return calls >= self._policy.least_calls and bad >= calls * self._policy.bad_share

    def _open(self, now: float) -> None:
        self._state = "open"
        self._generation += 1
        self._due = now + self._jitter(self._cooldown, self._policy.spread)
        self._forget()

    def _close(self, now: float) -> None:
        self._state = "closed"
        self._generation += 1
        self._cooldown = self._policy.cooldown
        self._ramp_start = now
        self._credit = 1.0
        self._forget()

    def _forget(self) -> None:
        self._buckets = {}
        self._refused = 0
