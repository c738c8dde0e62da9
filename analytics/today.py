"""Today so far, beside yesterday and the same day last week until the same hour."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from analytics.figures.asked import Reader, answers
from analytics.figures.books import PeriodBooks, books_figure
from analytics.figures.clicks import Counts, Day, Hour, by_day_figure, by_hour_figure, hours_before
from analytics.figures.events import EventHour, events_by_hour_figure
from analytics.figures.links import LinkFigures, by_link_figure
from analytics.figures.sold import Sold, revenue, sales
from analytics.period import Period
from domain.conversions import Money
from domain.rollups import HOUR_MS, day_begins_ms, hour_ms, hour_of

BACK_DAYS = (1, 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What counts from a day's midnight until some hour of it."""

    counts: Counts
    sold: tuple[Sold, ...]

    @property
    def sales(self) -> int:
        """How many purchases."""
        return sales(self.sold)

    @property
    def revenue(self) -> tuple[Money, ...]:
        """What they were worth, one amount for each currency."""
        return revenue(self.sold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """As of one moment. whole_hours: today's hours that are over, which yesterday's and last week's stretches have too."""

    so_far: Stretch
    whole_hours: Stretch
    yesterday: Stretch
    last_week: Stretch
    until_ms: int
    hours: tuple[Hour, ...]
    hours_yesterday: tuple[Hour, ...]
    days: tuple[Day, ...]
    links: tuple[LinkFigures, ...]
    books: PeriodBooks
    closed_books: PeriodBooks

    @property
    def any_clicks(self) -> bool:
        """True when the last 30 days have a click or a start."""
        return any(day.counts != Counts() for day in self.days)


async def today(reader: Reader, now_ms: int, zone: ZoneInfo) -> Today:
    """All of it. closed_books: of the seven days before today. Raises StoreUnavailable."""
    days = [
        Period.of("today", now_ms, zone).before(back) if back else Period.of("today", now_ms, zone)
        for back in (0, *BACK_DAYS)
    ]
    week = Period(first=days[0].first - timedelta(days=7), last=days[0].first - timedelta(days=1), zone=zone)
    hour = datetime.fromtimestamp(now_ms / 1000, zone).hour
    found = await answers(
        reader,
        *(by_hour_figure(day) for day in days),
        *(events_by_hour_figure(day) for day in days),
        by_day_figure(Period.of("30d", now_ms, zone)),
        by_link_figure(days[0]),
        books_figure(days[0]),
        books_figure(week),
    )
    hours, sold = found[0:3], found[3:6]
    return Today(
        so_far=_until(24, hours[0], sold[0], zone),
        whole_hours=_until(hour, hours[0], sold[0], zone),
        yesterday=_until(hour, hours[1], sold[1], zone),
        last_week=_until(hour, hours[2], sold[2], zone),
        until_ms=hour_ms(hour_of(now_ms, zone)),
        hours=every_hour(hours[0], days[0]),
        hours_yesterday=every_hour(hours[1], days[1]),
        days=found[6],
        links=found[7],
        books=found[8],
        closed_books=found[9],
    )


def every_hour(found: Iterable[Hour], day: Period) -> tuple[Hour, ...]:
    """Each hour of a day, those without a click too."""
    known = {each.at_ms: each.counts for each in found}
    starts = range(day_begins_ms(day.first, day.zone), day.until_ms, HOUR_MS)
    return tuple(Hour(at_ms=at, counts=known.get(at, Counts())) for at in starts)


def _until(hour: int, hours: Iterable[Hour], sold: Iterable[EventHour], zone: ZoneInfo) -> Stretch:
    rows = (each for each in sold if datetime.fromtimestamp(each.at_ms / 1000, zone).hour < hour)
    return Stretch(
        counts=hours_before(hours, hour, zone), sold=tuple(one for each in rows for one in each.sold)
    )
