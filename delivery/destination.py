"""Destination: where conversions go. One small port; Meta and the signed webhook fill it.

A destination says what a delivery becomes (`prepared`, pure) and sends many of them at once (`send`). It never raises:
what went wrong is an answer, and its kind says what the relay does about it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol
from uuid import UUID

from domain.conversions import Delivery, DeliveryState

RefusalKind = Literal["event", "configuration", "throttled", "temporary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An event as the destination takes it: `body` is its JSON, `matched` what of the person is in it (keys, no values)."""

    id: UUID
    body: bytes = field(repr=False)
    matched: tuple[str, ...]
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYet:
    """Something that the event needs may still come: to be asked again in so many seconds."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Never:
    """The event is not to be sent, for good: skipped (it is not wanted), rejected (it cannot be made) or dead (too late)."""

    state: DeliveryState
    reason: str


Prepared = Ready | NotYet | Never


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The destination has all of them. trace: its own name for the call; warning: what it warned of."""

    trace: str | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The destination took none of them, or it is not known whether it did (temporary: sending them again is safe).

    event: one of them is at fault. configuration: the operator has to mend something first. throttled: slower, please;
    temporary: its own trouble, or the way's. retry_after: seconds that it asked for. code and reason hold nothing personal
    and no secret.
    """

    kind: RefusalKind
    code: str
    reason: str
    trace: str | None = None
    retry_after: float | None = None
    warning: str | None = None


Answer = Accepted | Refusal


class Destination(Protocol):
    """One lane's end. `most`: how many events one call may have."""

    most: int

    def prepared(self, delivery: Delivery, now_ms: int) -> Prepared: ...
    async def send(self, events: Sequence[Ready]) -> Answer: ...


class Destinations(Protocol):
    """Finds the destination of a lane as the operator has configured it now; a Refusal of kind configuration when it cannot
    be used (no token, a token that does not open), None when there is none of that name any more. Raises StoreUnavailable.
    """

    async def of(self, lane: str) -> Destination | Refusal | None: ...
