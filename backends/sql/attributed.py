"""Which of a person's clicks a conversion belongs to: as of when it happened, not of when it is written down (ADR 0024)."""

from typing import Any

from sqlalchemy import func, select

from backends.sql.schema import clicks
from domain.conversions import Touch

CLOCKS_MS = 600_000
"""How far a shop's clock may be behind ours: a sale told of as a little earlier than its person's first start is after it."""
_OWN = clicks.alias("own").c  # beside the clicks of the statement that it is part of


def attributed_click(bot_id: Any, telegram_id: Any, at: Any, touch: Touch) -> Any:
    """The id of the click, as a subquery; NULL when none is known.

    last: the one that the person had started with last by then. A sale that is told of late, or spooled in an outage,
    is not given to an ad that they saw afterwards. first: their first. Where none had been started with by then, it is the
    first in either case: whether that is near enough, `in_time` says.
    """
    of_person = (_OWN.owner_telegram_id == telegram_id) & (_OWN.owner_bot_id == bot_id)
    theirs = select(_OWN.id).where(of_person, _OWN.erased_at.is_(None)).limit(1)
    first = theirs.order_by(_OWN.started_at, _OWN.id).scalar_subquery()
    if touch == "first":
        return first
    by_then = theirs.where(_OWN.started_at <= at)
    last = by_then.order_by(_OWN.started_at.desc(), _OWN.id.desc()).scalar_subquery()
    return func.coalesce(last, first)


def in_time(started_at_ms: int, at_ms: int) -> bool:
    """False when the click cannot have led to it: they started with it only later."""
    return started_at_ms <= at_ms + CLOCKS_MS
