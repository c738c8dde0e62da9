"""Payload: a delivery as one event of Meta's Conversions API, or why it is not one. Pure: the same in, the same out.

What the click brought is in it as it was sealed: the address, the agent, fbc and fbp. Originals can be read for 7 days;
later events go by the person's external id, what the operator hashed of them, and where the click came from.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from delivery.destination import Never, NotYet, Prepared, Ready
from delivery.meta.identifiers import is_fbc, is_fbp, public_address
from delivery.meta.normalise import hashed_city, hashed_country, hashed_state
from delivery.meta.preflight import AHEAD_S, CHAT, HASHED, WEBSITE, faults
from domain.conversions import (
    CLICK_EVENT,
    LIFE_MS,
    MAY_BE_A_PERSON,
    MICROS,
    PEOPLE,
    TOO_OLD,
    Conversion,
    Delivery,
    Money,
)
from domain.enrichment import Geo
from privacy.seal import Original

PATIENCE_MS = 600_000
"""How long an event waits for its click to be settled and classed; an outage that lasts longer costs the click's data."""
CONSENT_MS = 24 * 3_600_000
"""The same where `Sec-GPC` is honoured: without its click nobody knows whether it may be sent, so it is not."""
RETRY_S = 15.0
_OLDEST_MS = LIFE_MS - 60_000
"""A minute less than Meta's 7 days: one that is too old loses its whole batch, and the way there takes time."""
_HOUR_S = 3600.0
_MAX_AGENT = 2048
_encode = msgspec.json.Encoder().encode


def prepared(
    delivery: Delivery,
    original: Original | None,
    *,
    now_ms: int,
    external_id: str | None,
    source_url: str | None,
    honour_gpc: bool,
) -> Prepared:
    """The event, when to ask again, or why it is never sent. Never raises.

    original: of the delivery's click, None once it cannot be read. external_id: the owner's, as Meta is to know them.
    source_url: the link's own, without a query. honour_gpc: whether `Sec-GPC` keeps a click from being reported.
    """
    patience_ms = CONSENT_MS if honour_gpc else PATIENCE_MS
    waiting = _never(delivery, now_ms, honour_gpc=honour_gpc) or _not_yet(delivery, now_ms, patience_ms)
    if waiting:
        return waiting
    event = _event(delivery, original, now_ms, external_id, source_url)
    found = faults(event, now_s=now_ms // 1000)
    if found:
        return Never(state="rejected", reason=found[0])
    try:
        body = _encode(event)
    except ValueError:
        return Never(state="rejected", reason="the event has text that is not Unicode")
    return Ready(
        id=delivery.conversion.id, body=body, matched=tuple(event["user_data"]), attempts=delivery.attempts
    )


# ---------------------------------------------------------------- whether and when


def _never(delivery: Delivery, now_ms: int, *, honour_gpc: bool) -> Never | None:
    conversion, click = delivery.conversion, delivery.click
    age_ms = now_ms - conversion.at_ms
    if honour_gpc and click and click.gpc:
        return Never(state="skipped", reason="the visitor asked for no sharing (Sec-GPC)")
    if honour_gpc and click is None and conversion.click and age_ms >= CONSENT_MS:
        return Never(state="skipped", reason="its click did not come")
    if age_ms > _OLDEST_MS:
        return Never(state="dead", reason=TOO_OLD)
    if conversion.event != CLICK_EVENT:
        return None
    if click is None:
        late = age_ms >= PATIENCE_MS
        return Never(state="skipped", reason="its click did not come") if late else None
    return _no_person(delivery, now_ms - click.at_ms)


def _no_person(delivery: Delivery, age_ms: int) -> Never | None:
    """A page view is a person's; what a program or nobody known has seen is none. Starts prove themselves."""
    if delivery.enrichment is None:
        late = age_ms >= PATIENCE_MS
        return Never(state="skipped", reason="traffic class not known") if late else None
    kind = delivery.enrichment.traffic.kind
    if kind in PEOPLE or _may_be_a_person(delivery, age_ms):
        return None
    return Never(state="skipped", reason=f"traffic class {kind}")


def _may_be_a_person(delivery: Delivery, age_ms: int) -> bool:
    """A prefetch is a person's once its START is pressed: some apps fetch an ad's page before anybody has touched it."""
    traffic = delivery.enrichment.traffic if delivery.enrichment else None
    return traffic is not None and traffic.tentative and traffic.kind not in PEOPLE and age_ms < PATIENCE_MS


def _not_yet(delivery: Delivery, now_ms: int, patience_ms: int) -> NotYet | None:
    conversion, click = delivery.conversion, delivery.click
    ahead_s = (conversion.at_ms - now_ms) / 1000
    if AHEAD_S < ahead_s <= _HOUR_S:
        return NotYet(seconds=ahead_s, reason="it lies in the future: some clock is wrong")
    if click is None:
        waits = conversion.click is not None and now_ms - conversion.at_ms < patience_ms
        return NotYet(seconds=RETRY_S, reason="its click has not come yet") if waits else None
    age_ms = now_ms - click.at_ms
    if delivery.enrichment is None and age_ms < PATIENCE_MS:
        return NotYet(seconds=RETRY_S, reason="its click is not classed yet")
    if conversion.event == CLICK_EVENT and _may_be_a_person(delivery, age_ms):
        return NotYet(seconds=RETRY_S, reason=MAY_BE_A_PERSON)
    return None


# ---------------------------------------------------------------- what


def _event(
    delivery: Delivery,
    original: Original | None,
    now_ms: int,
    external_id: str | None,
    source_url: str | None,
) -> dict[str, Any]:
    conversion = delivery.conversion
    user = _person(conversion, delivery.enrichment.geo if delivery.enrichment else None)
    if external_id:
        user["external_id"] = [external_id]
    if original:
        _add_original(user, original, now_ms)
    event: dict[str, Any] = {
        "event_name": conversion.event,
        "event_time": conversion.at_ms // 1000,
        "event_id": str(conversion.id),
        "action_source": CHAT,
        "user_data": user,
    }
    if source_url and "client_user_agent" in user:
        event |= {"action_source": WEBSITE, "event_source_url": source_url}
    custom = _custom(conversion)
    if custom:
        event["custom_data"] = custom
    return event


def _person(conversion: Conversion, geo: Geo | None) -> dict[str, Any]:
    """What the operator knows of them comes first; where the click came from is sent beside it, not instead."""
    user: dict[str, Any] = {key: list(values) for key, values in conversion.person.items() if key in HASHED}
    for key, values in _place(geo.city, geo.region, geo.country).items() if geo else ():
        known = user.setdefault(key, [])
        known += [value for value in values if value not in known]
    return user


@lru_cache(maxsize=8192)
def _place(city: str | None, region: str | None, country: str | None) -> Mapping[str, tuple[str, ...]]:
    """Digests of a place. Visitors come from the same few thousand."""
    hashed = {
        "ct": hashed_city(city) if city else (),
        "st": hashed_state(region, country) if region else (),
        "country": hashed_country(country) if country else (),
    }
    return {key: values for key, values in hashed.items() if values}


def _add_original(user: dict[str, Any], original: Original, now_ms: int) -> None:
    """Both fbc and fbp as they were sealed, or not at all: one that is made anew names another click."""
    address = public_address(original.ip)
    if address:
        user["client_ip_address"] = address
    if original.user_agent.strip():
        user["client_user_agent"] = original.user_agent[:_MAX_AGENT]
    if is_fbc(original.fbc, now_ms):
        user["fbc"] = original.fbc
    if is_fbp(original.fbp, now_ms):
        user["fbp"] = original.fbp


def _custom(conversion: Conversion) -> dict[str, Any]:
    custom = dict(conversion.custom)
    if conversion.money:
        custom |= {"value": _amount(conversion.money), "currency": conversion.money.currency}
    if conversion.order_id:
        custom["order_id"] = conversion.order_id
    return custom


def _amount(money: Money) -> int | float:
    """A whole number as one; otherwise the double nearest to it, which is written as it was meant: 19.9, never 19.900000001."""
    whole, rest = divmod(money.micros, MICROS)
    return money.micros / MICROS if rest else whole
