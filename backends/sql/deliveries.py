"""Rows of the outbox with what SQL knows of their clicks, as Deliveries."""

from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select

from backends.sql.enrichment import ENRICHMENT_COLUMNS, enrichment_of
from backends.sql.ledger import CLICK_FACT, click_of
from backends.sql.schema import bots, clicks, is_pending, links, outbox
from domain.attribution import ClickRef, Owner
from domain.conversions import NOTHING, Conversion, Delivery, Money

_OF_THE_EVENT = (
    outbox.c.event_id,
    outbox.c.event,
    outbox.c.event_at,
    outbox.c.click_id,
    outbox.c.link_id.label("event_link_id"),
    outbox.c.bot_id,
    outbox.c.telegram_id,
    outbox.c.value,
    outbox.c.currency,
    outbox.c.order_id,
    outbox.c.custom,
    outbox.c.person,
    outbox.c.attempts,
)
# What `click_of` and `enrichment_of` read, and no more.
_OF_THE_CLICK = tuple(
    clicks.c[name]
    for name in (
        "id",
        "link_id",
        "node",
        "ad_key",
        *CLICK_FACT,
        "owner_bot_id",
        "owner_telegram_id",
        *ENRICHMENT_COLUMNS,
    )
)
_IS_THERE = (clicks.c.clicked_at.is_not(None) & clicks.c.erased_at.is_(None)).label("is_there")


def due_in_lane() -> Select[Any]:
    """Up to `limit` deliveries of `in_lane` that are due at `now`, longest due first, locked against other claimers."""
    picked = (
        select(*_OF_THE_EVENT, outbox.c.next_at)
        .where(outbox.c.lane == bindparam("in_lane"), is_pending, outbox.c.next_at <= bindparam("now"))
        .order_by(outbox.c.next_at)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        .subquery("picked")
    )
    # A tombstone that lay there before its click names no link.
    link_id = func.coalesce(func.nullif(clicks.c.link_id, 0), picked.c.event_link_id)
    bot_id = func.coalesce(clicks.c.owner_bot_id, picked.c.bot_id)
    return (
        select(*picked.c, *_OF_THE_CLICK, _IS_THERE, links.c.slug, bots.c.username)
        .select_from(picked)
        .outerjoin(clicks, clicks.c.id == picked.c.click_id)
        .outerjoin(links, links.c.id == link_id)
        .outerjoin(bots, bots.c.id == bot_id)
        .order_by(picked.c.next_at)
    )


def delivery_of(row: Row[Any], lane: str) -> Delivery:
    """One row of `due_in_lane`, as it is once it is claimed."""
    named = _owner(row.bot_id, row.telegram_id)
    there = row.is_there
    return Delivery(
        lane=lane,
        conversion=_conversion(row, named),
        attempts=row.attempts + 1,
        owner=_owner(row.owner_bot_id, row.owner_telegram_id) or named,
        link_id=row.link_id or row.event_link_id,
        slug=row.slug,
        bot=row.username,
        click=click_of(row) if there else None,
        enrichment=enrichment_of(row) if there else None,
    )


def _conversion(row: Row[Any], named: Owner | None) -> Conversion:
    person = row.person
    return Conversion(
        id=row.event_id,
        event=row.event,
        at_ms=row.event_at,
        owner=named,
        click=_ref(row),
        order_id=row.order_id,
        money=_money(row),
        custom=row.custom or NOTHING,
        person={key: tuple(digests) for key, digests in person.items()} if person else NOTHING,
    )


def _ref(row: Row[Any]) -> ClickRef | None:
    if row.click_id is None:
        return None
    link_id = row.link_id or row.event_link_id or 0
    return ClickRef(id=row.click_id, link_id=link_id, node=row.node or 0, ad_key=row.ad_key or b"")


def _money(row: Row[Any]) -> Money | None:
    if row.value is None or row.currency is None:
        return None
    return Money(micros=row.value, currency=row.currency)


def _owner(bot_id: int | None, telegram_id: int | None) -> Owner | None:
    if bot_id is None or telegram_id is None:
        return None
    return Owner(bot_id=bot_id, telegram_id=telegram_id)
