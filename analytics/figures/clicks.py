"""Figures of clicks and starts. Both count at the moment of the click: a start belongs to the day of its click."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from analytics.figures.asked import Figure, Reader, Rows, about, about_hours, answer
from analytics.period import Period
from analytics.shares import Share
from analytics.waits import Waits
from domain.rollups import date_of, hour_ms

TraitName = Literal[
    "class", "device", "os", "browser", "app", "country", "region", "city", "bot_score", "fraud_score"
]
TRAITS: tuple[TraitName, ...] = (
    "class", "device", "os", "browser", "app", "country", "region", "city", "bot_score", "fraud_score",
)  # fmt: skip
NOT_KNOWN = ""
"""The value of a trait that is not known of a click."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Clicks, those of them that were started whenever (`starts`), and beside them starts whose click SQL does not have (yet):
    known by their token only (`alone`).
    """

    clicks: int = 0
    starts: int = 0
    alone: int = 0

    @property
    def match(self) -> Share:
        """Started ones of the clicks. Those alone are in neither: their clicks are not counted."""
        return Share.of(self.starts, self.clicks)

    @property
    def users(self) -> int:
        """Everybody who started with a token of ours."""
        return self.starts + self.alone

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            clicks=self.clicks + other.clicks,
            starts=self.starts + other.starts,
            alone=self.alone + other.alone,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """All clicks and starts of a period, and of how many starts something is known. `erased`: clicks of erased people."""

    counts: Counts
    with_address: int
    with_agent: int
    with_fbclid: int
    clicks_with_fbclid: int
    erased: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One local day."""

    day: date
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """One local hour, `at_ms` its beginning in UTC milliseconds."""

    at_ms: int
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """Clicks and starts that have this value; NOT_KNOWN is a value too."""

    value: str
    counts: Counts


async def totals(reader: Reader, period: Period, link_id: int | None = None) -> Totals:
    """Of the period, of one link or of all. Raises StoreUnavailable, as all of these do."""
    return await answer(reader, totals_figure(period, link_id))


def totals_figure(period: Period, link_id: int | None = None) -> Figure[Totals]:
    """As `totals`, to be asked with others."""
    return Figure((about("days", period, link_id), about("known", period, link_id)), _totals)


def _totals(days: Rows, known: Rows) -> Totals:
    found = {row.trait: row for row in known}

    def starts(trait: str) -> int:
        return found[trait].starts if trait in found else 0

    def clicks(trait: str) -> int:
        return found[trait].clicks if trait in found else 0

    return Totals(
        counts=sum(map(counted, days), Counts()),
        with_address=starts("address"),
        with_agent=starts("agent"),
        with_fbclid=starts("fbclid"),
        clicks_with_fbclid=clicks("fbclid"),
        erased=clicks("erased"),
    )


async def by_day(reader: Reader, period: Period, link_id: int | None = None) -> tuple[Day, ...]:
    """Every day of the period, those without a click too."""
    return await answer(reader, by_day_figure(period, link_id))


def by_day_figure(period: Period, link_id: int | None = None) -> Figure[tuple[Day, ...]]:
    """As `by_day`, to be asked with others."""

    def made(rows: Rows) -> tuple[Day, ...]:
        found = {date_of(row.day): counted(row) for row in rows}
        return tuple(Day(day=day, counts=found.get(day, Counts())) for day in period.days)

    return Figure((about("days", period, link_id),), made)


async def by_hour(reader: Reader, period: Period, link_id: int | None = None) -> tuple[Hour, ...]:
    """The hours of the period that have a click or a start, in order."""
    return await answer(reader, by_hour_figure(period, link_id))


def by_hour_figure(period: Period, link_id: int | None = None) -> Figure[tuple[Hour, ...]]:
    """As `by_hour`, to be asked with others."""

    def made(rows: Rows) -> tuple[Hour, ...]:
        return tuple(Hour(at_ms=hour_ms(row.hour), counts=counted(row)) for row in rows)

    return Figure((about_hours("hours", period, link_id),), made)


def hours_before(hours: Iterable[Hour], hour: int, zone: ZoneInfo) -> Counts:
    """Sum of those whose local hour (0 to 23) is before that: what makes an unfinished day comparable with whole ones."""
    return sum(
        (each.counts for each in hours if datetime.fromtimestamp(each.at_ms / 1000, zone).hour < hour),
        Counts(),
    )


async def traits(
    reader: Reader, period: Period, name: TraitName, link_id: int | None = None
) -> tuple[Trait, ...]:
    """Every value of that trait, most clicks first."""
    return await answer(reader, traits_figure(period, name, link_id))


def traits_figure(period: Period, name: TraitName, link_id: int | None = None) -> Figure[tuple[Trait, ...]]:
    """As `traits`, to be asked with others."""

    def made(rows: Rows) -> tuple[Trait, ...]:
        return tuple(Trait(value=row.value, counts=counted(row)) for row in rows if row.clicks or row.starts)

    return Figure((about("trait", period, link_id, trait=name),), made)


async def traits_by_day(
    reader: Reader, period: Period, name: TraitName, link_id: int | None = None
) -> dict[date, dict[str, Counts]]:
    """Every value of that trait by day; days without a click are left out."""
    return await answer(reader, traits_by_day_figure(period, name, link_id))


def traits_by_day_figure(
    period: Period, name: TraitName, link_id: int | None = None
) -> Figure[dict[date, dict[str, Counts]]]:
    """As `traits_by_day`, to be asked with others."""

    def made(rows: Rows) -> dict[date, dict[str, Counts]]:
        found: dict[date, dict[str, Counts]] = defaultdict(dict)
        for row in rows:
            found[date_of(row.day)][row.value] = counted(row)
        return dict(found)

    return Figure((about("trait_days", period, link_id, trait=name),), made)


async def waits(reader: Reader, period: Period, link_id: int | None = None) -> Waits:
    """How long the period's starts took after their clicks."""
    return await answer(reader, waits_figure(period, link_id))


def waits_figure(period: Period, link_id: int | None = None) -> Figure[Waits]:
    """As `waits`, to be asked with others."""
    return Figure((about("trait", period, link_id, trait="wait"),), waits_of)


def waits_of(rows: Rows) -> Waits:
    """From rows of the trait `wait`."""
    return Waits.of({row.value: row.starts for row in rows}, sum(row.wait_ms for row in rows))


def counted(row: Any) -> Counts:
    """The counts of a row."""
    return Counts(clicks=row.clicks, starts=row.starts, alone=row.alone)
