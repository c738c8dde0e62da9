"""A conversion as a webhook of the operator's own gets it: documented JSON, version 1. Pure.

The person is named by their Telegram id, as the operator's own bot knows them. Never in it: an address, a user agent, a
Meta click id or cookie, digests of e-mail or phone.
"""

from decimal import Decimal
from typing import Any

import msgspec

from delivery.destination import Never, NotYet, Prepared, Ready
from domain.click import Click
from domain.clock import iso
from domain.conversions import (
    CLICK_EVENT,
    LIFE_MS,
    MAY_BE_A_PERSON,
    MICROS,
    PEOPLE,
    TOO_OLD,
    Conversion,
    Delivery,
)
from domain.enrichment import Enrichment, TrafficClass

VERSION = 1
OLDEST_MS = LIFE_MS
"""What has waited longer is not news any more: the bound that Meta has, so that both tell one story."""
PATIENCE_MS = 3600 * 1000
"""How long a conversion waits for what settling adds to its click."""
AGAIN_SECONDS = 30.0
_json = msgspec.json.Encoder(decimal_format="number")


def prepared(delivery: Delivery, now_ms: int) -> Prepared:
    """What it becomes for a webhook."""
    age_ms = now_ms - delivery.conversion.at_ms
    if age_ms > OLDEST_MS:
        return Never(state="dead", reason=TOO_OLD)
    if age_ms < PATIENCE_MS and (lacks := _lacks(delivery)):
        return NotYet(seconds=AGAIN_SECONDS, reason=lacks)
    if delivery.conversion.event == CLICK_EVENT and delivery.enrichment is None:
        return NotYet(seconds=PATIENCE_MS / 1000, reason="the click is not classed yet")
    if (kind := _unwanted(delivery)) is not None:
        return Never(state="skipped", reason=f"the visit is of the class {kind}")
    return Ready(
        id=delivery.conversion.id,
        body=_json.encode(_event(delivery)),
        matched=() if delivery.owner is None else ("telegram_id",),
        attempts=delivery.attempts,
    )


def batch(events: list[bytes]) -> bytes:
    """The body of one call."""
    return b'{"events":[' + b",".join(events) + b"]}"


PING = b'{"events":[],"ping":true}'
"""The body of a call that only asks whether calls arrive."""


def _lacks(delivery: Delivery) -> str | None:
    """What may still come, a moment after the start: the click, its class, the START that makes a prefetch a person's."""
    if delivery.conversion.click is not None and delivery.click is None:
        return "the click is not in SQL yet"
    if delivery.click is not None and delivery.enrichment is None:
        return "the click is not classed yet"
    if delivery.conversion.event == CLICK_EVENT and _is_tentative(delivery):
        return MAY_BE_A_PERSON
    return None


def _is_tentative(delivery: Delivery) -> bool:
    return delivery.enrichment is not None and delivery.enrichment.traffic.tentative


def _unwanted(delivery: Delivery) -> TrafficClass | None:
    if delivery.conversion.event != CLICK_EVENT or delivery.enrichment is None:
        return None
    kind = delivery.enrichment.traffic.kind
    return None if kind in PEOPLE else kind


def _event(delivery: Delivery) -> dict[str, Any]:
    conversion = delivery.conversion
    return {
        "version": VERSION,
        "id": str(conversion.id),
        "event": conversion.event,
        "at": iso(conversion.at_ms),
        "link": delivery.slug,
        "bot": delivery.bot,
        "telegram_id": None if delivery.owner is None else delivery.owner.telegram_id,
        "click": None if delivery.click is None else _click(delivery.click, delivery.enrichment),
        **_money(conversion),
        "order_id": conversion.order_id,
        "custom": dict(conversion.custom),
    }


def _money(conversion: Conversion) -> dict[str, Any]:
    money = conversion.money
    if money is None:
        return {"value": None, "currency": None}
    return {"value": Decimal(money.micros) / MICROS, "currency": money.currency}


def _click(click: Click, enrichment: Enrichment | None) -> dict[str, Any]:
    params = click.params.items()
    return {
        "id": str(click.id),
        "clicked_at": iso(click.at_ms),
        "utm": {name: value for name, value in params if name.startswith("utm_")},
        "params": {name: value for name, value in params if not name.startswith("utm_")},
        "has_fbclid": click.fbclid_key is not None,
        "class": None if enrichment is None else enrichment.traffic.kind,
        "geo": None if enrichment is None else _geo(enrichment),
    }


def _geo(enrichment: Enrichment) -> dict[str, str | None]:
    geo = enrichment.geo
    return {"country": geo.country, "region": geo.region, "city": geo.city}
