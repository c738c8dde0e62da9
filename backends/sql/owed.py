"""What is owed: the rows of the outbox that facts bring with them, written in the facts' own transaction (I3, I4).

A conversion gets one row for each lane that it is to go through: its link's pixel, and every webhook. One that goes
nowhere gets a row too, which says why. Every writer may come again: a conversion that has a row in any lane gets no other,
wherever its link leads by then.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.among import IDS, among, packer
from backends.sql.engine import insert_if_absent
from backends.sql.schema import clicks, links, outbox, webhooks
from domain.click import Click
from domain.conversions import (
    CLICK_EVENT,
    IMPORTED,
    START_EVENT,
    UNATTRIBUTED,
    click_event_id,
    meta_lane,
    webhook_lane,
)

NO_PIXEL = "the link has no pixel"
_ROUTE = (links.c.pixel_id, links.c.events_off, webhooks.c.name.label("webhook"))


class Owed:
    """Writes them, in transactions of others. `imported`: for facts of another tracker, of which nothing is ever sent. Each
    conversion then gets one row that says so, wherever its link leads and whatever it reports, now or later.
    """

    def __init__(self, engine: AsyncEngine, *, imported: bool = False) -> None:
        self._imported = imported
        self._put = insert_if_absent(engine, outbox)
        self._ids = packer(engine)
        # Built once: making a statement costs more than running it.
        self._begun = _begun().where(among(engine, clicks.c.id))
        self._unviewed = _unviewed().where(among(engine, clicks.c.id))

    async def of_starts(self, connection: AsyncConnection, ids: Iterable[UUID]) -> None:
        """What is owed for those of these clicks that have both facts; pixel and webhooks are those of this moment."""
        rows: list[dict[str, Any]] = []
        for found in (await connection.execute(self._begun, {IDS: self._ids(ids)})).all():
            if found.start_row is None:
                rows += self._rows(found, START_EVENT, found.id, found.started_at, found.ad_key)
            if found.click_row is None and self._is_due(found):
                rows += self._rows(found, CLICK_EVENT, found.id, found.clicked_at, found.ad_key)
        await self._write(connection, rows)

    async def of_clicks(self, connection: AsyncConnection, batch: Sequence[Click]) -> None:
        """What is owed for clicks as such, where their links report them."""
        links_of_batch = {click.link_id for click in batch}
        wanted = (
            select(links.c.id.label("link_id"), *_ROUTE)
            .join_from(links, webhooks, true(), isouter=True)
            .where(links.c.id.in_(links_of_batch))
        )
        routes = [row for row in (await connection.execute(wanted)).all() if self._is_due(row)]
        if not routes:
            return
        ids = {IDS: self._ids(click.id for click in batch)}
        unviewed = set((await connection.execute(self._unviewed, ids)).scalars())
        await self._write(
            connection,
            [
                row
                for route in routes
                for click in batch
                if click.link_id == route.link_id and click.id in unviewed
                for row in self._rows(route, CLICK_EVENT, click.id, click.at_ms, click.ad_key)
            ],
        )

    def _is_due(self, route: Any) -> bool:
        return self._imported or reports(route, CLICK_EVENT)

    def _rows(
        self, route: Any, event: str, click_id: UUID, at_ms: int, ad_key: bytes
    ) -> Iterator[dict[str, Any]]:
        """To the pixel, or nowhere and why; and to the webhook of this row, if any."""
        row = {
            "event_id": click_event_id(click_id, event),
            "event": event,
            "event_at": at_ms,
            "next_at": at_ms,
            "click_id": click_id,
            "link_id": route.link_id,
            "ad_key": ad_key,
        }
        if self._imported:
            yield row | {"lane": UNATTRIBUTED, "state": "skipped", "reason": IMPORTED}
            return
        lane, reason = to_pixel(route, event)
        yield row | {"lane": lane, "state": "skipped" if reason else "pending", "reason": reason}
        if route.webhook and reports(route, event):
            yield row | {"lane": webhook_lane(route.webhook), "state": "pending", "reason": None}

    async def _write(self, connection: AsyncConnection, rows: list[dict[str, Any]]) -> None:
        if rows:
            # In one order everywhere, as every writer locks them.
            rows.sort(key=lambda row: (row["event_id"], row["lane"]))
            await connection.execute(self._put, rows)


def _begun() -> Select[Any]:
    """Clicks with both facts, their ways, and which of their conversions have a row."""
    both = clicks.c.clicked_at.is_not(None) & clicks.c.owner_telegram_id.is_not(None)
    return (
        select(clicks.c.id, clicks.c.link_id, clicks.c.ad_key, clicks.c.clicked_at, clicks.c.started_at)
        .add_columns(*_ROUTE)
        .add_columns(_row_of(START_EVENT).label("start_row"), _row_of(CLICK_EVENT).label("click_row"))
        .join_from(clicks, links, clicks.c.link_id == links.c.id, isouter=True)
        .join(webhooks, true(), isouter=True)
        .where(both)
    )


def _unviewed() -> Select[Any]:
    """Clicks that are not erased, and whose own conversion has no row."""
    there = clicks.c.clicked_at.is_not(None) & clicks.c.erased_at.is_(None)
    return select(clicks.c.id).where(there, _row_of(CLICK_EVENT).is_(None))


def _row_of(event: str) -> Any:
    """Any row of that conversion of a click, or NULL. By the event, as nobody else may report CLICK_EVENT and START_EVENT."""
    found = select(outbox.c.event_id).where(outbox.c.click_id == clicks.c.id, outbox.c.event == event)
    # Not EXISTS, which PostgreSQL may turn into a join that reads all that there is.
    return found.limit(1).correlate(clicks).scalar_subquery()


def reports(route: Any, event: str) -> bool:
    """A link that is not (any more) in the catalog reports what a new one does."""
    return event not in ((CLICK_EVENT,) if route.events_off is None else route.events_off.split())


def to_pixel(route: Any, event: str) -> tuple[str, str | None]:
    """The lane of the link's pixel; or that it is for nowhere, and why. `route` has the link's `pixel_id` and `events_off`."""
    if not reports(route, event):
        return UNATTRIBUTED, f"the link does not report {event}"
    return (meta_lane(route.pixel_id), None) if route.pixel_id else (UNATTRIBUTED, NO_PIXEL)
