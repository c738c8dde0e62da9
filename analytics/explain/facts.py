"""Facts: all that was gathered for one question. Frozen; no original, no token and no secret is in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from analytics.inspect import StoreSays
from domain.accounts import BotStatus
from domain.attribution import Start
from domain.click import Ad, Click
from domain.conversions import Conversion, LaneStatus
from domain.links import Link
from domain.outcomes import Durability, LedgerRow
from domain.people import BotUser
from domain.trace import TracedDelivery, TracedStart
from privacy.token import TokenFault

Original = Literal["kept", "gone", "none"]
"""Address and user agent of a click, sealed: kept, shredded since, or never there."""
NOBODY_ASKED: Mapping[str, StoreSays] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class OfToken:
    """Asked by a token, which is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPerson:
    """Asked by a Telegram id, in one bot (its username) or in all."""

    telegram_id: int
    bot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfOrder:
    """Asked by an order id, of whatever bots."""

    order_id: str


Asked = OfToken | OfPerson | OfOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Settings that decide what becomes of a sale."""

    zone: ZoneInfo
    honour_gpc: bool = True
    sealed_days: int = 7
    attribution_days: int = 28


@dataclass(frozen=True, slots=True, kw_only=True)
class ClickFacts:
    """One click. stores: what each said, where they were asked one by one; durability None: they were not.

    click None: no store that was asked has it. ad: the click's own, or the dictionary's of its token's key.
    """

    id: UUID
    link_id: int
    link: Link | None
    click: Click | None
    ad: Ad | None
    row: LedgerRow | None
    original: Original = "none"
    erased_at_ms: int | None = None
    durability: Durability | None = None
    visible: bool = False
    stores: Mapping[str, StoreSays] = field(default_factory=lambda: NOBODY_ASKED)
    certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """sql False: SQL could not be asked; waiting_read False: nor could a spool. refused: the token is, and nobody was asked.

    waiting: starts and conversions that lie in a spool. cut: of what there is more than is here (domain/trace.py).
    """

    asked: Asked
    now_ms: int
    rules: Rules
    sql: bool = True
    waiting_read: bool = True
    refused: TokenFault | None = None
    clicks: tuple[ClickFacts, ...] = ()
    starts: tuple[TracedStart, ...] = ()
    people: tuple[BotUser, ...] = ()
    deliveries: tuple[TracedDelivery, ...] = ()
    lanes: Mapping[str, LaneStatus] = field(default_factory=dict[str, LaneStatus])
    bots: Mapping[int, BotStatus] = field(default_factory=dict[int, BotStatus])
    waiting: tuple[Start | Conversion, ...] = ()
    erased_at_ms: int | None = None
    cut: frozenset[str] = field(default_factory=frozenset)

    def click(self, click_id: UUID | None) -> ClickFacts | None:
        """That click, if it is here."""
        return next((click for click in self.clicks if click.id == click_id), None)

    def bot(self, bot_id: int | None) -> BotStatus | None:
        """That bot, as far as it is known."""
        return None if bot_id is None else self.bots.get(bot_id)
