"""Figures of each link and each ad: clicks, starts, waits and what they sold, all by the moment of the click."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Any

from analytics.figures.asked import Figure, Reader, Rows, about, answer
from analytics.figures.clicks import Counts, counted, waits_of
from analytics.figures.sold import Sold, revenue, sales, sold
from analytics.period import Period
from analytics.statements import statement
from analytics.waits import Waits
from backends.sql.reading import Question
from domain.click import Ad
from domain.conversions import Money
from domain.rollups import date_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What clicks led to: starts, waits, and events by the moment of the click (a sale of today may be of last week's click)."""

    counts: Counts
    waits: Waits
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
class LinkFigures:
    """One link. `slug` and `name` are None for a link that is not in the catalog (any more)."""

    link_id: int
    slug: str | None
    name: str | None
    earned: Earned


@dataclass(frozen=True, slots=True, kw_only=True)
class AdFigures:
    """One ad of one link. `ad` is None while nothing but the token's digest of it is known."""

    link_id: int
    slug: str | None
    ad_key: bytes
    ad: Ad | None
    earned: Earned


async def by_link(reader: Reader, period: Period, link_id: int | None = None) -> tuple[LinkFigures, ...]:
    """Every link of the catalog, and any other that has clicks; most clicks first. Raises StoreUnavailable."""
    return await answer(reader, by_link_figure(period, link_id))


def by_link_figure(period: Period, link_id: int | None = None) -> Figure[tuple[LinkFigures, ...]]:
    """As `by_link`, to be asked with others."""

    def made(clicks: Rows, sales_rows: Rows, names: Rows) -> tuple[LinkFigures, ...]:
        known = {row.id: row for row in names if link_id in {None, row.id}}
        earned = _earned(clicks, sales_rows, "link_id")
        found = [
            LinkFigures(
                link_id=each,
                slug=known[each].slug if each in known else None,
                name=known[each].name if each in known else None,
                earned=earned.get(each) or _earned_of([], []),
            )
            for each in sorted(known.keys() | earned.keys())
        ]
        return tuple(sorted(found, key=lambda one: -one.earned.counts.clicks))

    asked = about("links_clicks", period, link_id), about("sales_by_link", period, link_id), names()
    return Figure(asked, made)


async def by_ad(reader: Reader, period: Period, link_id: int | None = None) -> tuple[AdFigures, ...]:
    """Every ad that has a click, a start or a sale in the period; most clicks first. Raises StoreUnavailable."""
    return await answer(reader, by_ad_figure(period, link_id))


def by_ad_figure(period: Period, link_id: int | None = None) -> Figure[tuple[AdFigures, ...]]:
    """As `by_ad`, to be asked with others."""

    def made(clicks: Rows, sales_rows: Rows, ads: Rows, link_names: Rows) -> tuple[AdFigures, ...]:
        known = {(row.link_id, bytes(row.ad_key)): _ad(row) for row in ads}
        slugs = {row.id: row.slug for row in link_names}
        found = [
            AdFigures(
                link_id=link, slug=slugs.get(link), ad_key=key, ad=known.get((link, key)), earned=earned
            )
            for (link, key), earned in _earned(clicks, sales_rows, "link_id", "ad_key").items()
        ]
        return tuple(sorted(found, key=lambda one: (-one.earned.counts.clicks, one.link_id, one.ad_key)))

    asked = (
        about("ads_clicks", period, link_id),
        about("sales_by_ad", period, link_id),
        about("ad_names", period, link_id),
        names(),
    )
    return Figure(asked, made)


def days_by_link_figure(period: Period, link_id: int | None = None) -> Figure[dict[int, dict[date, Counts]]]:
    """Clicks and starts of each link by day; days without a click are left out."""

    def made(rows: Rows) -> dict[int, dict[date, Counts]]:
        found: dict[int, dict[date, Counts]] = defaultdict(dict)
        for row in rows:
            found[row.link_id][date_of(row.day)] = counted(row)
        return dict(found)

    return Figure((about("days_by_link", period, link_id),), made)


def names() -> Question:
    """Links by id."""
    return Question(statement("link_names"))


def _earned(clicks: Rows, sales_rows: Rows, *key: str) -> dict[Any, Earned]:
    """By key; whatever has neither clicks, starts nor events is left out."""
    of = attrgetter(*key)
    by_clicks, by_sales = _grouped(clicks, of), _grouped(sales_rows, of)
    found = {
        each: _earned_of(by_clicks.get(each, []), by_sales.get(each, [])) for each in by_clicks | by_sales
    }
    return {each: one for each, one in found.items() if one.sold or one.counts != Counts()}


def _grouped(rows: Iterable[Any], of: Any) -> dict[Hashable, list[Any]]:
    found: dict[Hashable, list[Any]] = defaultdict(list)
    for row in rows:
        found[of(row)].append(row)
    return found


def _earned_of(clicks: list[Any], sales_rows: list[Any]) -> Earned:
    return Earned(
        counts=sum((counted(row) for row in clicks if not row.trait), Counts()),
        waits=waits_of([row for row in clicks if row.trait]),
        sold=sold(sales_rows),
    )


def _ad(row: Any) -> Ad:
    return Ad(source=row.source, campaign=row.campaign, medium=row.medium, content=row.content, term=row.term)
