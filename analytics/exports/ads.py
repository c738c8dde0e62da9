"""Exports by ad: what each has brought, and what each has sold, of the clicks of the period."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from analytics.ad_names import Label
from analytics.exports.days import COUNTS, LINK, MONEY, Rows, about_links, link_name, names_of
from analytics.exports.table import Cell, Column, Export, Scope, money, ordered
from analytics.figures.asked import about
from analytics.shares import Share
from analytics.waits import Waits
from backends.sql.reading import Question
from domain.conversions import PEOPLE

AdId = tuple[int, bytes]
_PERIOD = (
    Column(name="first_day", kind="date", meaning="the first local day of the clicks"),
    Column(name="last_day", kind="date", meaning="the last, included"),
    Column(name="zone", kind="text", meaning="the time zone of these days"),
)
_AD = (
    LINK,
    Column(name="ad_key", kind="text", meaning="the digest of the ad's names that tokens carry, in hex"),
    Column(
        name="source",
        kind="text",
        meaning="`utm_source`; empty, as the others, while only the digest is known",
    ),
    Column(name="campaign", kind="text", meaning="`utm_campaign` without the id"),
    Column(name="campaign_id", kind="text", meaning="Meta's id, of `name|id`"),
    Column(name="ad_set", kind="text", meaning="`utm_medium` without the id"),
    Column(name="ad_set_id", kind="text", meaning="its id"),
    Column(name="ad", kind="text", meaning="`utm_content` without the id"),
    Column(name="ad_id", kind="text", meaning="its id"),
    Column(name="placement", kind="text", meaning="`utm_term`"),
)
_RATES = (
    Column(name="clicks_of_people", kind="int", meaning="clicks of the classes human and in_app"),
    Column(
        name="match_rate",
        kind="float",
        meaning="share of clicks that were started, 0 to 1; empty without a click",
    ),
    Column(name="match_low", kind="float", meaning="lower end of its 95 % interval (Wilson)"),
    Column(name="match_high", kind="float", meaning="upper end"),
    Column(
        name="wait_p50", kind="float", meaning="median seconds from click to start, interpolated in its bin"
    ),
    Column(name="wait_p95", kind="float", meaning="95th percentile of the same"),
)


def _asks_ads(scope: Scope) -> tuple[Question, ...]:
    def trait(name: str) -> Question:
        return about("ads_trait", scope.period, scope.link_id, trait=name)

    return about("ads_counts", scope.period, scope.link_id), trait("class"), trait("wait"), about_links()


def _asks_sales(scope: Scope) -> tuple[Question, ...]:
    return about("export_sales", scope.period, scope.link_id), about_links()


def _ads(scope: Scope, rows: Rows, classes: Rows, waits: Rows, links: Rows) -> Iterator[tuple[Cell, ...]]:
    names, kinds, bins = names_of(links), _by_ad(classes, "clicks"), _by_ad(waits, "starts")
    return ordered(
        (
            *_head(scope, row, names),
            row.clicks,
            row.starts,
            row.alone,
            *_rates(row, kinds[_ad_id(row)], bins[_ad_id(row)]),
        )
        for row in rows
    )


def _sales(scope: Scope, rows: Rows, links: Rows) -> Iterator[tuple[Cell, ...]]:
    names = names_of(links)
    return ordered(
        (*_head(scope, row, names), row.event, row.currency, row.events, money(row.micros)) for row in rows
    )


def _head(scope: Scope, row: Any, names: dict[int, str]) -> tuple[Cell, ...]:
    period = scope.period
    labels = [Label.of(getattr(row, name) or "") for name in ("campaign", "medium", "content")]
    return (
        period.first,
        period.last,
        period.zone.key,
        link_name(names, row.link_id),
        bytes(row.ad_key).hex(),
        row.source or "",
        *(text for label in labels for text in (label.name, label.id)),
        row.term or "",
    )


def _rates(row: Any, classes: Mapping[str, int], bins: Mapping[str, int]) -> tuple[Cell, ...]:
    match, waits = Share.of(row.starts, row.clicks), Waits.of(bins, 0)
    people = sum(classes.get(kind, 0) for kind in PEOPLE)
    return (people, match.share, match.low, match.high, waits.p50, waits.p95)


def _by_ad(rows: Rows, counted: str) -> dict[AdId, dict[str, int]]:
    found: dict[AdId, dict[str, int]] = defaultdict(dict)
    for row in rows:
        found[_ad_id(row)][row.value] = getattr(row, counted)
    return found


def _ad_id(row: Any) -> AdId:
    return row.link_id, bytes(row.ad_key)


ADS = Export(name="ads", columns=(*_PERIOD, *_AD, *COUNTS, *_RATES), asks=_asks_ads, made=_ads)
SALES = Export(
    name="sales",
    columns=(
        *_PERIOD,
        *_AD,
        Column(name="event", kind="text", meaning="Purchase, Lead …"),
        *MONEY,
    ),
    asks=_asks_sales,
    made=_sales,
)
