"""Quality: what kind of visits the clicks were, from where and with what. None of it changes what a visitor gets."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from starlette.responses import Response

from analytics.figures.asked import Figure, Rows, about, answers
from analytics.figures.clicks import (
    NOT_KNOWN,
    Counts,
    Trait,
    TraitName,
    totals_figure,
    traits_by_day_figure,
    traits_figure,
)
from analytics.period import Period
from analytics.shares import Share
from analytics.web.page import Ask, Page
from domain.enrichment import TRAFFIC_CLASSES
from domain.rollups import day_begins_ms

SHOWN = 12
PLACES: tuple[TraitName, ...] = ("country", "region", "city")
DEVICES: tuple[TraitName, ...] = ("device", "os", "browser", "app")
SCORES: tuple[TraitName, ...] = ("bot_score", "fraud_score")
KNOWN = ("address", "agent", "fbclid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value of a trait, or several of the least together (`others`: how many). share: of the clicks of the table."""

    value: str
    counts: Counts
    share: float
    others: int = 0


async def show(ask: Ask) -> Response:
    """The page."""
    links = sorted((await ask.tools.catalog.load()).links, key=lambda link: link.name.lower())
    link = next((link for link in links if link.slug == ask.query("link")), None)
    period, link_id = ask.period, None if link is None else link.id
    names: tuple[TraitName, ...] = ("class", *PLACES, *DEVICES, *SCORES)
    totals, by_day, known, *traits = await answers(
        ask.tools.reader,
        totals_figure(period, link_id),
        traits_by_day_figure(period, "class", link_id),
        Figure((about("known", period, link_id),), _known),
        *(traits_figure(period, name, link_id) for name in names),
    )
    found: dict[str, Sequence[Trait]] = dict(zip(names, traits, strict=True))
    classes = _in_order(found["class"], [*TRAFFIC_CLASSES, NOT_KNOWN])
    return ask.render(
        "quality",
        period=period,
        links=links,
        link=link,
        totals=totals,
        known={name: Share.of(known.get(name, 0), totals.counts.clicks - totals.erased) for name in KNOWN},
        classes=lines(classes, every=True),
        days=[(day, by_day.get(day, {})) for day in period.days],
        chart_of_days=_chart(ask, period, by_day, [line.value for line in classes]),
        tables={name: lines(found[name]) for name in (*PLACES, *DEVICES)},
        scores={name: lines(_by_number(found[name]), every=True) for name in SCORES},
        places=_places(found["country"], ask.tools.settings.geoip),
    )


def lines(traits: Iterable[Trait], *, every: bool = False) -> list[Line]:
    """As they come; of a long list the first, and the rest as one."""
    found = [trait for trait in traits if trait.counts.clicks]
    whole = sum(trait.counts.clicks for trait in found) or 1
    head, rest = (found, []) if every or len(found) <= SHOWN + 1 else (found[:SHOWN], found[SHOWN:])
    told = [Line(value=t.value, counts=t.counts, share=t.counts.clicks / whole) for t in head]
    if rest:
        counts = sum((trait.counts for trait in rest), Counts())
        told.append(Line(value="", counts=counts, share=counts.clicks / whole, others=len(rest)))
    return told


def _known(rows: Rows) -> dict[str, int]:
    return {row.trait: row.clicks for row in rows}


def _in_order(traits: Iterable[Trait], order: Sequence[str]) -> list[Trait]:
    place = {value: at for at, value in enumerate(order)}
    return sorted(traits, key=lambda trait: place.get(trait.value, len(order)))


def _by_number(traits: Iterable[Trait]) -> list[Trait]:
    return sorted(traits, key=lambda trait: int(trait.value) if trait.value.isdigit() else -1)


def _places(countries: Sequence[Trait], paths: Iterable[Path]) -> str:
    """Why there is nothing to see of places: `none` (no clicks), `missing` (no database), `unknown`; `there` if there is."""
    if any(trait.value != NOT_KNOWN for trait in countries):
        return "there"
    if not countries:
        return "none"
    return "unknown" if any(map(_has_database, paths)) else "missing"


def _has_database(path: Path) -> bool:
    return (path.suffix == ".mmdb" and path.is_file()) or any(path.glob("*.mmdb"))


def _chart(
    ask: Ask, period: Period, by_day: dict[date, dict[str, Counts]], kinds: Iterable[str]
) -> dict[str, Any]:
    days = period.days
    return {
        "x": [day_begins_ms(day, ask.zone) for day in days],
        "by": "day",
        "series": [
            {
                "label": ask.t(f"traffic.{kind or 'none'}"),
                "values": [by_day.get(day, {}).get(kind, Counts()).clicks for day in days],
                "kind": "line",
            }
            for kind in kinds
        ],
    }


PAGES = (Page(path="/quality", handler=show, menu="quality"),)
