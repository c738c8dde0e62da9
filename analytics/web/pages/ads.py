"""Ads: campaigns, their ad sets, ads and placements, with what each has brought. All by the query of the URL."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from analytics.ad_names import LEVELS, Label
from analytics.ads import AdRow, AdTable, Sums, Wanted, add_traits, read_ads
from analytics.shares import Difference, Share, newcombe
from analytics.web.page import Ask, Page
from domain.conversions import PURCHASE
from domain.links import Link

ROWS = 50
MANY = 20_000
"""Ads times days from which on people and waits of all rows are read on demand only: beyond it they take the longest."""
_OF_TRAITS = ("people", "p50", "p95")
_OF_ALL = ("clicks", *_OF_TRAITS[:1], "starts", "rate", *_OF_TRAITS[1:], "events")
Sort = Callable[[AdRow], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column: what sorts by it, its name, where a click on it leads, and how it is sorted now (None: it is not)."""

    key: str
    label: str
    url: str
    sorted: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A row as it is shown: with where one gets from it, and whether it is chosen to be compared."""

    row: AdRow
    url: str | None
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two rows, and the difference of the second to the first: of match rates, and of conversions for each click."""

    first: AdRow
    second: AdRow
    match: Difference | None
    sold: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """How rows are sorted: a column, and which end comes first."""

    key: str
    down: bool


async def show(ask: Ask) -> Response:
    """The page."""
    links = sorted((await ask.tools.catalog.load()).links, key=lambda link: link.name.lower())
    wanted = _wanted(ask, links)
    table = await read_ads(ask.tools.reader, wanted)
    order = _order_of(ask, table)
    every = order.key in _OF_TRAITS or bool(ask.query("details")) or _is_small(table, wanted)
    if every:
        await add_traits(ask.tools.reader, wanted, table, table.rows)
    rows = sorted(table.rows, key=_sort_by(order.key), reverse=order.down)
    page, pages = _page_of(ask, len(rows))
    shown = rows[(page - 1) * ROWS : page * ROWS]
    if not every:
        few = shown if sum(len(row.ads) for row in shown) * len(wanted.period.days) <= MANY else []
        await add_traits(ask.tools.reader, wanted, table, few)
    chosen = ask.request.query_params.getlist("pick")
    return ask.render(
        "ads",
        wanted=wanted,
        table=table,
        links=links,
        level=LEVELS[wanted.level],
        headings=_headings(ask, table, order),
        rows=[Shown(row=row, url=_below(ask, row, wanted), chosen=row.label.key in chosen) for row in shown],
        details=any(row.sums.classes is not None for row in shown),
        compared=_compared([row for row in table.rows if row.label.key in chosen]),
        chosen=len(chosen),
        page=page,
        pages=pages,
        trail=_trail(ask, table),
        per_click=per_click,
        sold_share=sold_share,
    )


def per_click(sums: Sums, currency: str) -> float | None:
    """Micros of that currency for each click."""
    return sums.micros.get(currency, 0) / sums.clicks if sums.clicks else None


def _wanted(ask: Ask, links: list[Link]) -> Wanted:
    link = next((link for link in links if link.slug == ask.query("link")), None)
    if ask.query("link") and link is None:
        ask.notice("warning", "ads.no_such_link")
    path = []
    for level in LEVELS[:-1]:
        if not ask.query(level):
            break
        path.append(ask.query(level))
    event = ask.query("event") or PURCHASE
    return Wanted(period=ask.period, link_id=None if link is None else link.id, event=event, path=tuple(path))


def _is_small(table: AdTable, wanted: Wanted) -> bool:
    return table.ads * len(wanted.period.days) <= MANY


def _order_of(ask: Ask, table: AdTable) -> _Order:
    key = ask.query("sort", "clicks")
    if key not in {"name", *_OF_ALL, *_money_keys(table)}:
        key = "clicks"
    return _Order(key=key, down=ask.query("order", "down" if key != "name" else "up") != "up")


def _money_keys(table: AdTable) -> list[str]:
    return [f"{kind}.{currency}" for currency in table.currencies for kind in ("value", "per_click")]


def _sort_by(key: str) -> Sort:
    """By that column; rows without a figure are below those that have one, and names tell equal ones apart."""
    figure = _figure_of(key)

    def sort(row: AdRow) -> Any:
        value = figure(row)
        return (value is not None, 0 if value is None else value, row.label.name.lower(), row.label.key)

    return sort


def _figure_of(key: str) -> Sort:
    kind, _, currency = key.partition(".")
    figures: dict[str, Sort] = {
        "name": lambda row: row.label.name.lower() or None,
        "clicks": lambda row: row.sums.clicks,
        "people": lambda row: row.sums.people.share,
        "starts": lambda row: row.sums.starts,
        "rate": lambda row: row.sums.match.share,
        "p50": lambda row: row.sums.took.p50,
        "p95": lambda row: row.sums.took.p95,
        "events": lambda row: row.sums.events,
        "value": lambda row: row.sums.micros.get(currency, 0),
        "per_click": lambda row: per_click(row.sums, currency),
    }
    return figures[kind]


def _headings(ask: Ask, table: AdTable, order: _Order) -> list[Heading]:
    def heading(key: str, label: str) -> Heading:
        now = None if key != order.key else "descending" if order.down else "ascending"
        default = "up" if key == "name" else "down"
        turned = {"descending": "up", "ascending": "down"}.get(now or "", default)
        return Heading(key=key, label=label, url=ask.page_url(sort=key, order=turned, page=None), sorted=now)

    plain = [heading(key, ask.t(f"ads.column.{key}")) for key in _OF_ALL]
    money = [
        heading(key, ask.t(f"ads.column.{key.partition('.')[0]}", currency=key.partition(".")[2]))
        for key in _money_keys(table)
    ]
    return [heading("name", ask.t("ads.column.name")), *plain, *money]


def _page_of(ask: Ask, rows: int) -> tuple[int, int]:
    pages = max(1, -(-rows // ROWS))
    asked = ask.query("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    return min(max(1, number), pages), pages


def _below(ask: Ask, row: AdRow, wanted: Wanted) -> str | None:
    if not row.label.in_dictionary or len(wanted.path) > wanted.level or wanted.level == len(LEVELS) - 1:
        return None
    return _url(ask, {LEVELS[wanted.level]: row.label.key})


def _trail(ask: Ask, table: AdTable) -> list[tuple[Label, str]]:
    """Where one is, with the way back to each place."""
    places = []
    for depth, label in enumerate(table.trail):
        gone: dict[str, str | None] = dict.fromkeys(LEVELS[depth + 1 :])
        places.append((label, _url(ask, gone)))
    return places


def _url(ask: Ask, changes: dict[str, Any]) -> str:
    """This page elsewhere in the tree: on the first page, nothing chosen."""
    query = dict(ask.request.query_params) | changes | {"page": None, "pick": None}
    kept = {name: value for name, value in query.items() if value is not None}
    return f"/ads?{urlencode(kept)}" if kept else "/ads"


def _compared(rows: list[AdRow]) -> Compared | None:
    if len(rows) != 2:
        return None
    first, second = sorted(rows, key=lambda row: -row.sums.clicks)
    return Compared(
        first=first,
        second=second,
        match=newcombe(first.sums.match, second.sums.match),
        sold=newcombe(sold_share(first.sums), sold_share(second.sums)),
    )


def sold_share(sums: Sums) -> Share:
    """Conversions for each click, as a share. Of an event that a click may have several of, it is one at most."""
    return Share.of(min(sums.events, sums.clicks), sums.clicks)


PAGES = (Page(path="/ads", handler=show, menu="ads"),)
