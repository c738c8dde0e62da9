"""Deliveries by name, all of one moment. Every person, address and order is made up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from delivery.destination import Ready
from delivery.meta.normalise import digests
from delivery.meta.payload import prepared
from domain.attribution import Owner
from domain.click import Click
from domain.conversions import (
    LEAD,
    PAGE_VIEW,
    PURCHASE,
    VIEW_CONTENT,
    Conversion,
    Delivery,
    Money,
    click_event_id,
    meta_lane,
    order_event_id,
    person_event_id,
)
from domain.enrichment import Enrichment, Geo, Traffic
from domain.ids import first_uuid7
from privacy.seal import Original
from tests.making import NOW, bare_click, ref

EXTERNAL_ID = "5f2b9c1e0d7a4a36b8f1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5d"
SOURCE_URL = "https://go.loja.example/go/oferta"
OWNER = Owner(bot_id=1, telegram_id=7_000_000_001)
CLICKED_MS, STARTED_MS, BOUGHT_MS = NOW - 60_000, NOW - 50_000, NOW - 5_000
CLICK = bare_click(id=UUID(int=first_uuid7(CLICKED_MS).int | 0x7000_8000_0000_0000_0001), link_id=4)
INSTAGRAM = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 "
    "Instagram 361.0.0.35.82 (iPhone15,2; iOS 18_1; pt_BR; pt; scale=3.00; 1179x2556; 674117118)"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; SM-A546E; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/130.0.6723.107 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/488.0.0.66.80;]"
)
FBCLID = "IwY2xjawGk2hNleHRuA2FlbQEwAGFkaWQBqxYnTestOnly_aem_AbC-123"
RECIFE = Geo(country="BR", region="PE", city="Recife")


@dataclass(frozen=True, kw_only=True)
class Case:
    delivery: Delivery
    original: Original | None
    external_id: str | None = EXTERNAL_ID
    source_url: str | None = SOURCE_URL


def original(**changes: str) -> Original:
    """What an app's browser tells at the first click: no cookies, but an fbclid, of which fbc was made."""
    told = {
        "ip": "203.0.113.7",
        "user_agent": INSTAGRAM,
        "fbclid": FBCLID,
        "fbc": f"fb.1.{CLICKED_MS}.{FBCLID}",
    }
    return Original(**(told | changes))


def enrichment(geo: Geo = RECIFE, kind: Any = "in_app") -> Enrichment:
    return Enrichment(geo=geo, traffic=Traffic(kind))


def of_click(event: str, at_ms: int, **changes: Any) -> Delivery:
    conversion = Conversion(
        id=click_event_id(CLICK.id, event), event=event, at_ms=at_ms, click=ref(CLICK), owner=OWNER
    )
    return replace(_delivery(conversion, CLICK), **changes)


def of_order(event: str, order_id: str, **changes: Any) -> Delivery:
    identifier = order_event_id(OWNER.bot_id, event, order_id)
    conversion = replace(of_click(event, BOUGHT_MS).conversion, id=identifier, order_id=order_id, **changes)
    return _delivery(conversion, CLICK)


def of_person(event: str, **changes: Any) -> Delivery:
    identifier = person_event_id(OWNER.bot_id, event, EXTERNAL_ID)
    conversion = Conversion(id=identifier, event=event, at_ms=BOUGHT_MS, owner=OWNER, **changes)
    return replace(_delivery(conversion, None), link_id=None, slug=None, enrichment=None)


def ready(case: Case) -> Ready:
    found = prepared(
        case.delivery,
        case.original,
        now_ms=NOW,
        external_id=case.external_id,
        source_url=case.source_url,
        honour_gpc=True,
    )
    assert isinstance(found, Ready), found
    return found


def _delivery(conversion: Conversion, click: Click | None) -> Delivery:
    return Delivery(
        lane=meta_lane("1234567890"),
        conversion=conversion,
        attempts=1,
        owner=OWNER,
        link_id=4,
        slug="oferta",
        bot="loja_bot",
        click=click,
        enrichment=enrichment(),
    )


PERSON = digests(
    {
        "email": " Ana.Souza@Loja.com.br ",
        "phone": "(81) 91234-5678",
        "first_name": "Ana Clara",
        "last_name": "D'Ávila",
        "gender": "feminino",
        "birth_date": "16/02/1997",
        "city": "Olinda",
        "state": "Pernambuco",
        "zip": "53020-010",
        "country": "Brasil",
    },
    phone_country="55",
    telegram_id=OWNER.telegram_id,
).person
CONTENTS = {
    "content_type": "product",
    "contents": [{"id": "curso-1", "quantity": 1, "item_price": 197.9}, {"id": "mentoria", "quantity": 2}],
    "content_name": "Curso e mentoria",
    "num_items": 3,
}

CASES = {
    "page_view_in_app": Case(delivery=of_click(PAGE_VIEW, CLICKED_MS), original=original()),
    "page_view_before_anybody_started": Case(
        delivery=of_click(PAGE_VIEW, CLICKED_MS, owner=None), original=original(), external_id=None
    ),
    "view_content_android": Case(
        delivery=of_click(VIEW_CONTENT, STARTED_MS),
        original=original(user_agent=ANDROID, ip="::ffff:203.0.113.9", fbp="fb.1.1799900000000.1098115397"),
    ),
    "view_content_ipv6": Case(
        delivery=of_click(VIEW_CONTENT, STARTED_MS), original=original(ip="2001:0db8:0014:0000::07")
    ),
    "purchase_with_everything": Case(
        delivery=of_order(
            PURCHASE,
            "pedido-1001",
            money=Money(micros=197_900_000, currency="BRL"),
            custom=CONTENTS,
            person=PERSON,
        ),
        original=original(fbp="fb.1.1799900000000.1098115397"),
    ),
    "purchase_of_a_returning_buyer": Case(
        delivery=of_order(
            PURCHASE, "pedido-1002", money=Money(micros=97_000_000, currency="BRL"), person=PERSON
        ),
        original=None,
    ),
    "lead": Case(delivery=of_click(LEAD, BOUGHT_MS), original=original()),
    "custom_event": Case(
        delivery=of_order(
            "EntrouNoGrupoVIP", "grupo-7", custom={"status": "aprovado", "grupo": {"nivel": 2}}
        ),
        original=original(),
    ),
    "direct_person": Case(
        delivery=of_person(LEAD, person={"em": PERSON["em"]}), original=None, source_url=None
    ),
    "no_fbclid": Case(
        delivery=of_click(VIEW_CONTENT, STARTED_MS), original=original(fbclid="", fbc="", user_agent=ANDROID)
    ),
    "accented_city": Case(
        delivery=of_click(
            VIEW_CONTENT,
            STARTED_MS,
            enrichment=enrichment(Geo(country="BR", region="SP", city="São José do Rio Preto")),
        ),
        original=original(),
    ),
}
