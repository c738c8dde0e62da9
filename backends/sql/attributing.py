"""Finding the clicks of conversions that only name a person, and with them the lanes that they go through."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, literal, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.among import by_index
from backends.sql.attributed import attributed_click, in_time
from backends.sql.engine import insert_if_absent
from backends.sql.owed import to_pixel
from backends.sql.schema import clicks, is_pending, links, outbox
from backends.sql.tombstones import beside_erasures
from domain.conversions import UNATTRIBUTED, Touch

NO_CLICK = "no click of this person is known"
NOT_YET = "no click of this person is known yet"


class Attributing:
    """A pass over the UNATTRIBUTED lane, in transactions of others."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._found: dict[Touch, Select[Any]] = {"last": _found("last"), "first": _found("first")}
        self._move = _moved(engine)

    async def pass_(
        self,
        connection: AsyncConnection,
        limit: int,
        *,
        now_ms: int,
        until_ms: int,
        give_up_ms: int,
        touch: Touch,
    ) -> int:
        """As `Outbox.attribute`. Nobody is erased meanwhile: a row that moves would be missed."""
        await beside_erasures(connection)
        await by_index(connection)
        rows = (await connection.execute(self._found[touch], {"now": now_ms, "limit": limit})).all()
        move, end, wait = [], [], []
        for row in rows:
            if _has_click(row):
                lane, reason = to_pixel(row, row.event)
                values = {"this": row.event_id, "of_click": row.found_click_id, "of_link": row.link_id}
                values["of_ad"] = row.ad_key
                if reason is None:
                    move.append(values | {"to_lane": lane, "now": now_ms})
                else:
                    end.append(values | {"why": reason})
            elif row.event_at < give_up_ms:
                end.append(
                    {
                        "this": row.event_id,
                        "of_click": row.click_id,
                        "of_link": row.event_link_id,
                        "of_ad": row.event_ad_key,
                        "why": NO_CLICK,
                    }
                )
            else:
                wait.append({"this": row.event_id, "until": until_ms})
        await _each(connection, self._move, move)
        await _each(connection, _REMOVE, [{"this": values["this"]} for values in move])
        await _each(connection, _END, end)
        await _each(connection, _WAIT, wait)
        return len(move)


def _has_click(row: Any) -> bool:
    """One that was named with the conversion, or that its person had started with in time."""
    if row.found_click_id is None:
        return False
    return row.click_id is not None or in_time(row.started_at, row.event_at)


def _found(touch: Touch) -> Select[Any]:
    """What is due in the lane, with the click that its person came by, the link of that and where the link leads."""
    due = (
        select(outbox.c.event_id, outbox.c.event, outbox.c.event_at, outbox.c.next_at, outbox.c.click_id)
        .add_columns(outbox.c.link_id.label("event_link_id"), outbox.c.ad_key.label("event_ad_key"))
        .add_columns(outbox.c.bot_id, outbox.c.telegram_id)
        .where(outbox.c.lane == literal(UNATTRIBUTED), is_pending, outbox.c.next_at <= bindparam("now"))
        .order_by(outbox.c.next_at)
        .limit(bindparam("limit"))
        .with_for_update(skip_locked=True)
        .subquery("due")
    )
    theirs = attributed_click(due.c.bot_id, due.c.telegram_id, due.c.event_at, touch)
    click_id = func.coalesce(due.c.click_id, theirs)
    return (
        select(*due.c, clicks.c.id.label("found_click_id"), clicks.c.link_id, clicks.c.ad_key)
        .add_columns(clicks.c.started_at, links.c.pixel_id, links.c.events_off)
        .select_from(due)
        .outerjoin(clicks, (clicks.c.id == click_id) & clicks.c.erased_at.is_(None))
        .outerjoin(links, links.c.id == clicks.c.link_id)
        .order_by(due.c.next_at)
    )


_THIS = (outbox.c.event_id == bindparam("this")) & (outbox.c.lane == literal(UNATTRIBUTED))
_REMOVE = delete(outbox).where(_THIS)
_WAIT = update(outbox).where(_THIS).values(next_at=bindparam("until"), reason=NOT_YET)
_END = (
    update(outbox)
    .where(_THIS)
    .values(
        state="skipped",
        reason=bindparam("why"),
        click_id=bindparam("of_click"),
        link_id=bindparam("of_link"),
        ad_key=bindparam("of_ad"),
    )
)


def _moved(engine: AsyncEngine) -> Any:
    """Copied into the other lane, unless it is there already, on which an UPDATE would fail."""
    changed = {
        "lane": bindparam("to_lane", type_=outbox.c.lane.type),
        "click_id": bindparam("of_click", type_=outbox.c.click_id.type),
        "link_id": bindparam("of_link", type_=outbox.c.link_id.type),
        "ad_key": bindparam("of_ad", type_=outbox.c.ad_key.type),
        "next_at": bindparam("now", type_=outbox.c.next_at.type),
        "reason": null(),
    }
    names = [column.name for column in outbox.c]
    copy = select(*(changed.get(name, outbox.c[name]) for name in names)).where(_THIS)
    return insert_if_absent(engine, outbox).from_select(names, copy)


async def _each(connection: AsyncConnection, statement: Any, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(statement, rows)
