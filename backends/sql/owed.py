"""What is owed: the rows of the outbox that facts bring with them, written in the facts' own transaction (I3, I4).

A conversion gets one row for each lane that it is to go through: its link's pixel, and every webhook. One that goes
nowhere gets a row too, which says why. Rows that are there stay: every writer may come again.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent
from backends.sql.schema import clicks, links, outbox, webhooks
from domain.click import Click
from domain.conversions import (
    CLICK_EVENT,
    START_EVENT,
    UNATTRIBUTED,
    click_event_id,
    meta_lane,
    webhook_lane,
)

NO_PIXEL = "the link has no pixel"
_ROUTE = (links.c.pixel_id, links.c.events_off, webhooks.c.name.label("webhook"))


class Owed:
    """Writes them, in transactions of others."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._put = insert_if_absent(engine, outbox)

    async def of_starts(self, connection: AsyncConnection, ids: Sequence[UUID]) -> None:
        """What is owed for those of these clicks that have both facts; pixel and webhooks are those of this moment."""
        both = clicks.c.clicked_at.is_not(None) & clicks.c.owner_telegram_id.is_not(None)
        wanted = (
            select(clicks.c.id, clicks.c.link_id, clicks.c.clicked_at, clicks.c.started_at, *_ROUTE)
            .join_from(clicks, links, clicks.c.link_id == links.c.id, isouter=True)
            .join(webhooks, true(), isouter=True)
            .where(clicks.c.id.in_(ids), both)
        )
        rows: list[dict[str, Any]] = []
        for found in (await connection.execute(wanted)).all():
            rows += _rows(found, START_EVENT, found.id, found.started_at)
            if reports(found, CLICK_EVENT):
                rows += _rows(found, CLICK_EVENT, found.id, found.clicked_at)
        await self._write(connection, rows)

    async def of_clicks(self, connection: AsyncConnection, batch: Sequence[Click]) -> None:
        """What is owed for clicks as such, where their links report them."""
        links_of_batch = {click.link_id for click in batch}
        wanted = (
            select(links.c.id.label("link_id"), *_ROUTE)
            .join_from(links, webhooks, true(), isouter=True)
            .where(links.c.id.in_(links_of_batch))
        )
        routes = [row for row in (await connection.execute(wanted)).all() if reports(row, CLICK_EVENT)]
        if not routes:
            return
        there = await _there(connection, [click.id for click in batch])
        await self._write(
            connection,
            [
                row
                for route in routes
                for click in batch
                if click.link_id == route.link_id and click.id in there
                for row in _rows(route, CLICK_EVENT, click.id, click.at_ms)
            ],
        )

    async def _write(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        if rows:
            # In one order everywhere, as every writer locks them.
            rows.sort(key=lambda row: (row["event_id"], row["lane"]))
            await connection.execute(self._put, rows)


async def _there(connection: AsyncConnection, ids: Iterable[UUID]) -> set[UUID]:
    """Those that are not erased."""
    wanted = select(clicks.c.id).where(clicks.c.id.in_(ids), clicks.c.clicked_at.is_not(None))
    return set((await connection.execute(wanted.where(clicks.c.erased_at.is_(None)))).scalars())


def reports(route: Any, event: str) -> bool:
    """A link that is not (any more) in the catalog reports what a new one does."""
    return event not in ((CLICK_EVENT,) if route.events_off is None else route.events_off.split())


def to_pixel(route: Any, event: str) -> tuple[str, str | None]:
    """The lane of the link's pixel; or that it is for nowhere, and why. `route` has the link's `pixel_id` and `events_off`."""
    if not reports(route, event):
        return UNATTRIBUTED, f"the link does not report {event}"
    return (meta_lane(route.pixel_id), None) if route.pixel_id else (UNATTRIBUTED, NO_PIXEL)


def _rows(route: Any, event: str, click_id: UUID, at_ms: int) -> Iterator[dict[str, Any]]:
    """To the pixel, or nowhere and why; and to the webhook of this row, if any."""
    row = {
        "event_id": click_event_id(click_id, event),
        "event": event,
        "event_at": at_ms,
        "next_at": at_ms,
        "click_id": click_id,
        "link_id": route.link_id,
    }
    lane, reason = to_pixel(route, event)
    yield row | {"lane": lane, "state": "skipped" if reason else "pending", "reason": reason}
    if route.webhook and reports(route, event):
        yield row | {"lane": webhook_lane(route.webhook), "state": "pending", "reason": None}
