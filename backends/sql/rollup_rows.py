"""What rows of the base tables count for now, as changes of sign 1: what is logged anew and what is recounted.

The triggers of migration 0008 say the same of single rows, in SQL of their own.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, String, Table, case, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.rollup_schema import click_changes, event_changes, start_changes
from backends.sql.schema import clicks, outbox, starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One base table: where its changes go, what its rows count for, and the column that they are read in the order of."""

    changes: Table
    rows: Select[Any]
    key: Column[Any]


def counted(engine: AsyncEngine) -> tuple[Counted, Counted, Counted]:
    """Clicks, starts and events, each with the columns of its changes, `seq` excepted, in their order."""
    return (
        Counted(
            changes=click_changes,
            rows=clicks_as(1, postgresql_moments=_on_postgresql(engine)),
            key=clicks.c.id,
        ),
        Counted(changes=start_changes, rows=_starts(), key=starts.c.id),
        Counted(changes=event_changes, rows=_events(engine), key=outbox.c.event_id),
    )


def said(changes: Table) -> list[Column[Any]]:
    """The columns of a change, without its number."""
    return [column for column in changes.c if column.name != "seq"]


def clicks_as(sign: int, *, postgresql_moments: bool) -> Select[Any]:
    """What clicks count for, with that sign; moments in PostgreSQL's or in SQLite's words."""
    owned = clicks.c.owner_telegram_id.is_not(None)
    same = ("country", "region", "city", "device", "os", "browser", "app", "traffic_class")
    agent = or_(
        func.coalesce(clicks.c.device, "unknown") != "unknown",
        clicks.c.robot.is_not(None),
        clicks.c.automation.is_not(None),
    )
    return select(
        literal(sign).label("sign"),
        _moment(clicks.c.id, postgresql_moments).label("moment"),
        clicks.c.link_id,
        clicks.c.ad_key,
        clicks.c.clicked_at.is_not(None).label("clicked"),
        clicks.c.erased_at.is_not(None).label("erased"),
        case((owned, clicks.c.started_at)).label("started_at"),
        *(clicks.c[name] for name in same),
        clicks.c.bot_score,
        clicks.c.fraud_score,
        clicks.c.visitor_key.is_not(None).label("has_address"),
        agent.label("has_agent"),
        clicks.c.fbclid_key.is_not(None).label("has_fbclid"),
    ).where(or_(clicks.c.clicked_at.is_not(None), owned))


def _starts() -> Select[Any]:
    return select(literal(1).label("sign"), starts.c.started_at, starts.c.bot_id, starts.c.kind)


def _events(engine: AsyncEngine) -> Select[Any]:
    same = ("link_id", "ad_key", "lane", "state", "reason", "value", "currency")
    return select(
        literal(1).label("sign"),
        outbox.c.event,
        outbox.c.event_at,
        _moment(outbox.c.click_id, _on_postgresql(engine)).label("moment"),
        *(outbox.c[name] for name in same),
    )


def _on_postgresql(engine: AsyncEngine) -> bool:
    return engine.dialect.name == "postgresql"


def _moment(click_id: Column[Any], on_postgresql: bool) -> ColumnElement[str]:  # noqa: FBT001 - of one file
    """The first 12 hexadecimal digits of a click's id: its milliseconds since the epoch."""
    if on_postgresql:
        return func.left(func.encode(func.uuid_send(click_id), "hex"), 12, type_=String)
    return func.substr(click_id, 1, 12, type_=String)
