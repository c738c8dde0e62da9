"""Which rows of the outbox an operator asks for, as SQL that uses its indexes."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, true

from backends.sql.schema import has_failed, is_pending, outbox
from domain.conversions import DeliveryState

_FAILED = frozenset(("rejected", "dead"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows of the outbox. Times are of the events, UTC milliseconds: from `since_ms` to before `until_ms`.

    states: any of these; none stands for all. reason: what the reason must contain, in any case. The last two are of
    when it was sent.
    """

    states: tuple[DeliveryState, ...] = ()
    lane: str | None = None
    event: str | None = None
    reason: str = ""
    since_ms: int = 0
    until_ms: int | None = None
    event_ids: tuple[UUID, ...] | None = None
    sent_since_ms: int | None = None
    sent_before_ms: int | None = None

    def condition(self) -> ColumnElement[bool]:
        """As SQL, in words that let the small indexes be used."""
        parts = [outbox.c.event_at >= self.since_ms, of_states(self.states)]
        if self.until_ms is not None:
            parts.append(outbox.c.event_at < self.until_ms)
        if self.lane is not None:
            parts.append(outbox.c.lane == self.lane)
        if self.event is not None:
            parts.append(outbox.c.event == self.event)
        if self.reason:
            parts.append(outbox.c.reason.icontains(self.reason, autoescape=True))
        if self.event_ids is not None:
            parts.append(outbox.c.event_id.in_(self.event_ids))
        if self.sent_since_ms is not None:
            parts.append(outbox.c.sent_at >= self.sent_since_ms)
        if self.sent_before_ms is not None:
            parts.append(outbox.c.sent_at < self.sent_before_ms)
        return and_(*parts)


def of_states(states: Sequence[DeliveryState]) -> ColumnElement[bool]:
    """States as parameters alone would keep SQLite from the indexes over what waits and what failed."""
    if not states:
        return true()
    named = outbox.c.state.in_(states)
    if set(states) == {"pending"}:
        return is_pending
    return has_failed & named if set(states) <= _FAILED else named
