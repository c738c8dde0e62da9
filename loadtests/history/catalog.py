"""The catalog of a history: bots, pixels, links with their pools, and ads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from random import Random
from typing import Any

from loadtests.history.plan import DAY_MS, History
from loadtests.history.stamp import stamp

PRODUCTS = (
    "curso-excel",
    "emagrecer",
    "sinais",
    "receitas",
    "ingles",
    "tarot",
    "cripto",
    "violao",
    "marketing",
    "devocional",
)
BOTS, PIXELS = 6, 4
WEBHOOK = "crm"
_CREATIVES = ("Depoimento", "Carrossel", "UGC", "Antes e Depois", "Oferta", "VSL curta")
_PLACES = (
    "Instagram_Stories",
    "Instagram_Reels",
    "Instagram_Feed",
    "Facebook_Mobile_Feed",
    "Facebook_Stories",
)
Rows = dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]]
"""By table: columns, rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link as clicks need it. lane: where its conversions go; "" when it has no pixel."""

    id: int
    slug: str
    bots: tuple[int, ...]
    pixel: str | None
    currency: str

    @property
    def lane(self) -> str:
        """Of its pixel."""
        return f"meta/{self.pixel}" if self.pixel else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ad:
    """An ad of a link, which runs on some days only. params: its clicks' parameters, as JSON."""

    link: Link
    key: bytes
    names: tuple[str, str, str, str, str]
    params: str
    weight: float
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Links by their order, ads by theirs."""

    links: list[Link]
    ads: list[Ad]

    @property
    def lanes(self) -> list[str]:
        """Every lane that something was sent through."""
        return [*sorted({link.lane for link in self.links if link.pixel}), f"webhook/{WEBHOOK}"]

    def of_day(self, day: int) -> tuple[list[Ad], list[float]]:
        """The ads that run on that day of the history, and their shares."""
        running = [ad for ad in self.ads if ad.first <= day <= ad.last]
        return running, [ad.weight for ad in running]


def make_catalog(history: History, rng: Random) -> Catalog:
    """Some links have most of the clicks, some ads of a link likewise. The first ad of the first link runs always."""
    links = [_link(number, rng) for number in range(1, history.links + 1)]
    ads = [_ad(number, links[number % len(links)], history.days, rng) for number in range(history.ads)]
    return Catalog(links=links, ads=ads)


def catalog_rows(catalog: Catalog, history: History) -> Rows:
    """Rows of the catalog's tables, in an order that foreign keys allow."""
    began = stamp(history.since_ms - DAY_MS)
    until = stamp(history.until_ms)
    return {
        "bots": (
            ("id", "username", "username_key", "created_at", "health", "health_at"),
            [(n, f"historia_{n}_bot", f"historia_{n}_bot", began, "ok", began) for n in range(1, BOTS + 1)],
        ),
        "pixels": (("id", "created_at"), [(_pixel(n), began) for n in range(1, PIXELS + 1)]),
        "links": (
            ("id", "slug", "name", "paused", "strategy", "bridge", "pixel_id", "events_off", "created_at"),
            [
                (
                    link.id,
                    link.slug,
                    link.slug.replace("-", " ").title(),
                    0,
                    "weighted",
                    0,
                    link.pixel,
                    "PageView",
                    began,
                )
                for link in catalog.links
            ],
        ),
        "link_bots": (
            ("link_id", "bot_id", "weight", "priority"),
            [(link.id, bot, 1, 1) for link in catalog.links for bot in link.bots],
        ),
        "ads": (
            ("link_id", "ad_key", "source", "campaign", "medium", "content", "term"),
            [(ad.link.id, ad.key, *ad.names) for ad in catalog.ads],
        ),
        "lanes": (("lane", "sent_at"), [(lane, until) for lane in catalog.lanes]),
    }


def ad_key(names: tuple[str, ...]) -> bytes:
    """As the product derives it: BLAKE2b of 8 bytes over source, campaign, medium, content, term, each after its length."""
    digest = hashlib.blake2b(digest_size=8)
    for name in names:
        raw = name.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.digest()


def _pixel(number: int) -> str:
    return f"10203040506070{number}"


def _link(number: int, rng: Random) -> Link:
    bot = rng.randint(1, BOTS)
    bots = (bot,) if rng.random() < 0.7 else (bot, bot % BOTS + 1)
    pixel = None if number % 11 == 10 else _pixel(number % PIXELS + 1)
    slug = f"{PRODUCTS[number % len(PRODUCTS)]}-{number:02}"
    return Link(id=number, slug=slug, bots=bots, pixel=pixel, currency="USD" if number % 13 == 12 else "BRL")


def _ad(number: int, link: Link, days: int, rng: Random) -> Ad:
    campaign = f"{link.slug.upper()} {_CREATIVES[number % 3]}|1202109876{number // 40:04}"
    adset = f"LAL {1 + number % 5}% BR|1202209876{number // 8:04}"
    names = (
        "FB",
        campaign,
        adset,
        f"{rng.choice(_CREATIVES)} {number:03}|1202309876{number:04}",
        rng.choice(_PLACES),
    )
    params = dict(
        zip(("utm_source", "utm_campaign", "utm_medium", "utm_content", "utm_term"), names, strict=True)
    )
    always = number % 25 == 0
    first = 0 if always else rng.randint(-20, max(0, days - 3))
    return Ad(
        link=link,
        key=ad_key(names),
        names=names,
        params=json.dumps(params, ensure_ascii=False),
        weight=rng.paretovariate(1.1) / (1 + link.id / 4),
        first=first,
        last=days if always else first + rng.randint(6, 45),
    )
