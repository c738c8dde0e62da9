"""Reports: the rows of the outbox that a reported conversion gets, once for each event id, and the click it belongs to.

A conversion has one row to its link's pixel, or one in the UNATTRIBUTED lane: pending while no click of its person is
known, or skipped with the reason. Beside it, one for each webhook, unless the link is known and does not report it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.attributed import attributed_click, in_time
from backends.sql.engine import insert_if_absent
from backends.sql.owed import NO_PIXEL, reports, to_pixel
from backends.sql.schema import clicks, links, outbox, webhooks
from domain.attribution import Owner
from domain.conversions import (
    ERASED,
    NO_SUCH_CLICK,
    TOO_OLD,
    UNATTRIBUTED,
    Conversion,
    DeliveryState,
    Reported,
    Touch,
    pixel_of,
    webhook_lane,
)

_TO_A_WEBHOOK = webhook_lane("%")
NOT_KEPT = Reported(state="skipped", reason=ERASED, new=False)


class _Click(NamedTuple):
    """The click that a conversion belongs to. `link_id` 0: nobody knows its link."""

    id: UUID
    link_id: int
    ad_key: bytes


class _Way(NamedTuple):
    """Where a conversion goes, or why it does not."""

    lane: str
    state: DeliveryState
    reason: str | None


class Reports:
    """Writes them, in transactions of others that have called `open_for_people` and `gone` before."""

    def __init__(self, engine: AsyncEngine, touch: Touch) -> None:
        self._put = insert_if_absent(engine, outbox)
        self._touch: Touch = touch
        self._locks = engine.dialect.name == "postgresql"

    async def settle(self, connection: AsyncConnection, conversions: Sequence[Conversion]) -> None:
        """Those of a batch. One whose click nobody knows gets a row that says so: whoever reported it is not asked again."""
        # In one order everywhere, as every writer locks them.
        for conversion in sorted(conversions, key=lambda conversion: conversion.id):
            await self.write(connection, conversion, settled=True)

    async def write(
        self,
        connection: AsyncConnection,
        conversion: Conversion,
        *,
        too_old: bool = False,
        settled: bool = False,
    ) -> Reported | None:
        """As `Ledger.record_conversion`, of somebody who was not erased."""
        await self._lock(connection, conversion.id)
        known = await _known(connection, conversion.id)
        if known is not None:
            return known
        click = await self._click(connection, conversion)
        if isinstance(click, Reported):
            return click
        link = await _link(connection, click)
        way = _way(conversion.event, click, link, too_old=too_old)
        if way.reason == NO_SUCH_CLICK and not settled:
            return None
        also = await _webhooks(connection) if link is None or reports(link, conversion.event) else ()
        await self._insert(connection, conversion, click, (way, *also))
        return Reported(
            state=way.state,
            reason=way.reason,
            new=True,
            click_id=click.id if click else None,
            slug=link.slug if link else None,
            pixel=pixel_of(way.lane),
        )

    async def _lock(self, connection: AsyncConnection, event_id: UUID) -> None:
        """Reports of one event go one by one, though their rows may be of different lanes. SQLite has one writer anyway."""
        if self._locks:
            key = int.from_bytes(event_id.bytes[:8], "big", signed=True)
            lock = func.pg_advisory_xact_lock(bindparam("key", key, BigInteger))
            await connection.execute(select(lock))

    async def _click(self, connection: AsyncConnection, conversion: Conversion) -> _Click | Reported | None:
        """The click that is named, or by which the person came; None: none is known yet."""
        named = conversion.click
        if named is None:
            return await self._click_of(connection, conversion.owner, conversion.at_ms)
        wanted = select(clicks.c.link_id, clicks.c.ad_key, clicks.c.erased_at).where(clicks.c.id == named.id)
        found = (await connection.execute(wanted)).one_or_none()
        if found is not None and found.erased_at is not None:
            return NOT_KEPT
        known = named if found is None else found
        return _Click(named.id, known.link_id, known.ad_key)

    async def _click_of(self, connection: AsyncConnection, owner: Owner | None, at_ms: int) -> _Click | None:
        if owner is None:
            return None
        theirs = attributed_click(owner.bot_id, owner.telegram_id, at_ms, self._touch)
        columns = (clicks.c.id, clicks.c.link_id, clicks.c.ad_key, clicks.c.started_at)
        wanted = select(*columns).where(clicks.c.id == theirs)
        found = (await connection.execute(wanted)).one_or_none()
        if found is None or not in_time(found.started_at, at_ms):
            return None
        return _Click(found.id, found.link_id, found.ad_key)

    async def _insert(
        self, connection: AsyncConnection, conversion: Conversion, click: _Click | None, ways: Sequence[_Way]
    ) -> None:
        row = _values(conversion, click)
        rows = [row | way._asdict() for way in ways]
        rows.sort(key=lambda values: values["lane"])
        await connection.execute(self._put, rows)


async def _known(connection: AsyncConnection, event_id: UUID) -> Reported | None:
    """What became of the event, when it was reported before."""
    wanted = (
        select(outbox.c.state, outbox.c.reason, outbox.c.click_id, outbox.c.lane, links.c.slug)
        .join_from(outbox, links, links.c.id == outbox.c.link_id, isouter=True)
        .where(outbox.c.event_id == event_id, outbox.c.lane.not_like(_TO_A_WEBHOOK))
    )
    found = (await connection.execute(wanted)).first()
    if found is None:
        return None
    return Reported(
        state=found.state,
        reason=found.reason,
        new=False,
        click_id=found.click_id,
        slug=found.slug,
        pixel=pixel_of(found.lane),
    )


async def _webhooks(connection: AsyncConnection) -> list[_Way]:
    """To each of them."""
    names = (await connection.execute(select(webhooks.c.name))).scalars()
    return [_Way(webhook_lane(name), "pending", None) for name in names]


async def _link(connection: AsyncConnection, click: _Click | None) -> Any:
    if click is None:
        return None
    wanted = select(links.c.slug, links.c.pixel_id, links.c.events_off).where(links.c.id == click.link_id)
    return (await connection.execute(wanted)).one_or_none()


def _way(event: str, click: _Click | None, link: Any, *, too_old: bool) -> _Way:
    lane, against = _to_pixel(event, click, link)
    if against is not None:
        return _Way(lane, "skipped", against)
    return _Way(lane, "dead", TOO_OLD) if too_old else _Way(lane, "pending", None)


def _to_pixel(event: str, click: _Click | None, link: Any) -> tuple[str, str | None]:
    """The lane, and why it is not to be sent through one; UNATTRIBUTED without a reason while no click is known."""
    if link is not None:
        return to_pixel(link, event)
    if click is None:
        return UNATTRIBUTED, None
    return UNATTRIBUTED, NO_PIXEL if click.link_id else NO_SUCH_CLICK


def _values(conversion: Conversion, click: _Click | None) -> dict[str, Any]:
    owner, money = conversion.owner, conversion.money
    return {
        "event_id": conversion.id,
        "event": conversion.event,
        "event_at": conversion.at_ms,
        "next_at": conversion.at_ms,
        "click_id": click.id if click else None,
        "link_id": (click.link_id or None) if click else None,
        "ad_key": click.ad_key if click else None,
        "bot_id": owner.bot_id if owner else None,
        "telegram_id": owner.telegram_id if owner else None,
        "value": money.micros if money else None,
        "currency": money.currency if money else None,
        "order_id": conversion.order_id,
        "custom": dict(conversion.custom) or None,
        "person": {key: list(digests) for key, digests in conversion.person.items()} or None,
    }
