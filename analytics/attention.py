"""What needs the operator's attention now, most pressing first: the answer to "is anything wrong?"."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from analytics.figures.books import PeriodBooks
from domain.conversions import LaneStatus
from domain.links import Catalog

Kind = Literal["bad", "warning"]
LATE_MS = 3_600_000
MANY_CHANGES = 5_000
MANY_ON_THE_WAY = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """One thing: `text` is its key among the texts of the overview, `menu` the page that shows more of it."""

    kind: Kind
    text: str
    menu: str
    values: dict[str, Any] = field(default_factory=dict)


def matters(
    *,
    lanes: Iterable[LaneStatus],
    catalog: Catalog,
    books: PeriodBooks,
    closed_books: PeriodBooks,
    alerts: Sequence[Any],
    now_ms: int,
) -> list[Matter]:
    """All of them; none when nothing is wrong. books: today's; closed_books: of days that are over."""
    found = [
        *(_alert(row) for row in alerts),
        *_of_books(books, closed_books),
        *_of_lanes(lanes, now_ms),
        *_of_catalog(catalog),
    ]
    return sorted(found, key=lambda matter: matter.kind)


def _alert(row: Any) -> Matter:
    return Matter(
        kind="bad",
        text="alert",
        menu="live",
        values={"rule": row.rule, "subject": row.subject, "since": row.since},
    )


def _of_books(books: PeriodBooks, closed: PeriodBooks) -> list[Matter]:
    found = []
    if closed.faults():
        found.append(
            Matter(
                kind="bad",
                text="books",
                menu="quality",
                values={"promised": closed.promised, "there": closed.in_sql},
            )
        )
    on_the_way = books.promised - books.in_sql
    if on_the_way > MANY_ON_THE_WAY:
        found.append(Matter(kind="warning", text="spools", menu="live", values={"clicks": on_the_way}))
    if books.waiting.changes > MANY_CHANGES:
        found.append(
            Matter(kind="warning", text="changes", menu="live", values={"changes": books.waiting.changes})
        )
    return found


def _of_lanes(lanes: Iterable[LaneStatus], now_ms: int) -> list[Matter]:
    found = []
    for lane in lanes:
        values = {"lane": lane.lane, "pending": lane.pending, "reason": lane.hold_reason or ""}
        if lane.held_at_ms is not None:
            found.append(Matter(kind="bad", text="held", menu="quality", values=values))
        elif lane.lane and lane.oldest_at_ms is not None and now_ms - lane.oldest_at_ms > LATE_MS:
            late = {"late": now_ms - lane.oldest_at_ms}
            found.append(Matter(kind="warning", text="late", menu="quality", values=values | late))
    return found


def _of_catalog(catalog: Catalog) -> list[Matter]:
    found = [
        Matter(kind="bad", text="bot", menu="links", values={"bot": bot.username, "health": bot.health})
        for bot in catalog.bots
        if not bot.fit
    ]
    found += [
        Matter(kind="bad", text="no_bot", menu="links", values={"slug": link.slug})
        for link in catalog.links
        if not link.paused and not any(member.bot.fit for member in link.pool)
    ]
    return found
