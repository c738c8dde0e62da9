"""Sending one batch: quick attempts at each call, halves where one event is at fault, and every mark at once.

A crash between an answer and its mark sends the same event again, with the same id, once the lease is over: Meta takes
an id once within 48 hours, a webhook's receiver is told to do so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_result,
    wait_random_exponential,
)

from delivery.bisection import Bisection
from delivery.destination import Accepted, Answer, Destination, Refusal
from delivery.marks import Claim, Marks
from delivery.schedule import RECEIVED_ATTEMPTS
from domain.clock import Clock
from domain.conversions import RECEIVED
from domain.observations import Observer

LEASE_SECONDS = 60.0
"""How long claims are nobody else's: longer than the slowest batch takes, and soon enough after a crash."""
BATCH_SECONDS = 20.0
"""After so long no further call of a batch is begun. The last one ends within the lease: its attempts take 10 s each."""
QUICK_ATTEMPTS = 3
_WAIT = wait_random_exponential(multiplier=0.2, max=2.0)
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How a batch went. left: claims that nothing was marked for. refusal: why they are left; None: for want of time.

    taken, rejected: events that the destination has, and that it will never take. answer: the last one that it gave.
    """

    left: Sequence[Claim]
    taken: int
    rejected: int
    was_split: bool
    refusal: Refusal | None
    answer: Answer | None


class Sender:
    """Sends batches of one lane, until `stop`."""

    def __init__(
        self, marks: Marks, *, clock: Clock, observer: Observer, stop: asyncio.Event, sleep: Sleep
    ) -> None:
        self._marks = marks
        self._clock = clock
        self._observer = observer
        self._stop = stop
        self._calls = AsyncRetrying(
            sleep=sleep,
            wait=_WAIT,
            stop=self._is_enough,
            retry=retry_if_result(_may_pass_soon),
            # Not an error: the last answer stands.
            retry_error_callback=_last_answer,
        )

    async def send(self, destination: Destination, claims: Sequence[Claim], *, spread: float) -> Sent:
        """Send them all, as far as the destination and the time allow. Raises StoreUnavailable."""
        parts = Bisection(claims)
        until = self._clock.monotonic() + BATCH_SECONDS
        answer: Answer | None = None
        refusal: Refusal | None = None
        taken = rejected = 0
        while refusal is None and (part := parts.part) and not self._is_over(until):
            said: Answer = await self._calls(self._call, destination, part)
            refusal, answer = await self._mark(parts, part, said, spread), said
            taken += len(part) * isinstance(said, Accepted)
            rejected += len(part) == 1 and _is_rejected(said)
        return Sent(
            left=parts.left,
            taken=taken,
            rejected=rejected,
            was_split=parts.was_split,
            refusal=refusal,
            answer=answer,
        )

    async def _call(self, destination: Destination, part: Sequence[Claim]) -> Answer:
        answer = await destination.send([claim.event for claim in part])
        self._observer.delivery_call("accepted" if isinstance(answer, Accepted) else answer.kind)
        return answer

    async def _mark(
        self, parts: Bisection[Claim], part: Sequence[Claim], answer: Answer, spread: float
    ) -> Refusal | None:
        """The refusal that ends the batch, if it is one."""
        if isinstance(answer, Accepted):
            parts.accepted()
            await self._marks.sent(part, answer)
        elif answer.kind != "event":
            return answer
        elif len(part) > 1:
            parts.split()
        else:
            parts.over()
            await self._alone(part, answer, spread)
        return None

    async def _alone(self, part: Sequence[Claim], answer: Refusal, spread: float) -> None:
        if not _is_rejected(answer):
            await self._marks.retry(part, answer, spread=spread, most=RECEIVED_ATTEMPTS)
        else:
            await self._marks.end([claim.event.id for claim in part], "rejected", answer)

    def _is_over(self, until: float) -> bool:
        return self._stop.is_set() or self._clock.monotonic() >= until

    def _is_enough(self, state: RetryCallState) -> bool:
        return state.attempt_number >= QUICK_ATTEMPTS or self._stop.is_set()


def _may_pass_soon(answer: Answer) -> bool:
    return isinstance(answer, Refusal) and answer.kind == "temporary" and answer.retry_after is None


def _is_rejected(answer: Answer) -> bool:
    if isinstance(answer, Accepted) or answer.kind != "event":
        return False
    return answer.code.partition(" ")[0] != RECEIVED


def _last_answer(state: RetryCallState) -> Answer:
    if state.outcome is None:
        raise RuntimeError("no attempt was made")
    answer: Answer = state.outcome.result()
    return answer
