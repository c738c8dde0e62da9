"""Conversion: an event worth reporting, and Delivery: a conversion on its way to one destination.

A lane is where conversions of one destination queue up: `meta/PIXEL`, `webhook/NAME`, or UNATTRIBUTED while it is not
known whose click they belong to. What goes wrong in one lane holds up no other.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from domain.attribution import ClickRef, Owner
from domain.click import Click
from domain.enrichment import Enrichment, TrafficClass
from domain.ids import named_uuid

PAGE_VIEW, VIEW_CONTENT, LEAD, PURCHASE = "PageView", "ViewContent", "Lead", "Purchase"
CLICK_EVENT, START_EVENT = PAGE_VIEW, VIEW_CONTENT
"""What a click and a start are reported as."""
PEOPLE: frozenset[TrafficClass] = frozenset({"human", "in_app"})
"""Traffic classes whose page views are reported."""
MICROS = 1_000_000
UNATTRIBUTED = ""
_META, _WEBHOOK = "meta/", "webhook/"
NOTHING: Mapping[str, Any] = MappingProxyType({})
LIFE_MS = 7 * 86_400_000
"""Meta takes nothing that is older: one such event makes it refuse the whole call."""
TOO_OLD = "older than 7 days"
MAY_BE_A_PERSON = "a person may stand behind the prefetch"
NO_SUCH_CLICK = "no such click"
ERASED = "erased"
IMPORTED = "imported"
"""Why conversions of history are skipped: what another tracker has taken is nobody's news."""
RECEIVED = "received"
"""What a refusal's code begins with when the destination says that it has received fewer events than it was sent: not which,
and not why. An event alone is tried again then.
"""
Touch = Literal["last", "first"]
"""Which click of a returning person a conversion belongs to."""

DeliveryState = Literal["pending", "sent", "rejected", "dead", "skipped"]
"""pending: still to be sent. sent: the destination has it. rejected: it will never take it. dead: its time is over.
skipped: it is not to be sent. All but pending are for good; the last three have a reason.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in millionths of a currency (ISO 4217, capitals): exact, and fit for sums."""

    micros: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """What happened, to whom, after which click. Nothing in it is somebody's data in clear.

    id: the event's id, the same wherever and however often it is reported. at_ms: when it happened, UTC milliseconds.
    click: of whom it is known. order_id: the operator's own key. custom: Meta's `custom_data` beside value, currency and
    order id. person: SHA-256 digests by Meta's short names (em, ph, fn …), hashed before anything was stored.
    """

    id: UUID
    event: str
    at_ms: int
    owner: Owner | None = None
    click: ClickRef | None = None
    order_id: str | None = None
    money: Money | None = None
    custom: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    person: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NOTHING, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """How SQL has a conversion that was reported: its row to the pixel, or the one that says why there is none.

    new: this report has made it, no earlier one. click_id, slug and pixel: of the click that it belongs to, as far as they
    are known. When the person or the click was erased, nothing of it is kept: skipped, and not new.
    """

    state: DeliveryState
    reason: str | None
    new: bool
    click_id: UUID | None = None
    slug: str | None = None
    pixel: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A conversion on its way to one destination, with what SQL knows of its click.

    attempts: how often something came of a claim, this one included; none does of a claimer that died. owner: whoever
    pressed START, or whom the conversion names. slug: the link's. Everything of the click is None while SQL does not have
    it, and once it is erased.
    """

    lane: str
    conversion: Conversion
    attempts: int
    owner: Owner | None
    link_id: int | None
    slug: str | None
    bot: str | None
    click: Click | None
    enrichment: Enrichment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneStatus:
    """How a lane is. Times are UTC milliseconds.

    pending: deliveries that wait; oldest_at_ms: when the oldest of them happened. held_at_ms: since when nothing is sent
    because the operator has something to mend, which `hold_reason` says. sent_at_ms: when something was last accepted.
    warning: what the destination warned of, such as the end of its API's version.
    """

    lane: str
    pending: int = 0
    oldest_at_ms: int | None = None
    held_at_ms: int | None = None
    hold_reason: str | None = None
    sent_at_ms: int | None = None
    warning: str | None = None


def meta_lane(pixel: str) -> str:
    """The lane of a Meta dataset (pixel)."""
    return _META + pixel


def webhook_lane(name: str) -> str:
    """The lane of one of the operator's webhooks."""
    return _WEBHOOK + name


def pixel_of(lane: str) -> str | None:
    """The pixel of a lane to Meta, or None."""
    return lane.removeprefix(_META) if lane.startswith(_META) else None


def webhook_of(lane: str) -> str | None:
    """The name of the webhook of a lane to one, or None."""
    return lane.removeprefix(_WEBHOOK) if lane.startswith(_WEBHOOK) else None


def click_event_id(click_id: UUID, event: str) -> UUID:
    """The id of what happens to a click once: PageView, ViewContent, or what is reported of it without an order id."""
    return named_uuid("event", f"{click_id}/{event}")


def order_event_id(bot_id: int, event: str, order_id: str) -> UUID:
    """The id of an order's event; order ids are a bot's own."""
    return named_uuid("event", f"{bot_id}/{event}/order/{order_id}")


def person_event_id(bot_id: int, event: str, external_id: str) -> UUID:
    """The id of what happens to a person once, as one bot sees them.

    external_id: `Keyring.external_id` of them. Destinations are told this id and it outlives an erasure: in one that is made
    of the Telegram id alone, anybody could find it by trying them all.
    """
    return named_uuid("event", f"{bot_id}/{event}/person/{external_id}")
