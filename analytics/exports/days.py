"""Exports by day: clicks and starts of each link, their traffic classes, and conversions on each of their ways."""

from collections.abc import Iterator, Sequence
from typing import Any

from analytics.exports.table import Cell, Column, Export, Scope, money, ordered, the_day
from analytics.figures.asked import about
from analytics.statements import statement
from backends.sql.reading import Question

DAY = (
    Column(name="day", kind="date", meaning="the local day, in the operator's time zone"),
    Column(name="day_begins", kind="time", meaning="the moment it begins at, UTC"),
    Column(name="zone", kind="text", meaning="that time zone"),
)
LINK = Column(name="link", kind="text", meaning="the link's slug; its number once it is deleted")
COUNTS = (
    Column(name="clicks", kind="int", meaning="clicks"),
    Column(name="starts", kind="int", meaning="starts of clicks of that day, whenever they came"),
    Column(name="starts_alone", kind="int", meaning="starts beside these whose click SQL does not have"),
)
MONEY = (
    Column(name="currency", kind="text", meaning="ISO 4217; empty without a value"),
    Column(name="events", kind="int", meaning="how many"),
    Column(name="value", kind="money", meaning="their value, in that currency"),
)
Rows = Sequence[Any]


def names_of(rows: Rows) -> dict[int, str]:
    """Slugs by link."""
    return {row.id: row.slug for row in rows}


def link_name(names: dict[int, str], link_id: int) -> str:
    """The slug, or the number of a link that is not there."""
    return names.get(link_id, str(link_id))


def _asks(name: str, **values: Any) -> Any:
    def asks(scope: Scope) -> tuple[Question, ...]:
        return about(name, scope.period, scope.link_id, **values), about_links()

    return asks


def about_links() -> Question:
    """All links, by number."""
    return Question(statement("link_names"))


def _day(row: Any, scope: Scope, names: dict[int, str]) -> tuple[Cell, ...]:
    return (*the_day(row.day, scope), scope.period.zone.key, link_name(names, row.link_id))


def _days(scope: Scope, rows: Rows, links: Rows) -> Iterator[tuple[Cell, ...]]:
    names = names_of(links)
    return ordered((*_day(row, scope, names), row.clicks, row.starts, row.alone) for row in rows)


def _classes(scope: Scope, rows: Rows, links: Rows) -> Iterator[tuple[Cell, ...]]:
    names = names_of(links)
    return ordered((*_day(row, scope, names), row.value, row.clicks, row.starts, row.alone) for row in rows)


def _conversions(scope: Scope, rows: Rows, links: Rows) -> Iterator[tuple[Cell, ...]]:
    names = names_of(links)
    return ordered(
        (
            *_day(row, scope, names),
            row.lane,
            row.event,
            row.state,
            row.reason,
            row.currency,
            row.events,
            money(row.micros),
        )
        for row in rows
    )


DAYS = Export(name="days", columns=(*DAY, LINK, *COUNTS), asks=_asks("export_days", trait=""), made=_days)
CLASSES = Export(
    name="classes",
    columns=(
        *DAY,
        LINK,
        Column(name="class", kind="text", meaning="traffic class; empty while it is not known"),
        *COUNTS,
    ),
    asks=_asks("export_days", trait="class"),
    made=_classes,
)
CONVERSIONS = Export(
    name="conversions",
    columns=(
        *DAY,
        LINK,
        Column(
            name="lane", kind="text", meaning="where it goes: `meta/PIXEL`, `webhook/NAME`; empty: nowhere"
        ),
        Column(name="event", kind="text", meaning="Purchase, Lead …"),
        Column(name="state", kind="text", meaning="pending, sent, rejected, dead or skipped"),
        Column(name="reason", kind="text", meaning="why, of the last three"),
        *MONEY,
    ),
    asks=_asks("export_conversions"),
    made=_conversions,
)
