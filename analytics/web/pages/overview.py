"""Overview: is anything wrong, and how does today go?"""

from typing import Any

from starlette.responses import Response

from analytics.attention import matters
from analytics.figures.clicks import Counts
from analytics.statements import statement
from analytics.today import Stretch, Today, today
from analytics.web.charts import chart_data, series
from analytics.web.page import Ask, Page
from backends.sql.reading import Question
from domain.rollups import day_begins_ms, day_number

MOST_LINKS = 20


async def show(ask: Ask) -> Response:
    """The first page."""
    tools = ask.tools
    now = await today(tools.reader, ask.now_ms, ask.zone)
    (alerts,) = await tools.reader.ask(Question(statement("open_alerts")))
    found = matters(
        lanes=await tools.lanes(),
        catalog=await tools.catalog.load(),
        books=now.books,
        closed_books=now.closed_books,
        alerts=alerts,
        now_ms=ask.now_ms,
    )
    return ask.render(
        "overview",
        matters=found,
        now=now,
        hours=_hours(ask, now),
        days=_days(ask, now),
        links=now.links[:MOST_LINKS],
        more_links=max(len(now.links) - MOST_LINKS, 0),
        compared=_compared(now),
        day_number=day_number,
    )


def _compared(now: Today) -> dict[str, dict[str, float | None]]:
    """How clicks, starts and sales of today's whole hours changed, as shares of what was before."""
    return {name: _changes(now, name) for name in ("clicks", "starts", "sales")}


def _changes(now: Today, name: str) -> dict[str, float | None]:
    mine = _value(now.whole_hours, name)
    before = {"yesterday": now.yesterday, "last_week": now.last_week}
    return {key: _change(mine, _value(stretch, name)) for key, stretch in before.items()}


def _value(stretch: Stretch, name: str) -> int:
    values = {"clicks": stretch.counts.clicks, "starts": stretch.counts.starts, "sales": stretch.sales}
    return values[name]


def _change(now: int, before: int) -> float | None:
    return now / before - 1 if before else None


def _hours(ask: Ask, now: Today) -> dict[str, Any]:
    at = [hour.at_ms for hour in now.hours]
    before = [hour.counts.clicks for hour in now.hours_yesterday]
    counts = [hour.counts if hour.at_ms <= ask.now_ms else None for hour in now.hours]
    return chart_data(
        "hour",
        at,
        series(ask.t("overview.clicks"), [_of(each, "clicks") for each in counts], "bars"),
        series(ask.t("overview.starts"), [_of(each, "starts") for each in counts]),
        # The day of a clock change has an hour more or less than the other.
        series(ask.t("overview.clicks_yesterday"), [*before, *[None] * len(at)][: len(at)], "faint"),
    )


def _days(ask: Ask, now: Today) -> dict[str, Any]:
    at = [day_begins_ms(day.day, ask.zone) for day in now.days]
    return chart_data(
        "day",
        at,
        series(ask.t("overview.clicks"), [day.counts.clicks for day in now.days], "bars"),
        series(ask.t("overview.starts"), [day.counts.starts for day in now.days]),
    )


def _of(counts: Counts | None, name: str) -> int | None:
    return None if counts is None else int(getattr(counts, name))


PAGES = (Page(path="/", handler=show, menu="overview"),)
