"""Trace: what SQL has of one click, one person or one order, all of it as of one moment."""

from dataclasses import dataclass, field
from uuid import UUID

from domain.accounts import BotStatus
from domain.attribution import Owner, StartKind
from domain.click import Ad
from domain.conversions import DeliveryState, LaneStatus, Money
from domain.outcomes import LedgerRow
from domain.people import BotUser, ReplyOutcome

MOST = 20
"""Clicks and starts that a trace has of one person: the newest."""
MOST_DELIVERIES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedClick:
    """A click's row. ad: what the dictionary says of its ad key. erased_at_ms: since when its data are gone."""

    id: UUID
    row: LedgerRow
    ad: Ad | None
    erased_at_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStart:
    """A START that was pressed, and what became of its answer."""

    owner: Owner
    at_ms: int
    kind: StartKind
    click_id: UUID | None
    reply: ReplyOutcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedDelivery:
    """A conversion in one lane. at_ms: when it happened. owner: whom it was reported of, where it names somebody."""

    event_id: UUID
    lane: str
    event: str
    at_ms: int
    state: DeliveryState
    reason: str | None
    code: str | None
    trace: str | None
    attempts: int
    next_at_ms: int
    sent_at_ms: int | None
    matched: tuple[str, ...]
    click_id: UUID | None
    bot_id: int | None
    telegram_id: int | None
    order_id: str | None
    money: Money | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Newest first. erased_at_ms: when the person who was asked for was erased. cut: of what there is more ("clicks",
    "starts", "deliveries") than is here.
    """

    clicks: tuple[TracedClick, ...] = ()
    starts: tuple[TracedStart, ...] = ()
    people: tuple[BotUser, ...] = ()
    deliveries: tuple[TracedDelivery, ...] = ()
    lanes: tuple[LaneStatus, ...] = ()
    bots: tuple[BotStatus, ...] = ()
    erased_at_ms: int | None = None
    cut: frozenset[str] = field(default_factory=frozenset)
