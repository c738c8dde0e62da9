"""The objects of the private API as types: what may come is decoded with them, and all are described by them.

Fields may be added to answers; those that stand here keep their names and meanings.
"""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from bot.associate import MAX_TELEGRAM_ID
from domain.conversions import DeliveryState
from domain.enrichment import Automation, Device, TrafficClass

# Telegram's ids are positive; a person's has at most 52 significant bits.
TelegramId = Annotated[int, msgspec.Meta(ge=1, le=MAX_TELEGRAM_ID)]
UpdateId = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class StartBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token to redeem. `token` null, empty or absent: a direct start. `update_id` makes repeats one start."""

    bot: str
    telegram_id: TelegramId
    token: str | None = None
    update_id: UpdateId | None = None


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of an order. `item_price`: of one, in the order's currency."""

    id: str
    quantity: int | None = None
    item_price: int | float | str | None = None


class ConversionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A conversion to report. Of `token`, `telegram_id` and `click_id` exactly one; a Purchase needs `order_id`, `value` and
    `currency`. `at`: ISO 8601 with its offset. From `email` on: of the person, kept as digests only.
    """

    bot: str
    event: str
    token: str | None = None
    telegram_id: TelegramId | None = None
    click_id: UUID | None = None
    order_id: str | None = None
    value: int | float | str | None = None
    currency: str | None = None
    at: str | None = None
    contents: list[Item] | None = None
    content_name: str | None = None
    content_category: str | None = None
    content_type: str | None = None
    num_items: int | None = None
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    gender: str | None = None
    birth_date: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None

    def __repr__(self) -> str:
        """Nothing of the person."""
        return f"ConversionBody({self.event!r})"


class Conversion(msgspec.Struct, frozen=True):
    """What became of a conversion. `state` is that of its way to the pixel; `deferred`: SQL could not be asked, it is kept."""

    event_id: str
    state: DeliveryState | Literal["deferred"]
    reason: str | None
    new: bool
    click: str | None
    link: str | None
    pixel: str | None
    ignored: list[str]


class Error(msgspec.Struct, frozen=True):
    """Codes are stable, details are not."""

    error: str
    detail: str


class Geo(msgspec.Struct, frozen=True):
    """Where an address is, as the database `source` says; null where it says nothing."""

    country: str | None
    region: str | None
    city: str | None
    asn: int | None
    source: str | None


class Agent(msgspec.Struct, frozen=True):
    """What a user agent says of itself."""

    device: Device
    os: str | None
    os_version: str | None
    browser: str | None
    browser_version: str | None
    app: str | None
    automation: Automation | None
    robot: str | None


class Reason(msgspec.Struct, frozen=True):
    """One signal that counted."""

    signal: str
    weight: int
    evidence: str


class Score(msgspec.Struct, frozen=True):
    """0 to 100 points, and why."""

    points: int
    reasons: list[Reason]


class Scores(msgspec.Struct, frozen=True):
    """Two scores of ours, and two to compare with."""

    bot: Score
    fraud: Score
    baseline_bot: int
    baseline_fraud: int


class Click(msgspec.Struct, frozen=True):
    """A click as its owner may see it. What settling adds is null before."""

    id: str
    clicked_at: str
    utm: dict[str, str]
    params: dict[str, str]
    has_fbclid: bool
    referer_host: str
    language: str
    geo: Geo | None
    agent: Agent | None
    traffic: TrafficClass = msgspec.field(name="class")
    evidence: list[str]
    tentative: bool | None
    scores: Scores | None


class Start(msgspec.Struct, frozen=True):
    """What became of a start."""

    owner: bool
    click: Click | None
    state: Literal["settled", "deferred"]
    direct: bool


class Ad(msgspec.Struct, frozen=True):
    """The ad of a click."""

    source: str
    campaign: str
    medium: str
    content: str
    term: str


class Owner(msgspec.Struct, frozen=True):
    """Who owns a click."""

    bot: str | None
    telegram_id: int | None
    started_at: str | None


class ClickView(Click, frozen=True):
    """A click, and what the stores say of it."""

    link: str | None
    known_from: Literal["click", "token"]
    ad: Ad | None
    durability: Literal["synced", "written", "token_only"]
    visible: bool
    settled: bool
    owner: Owner | None


class ExplainedStep(msgspec.Struct, frozen=True):
    """One thing on the way, or one that did not happen. `after_ms`: since what it follows from. Texts are the language's."""

    at: str | None
    kind: str
    title: str
    verdict: Literal["done", "waiting", "not", "wrong"]
    after_ms: int | None
    detail: list[str]
    advice: str | None


class ExplainedStory(msgspec.Struct, frozen=True):
    """Steps that belong together: of one click, one person, or one order in one bot."""

    title: str
    steps: list[ExplainedStep]


class Explanation(msgspec.Struct, frozen=True):
    """Why a sale is missing. `known`: anything was found; `certain`: every store that may know more could be asked."""

    asked_at: str
    language: Literal["en", "pt"]
    timezone: str
    verdict: Literal["done", "waiting", "not", "wrong"]
    headline: str
    advice: str | None
    known: bool
    certain: bool
    stories: list[ExplainedStory]
    notes: list[str]


class Ready(msgspec.Struct, frozen=True):
    """How the daemon and its stores are."""

    ready: bool
    catalog_checked_at: str | None
    tiers: dict[str, Literal["closed", "open", "half_open"]]
    ring_waiting: int
    process: int
    version: str


class Method(msgspec.Struct, frozen=True, omit_defaults=True):
    """A method of the Bot API that Telegram carries out."""

    method: Literal["sendMessage", "sendPhoto"]
    chat_id: int
    text: str | msgspec.UnsetType = msgspec.UNSET
    photo: str | msgspec.UnsetType = msgspec.UNSET
    caption: str | msgspec.UnsetType = msgspec.UNSET
    reply_markup: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
