"""Touches: what each start adds to its person's row of `bot_users`, whatever the order in which starts come (ADR 0021)."""

from collections.abc import Sequence
from operator import gt, lt
from typing import Any

from sqlalchemy import ColumnElement, case, false
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import upsert
from backends.sql.schema import bot_users
from domain.attribution import Start, StartKind


def put_touches(engine: AsyncEngine) -> Any:
    """The statement that adds starts to their people's rows: the earliest and the latest stay, ties go by click id.

    A start later than the last word about blocking unblocks.
    """
    statement = upsert(engine, bot_users)
    new, old = statement.excluded, bot_users.c
    earlier, later = new.first_started_at < old.first_started_at, new.last_started_at > old.last_started_at
    first, last = _won(new, "first"), _won(new, "last")
    return statement.on_conflict_do_update(
        index_elements=["bot_id", "telegram_id"],
        set_={
            "first_started_at": case((earlier, new.first_started_at), else_=old.first_started_at),
            "last_started_at": case((later, new.last_started_at), else_=old.last_started_at),
            **{
                name: case((first, new[name]), else_=old[name])
                for name in ("first_click_id", "first_click_at")
            },
            **{name: case((last, new[name]), else_=old[name]) for name in ("last_click_id", "last_click_at")},
            "blocked": case((new.last_started_at > old.blocked_at, false()), else_=old.blocked),
        },
    )


def touch_values(start: Start, kind: StartKind) -> dict[str, Any]:
    """What one start adds."""
    won = kind == "attributed" and start.click is not None
    click_id, click_at = (start.click.id, start.at_ms) if won and start.click else (None, None)
    return {
        "bot_id": start.owner.bot_id,
        "telegram_id": start.owner.telegram_id,
        "first_started_at": start.at_ms,
        "last_started_at": start.at_ms,
        "first_click_id": click_id,
        "first_click_at": click_at,
        "last_click_id": click_id,
        "last_click_at": click_at,
    }


def in_order(touches: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """In the order of their people: two transactions that lock the same rows cannot deadlock."""
    return sorted(touches, key=lambda values: (values["bot_id"], values["telegram_id"]))


def _won(new: Any, which: str) -> ColumnElement[bool]:
    """Whether the new start's click takes the place of the one that is there, or that is not there yet."""
    new_at, old_at = new[f"{which}_click_at"], bot_users.c[f"{which}_click_at"]
    new_id, old_id = new[f"{which}_click_id"], bot_users.c[f"{which}_click_id"]
    beyond: Any = lt if which == "first" else gt
    nearer = beyond(new_at, old_at) | ((new_at == old_at) & beyond(new_id, old_id))
    won: ColumnElement[bool] = new_at.is_not(None) & (old_at.is_(None) | nearer)
    return won
