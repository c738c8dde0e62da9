"""Which of a person's clicks a conversion belongs to: as of when it happened, not of when it is written down."""

from typing import Any

from sqlalchemy import func, select

from backends.sql.schema import clicks
from domain.conversions import Touch

_OWN = clicks.alias("own").c  # beside the clicks of the statement that it is part of


def attributed_click(bot_id: Any, telegram_id: Any, at: Any, touch: Touch) -> Any:
    """The id of the click, as a subquery; NULL when none is known.

    last: the one that the person had started with last by then. A sale that is told of late, or spooled in an outage,
    is not given to an ad that they saw afterwards. first: their first. Where none had been started with by then (clocks
    differ, or `at` was rounded), it is the first in either case.
    """
    of_person = (_OWN.owner_telegram_id == telegram_id) & (_OWN.owner_bot_id == bot_id)
    theirs = select(_OWN.id).where(of_person, _OWN.erased_at.is_(None)).limit(1)
    first = theirs.order_by(_OWN.started_at, _OWN.id).scalar_subquery()
    if touch == "first":
        return first
    by_then = theirs.where(_OWN.started_at <= at)
    last = by_then.order_by(_OWN.started_at.desc(), _OWN.id.desc()).scalar_subquery()
    return func.coalesce(last, first)
