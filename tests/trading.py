"""Ads that bring clicks, starts and sales: written by the ledger, folded as the worker folds."""

from __future__ import annotations

from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from analytics.tally import Tally
from backends.sql.engine import Engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.rollups import SqlRollups
from domain.attribution import Owner, Start
from domain.click import Ad, Click
from domain.clock import Clock
from domain.conversions import PURCHASE, Conversion, Money, order_event_id
from domain.enrichment import Agent, Enrichment, Geo, Score, Scores, Traffic, TrafficClass
from domain.ids import ClickIds
from privacy.token import ad_key
from tests.making import person_key, ref

BOT = "trail_test_bot"
BOT_ID = 1
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
IN_SP = Geo(country="BR", region="SP", city="São Paulo", source="test 2026-11-01")
PHONE = Agent("phone", "Android", "14", "Chrome", "126", "Instagram")


@dataclass
class Trade:
    """A database with a bot and links, into which people come."""

    engine: Engine
    clock: Clock
    zone: ZoneInfo = SAO_PAULO
    people: int = 100
    orders: int = 0
    links: list[int] = field(default_factory=list)
    _ids: ClickIds = field(default_factory=ClickIds)

    @property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self.engine, person_key)

    async def open(self, *slugs: str) -> None:
        """The bot, and a link of each slug with a pixel."""
        catalog = SqlCatalog(self.engine, self.clock)
        await catalog.add_bot(BOT)
        for slug in slugs:
            self.links.append((await catalog.add_link(slug, bot=BOT, pixel="1234567890")).id)

    def click(self, ad: Ad, *, link_id: int = 1, ago_ms: int = 0) -> Click:
        """A click of that ad, not written yet."""
        at_ms = self.clock.now_ms() - ago_ms
        return Click(
            id=self._ids.new(at_ms),
            link_id=link_id,
            node=0,
            ad_key=ad_key(ad),
            params={f"utm_{name}": text for name, text in ad._asdict().items() if text},
            visitor_key=b"v" * 16,
            visitor_period=at_ms // 86_400_000,
        )

    async def clicks(
        self,
        ad: Ad,
        count: int,
        *,
        kind: TrafficClass = "in_app",
        link_id: int = 1,
        ago_ms: int = 0,
        geo: Geo = IN_SP,
    ) -> list[Click]:
        """So many clicks of an ad, settled and enriched."""
        made = [self.click(ad, link_id=link_id, ago_ms=ago_ms) for _ in range(count)]
        added = Enrichment(
            geo=geo, agent=PHONE, traffic=Traffic(kind), scores=Scores(bot=Score(12), fraud=Score(3))
        )
        await self.ledger.settle(made, [], [], enrichments={click.id: added for click in made})
        return made

    async def start(self, click: Click, *, after_ms: int = 4000, person: int | None = None) -> int:
        """Somebody presses START with that click; their Telegram id."""
        self.people += 1
        who = person or self.people
        owner = Owner(bot_id=BOT_ID, telegram_id=who)
        start = Start.with_token(owner, ref(click), at_ms=click.at_ms + after_ms, update_id=None)
        await self.ledger.settle([], [start], [])
        return who

    async def sell(
        self, click: Click, person: int, micros: int, currency: str = "BRL", event: str = PURCHASE
    ) -> str:
        """A sale to that person; its order id."""
        self.orders += 1
        order = f"ORDER-{self.orders}"
        sale = Conversion(
            id=order_event_id(BOT_ID, event, order),
            event=event,
            at_ms=click.at_ms + 60_000,
            owner=Owner(bot_id=BOT_ID, telegram_id=person),
            order_id=order,
            money=Money(micros=micros, currency=currency),
        )
        await self.ledger.settle([], [], [], reported=[sale])
        return order

    async def fold(self) -> None:
        """What the worker does every second, until nothing waits."""
        rollups = SqlRollups(self.engine, self.zone.key, Tally)
        while await rollups.fold(1000):
            pass
