"""The report as one HTML file that asks nothing of anybody: no script, no font, no picture, no request."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from analytics.figures.sold import revenue, sales
from analytics.markup import Html, element, joined
from analytics.report import words
from analytics.report.notes import Note, notes
from analytics.report.places import TITLES
from analytics.report.report import Report
from analytics.report.table import Cell, Column, Table
from analytics.report.tables import tables

MOST_ROWS = 200


def page(report: Report) -> str:
    """The whole document."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    document = element("html", _head(report, style), _body(report), lang="en")
    return f"<!doctype html>\n{document}\n"


def _head(report: Report, style: str) -> Html:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", f"Trilha report, {words.span(report.period)}"),
        element("style", Html(style)),
    )


def _body(report: Report) -> Html:
    found = tables(report)
    whole = [table for table in found if table.name not in TITLES]
    halves = [table for table in found if table.name in TITLES]
    return element(
        "body",
        _top(report),
        element(
            "main",
            joined(map(_section, whole)),
            element("div", joined(map(_section, halves)), class_="halves"),
        ),
        element("footer", f"Made by Trilha. Days and times are those of {report.period.zone.key}."),
    )


def _top(report: Report) -> Html:
    of = f"link {report.slug}" if report.slug else "all links"
    return element(
        "header",
        element("p", element("b", "Trilha"), f" report · {of}", class_="kicker"),
        element("h1", words.span(report.period)),
        element("ul", joined(map(_note, notes(report))), class_="notes"),
        element("dl", joined(_key(*each) for each in _keys(report)), class_="key"),
    )


def _note(note: Note) -> Html:
    return element("li", note.text, class_="warns" if note.warns else None)


def _keys(report: Report) -> Iterable[tuple[str, str, str]]:
    """The figures at the top: what it is, the figure, and what belongs to it."""
    counts, match, waits = report.totals.counts, report.totals.counts.match, report.waits
    yield "clicks", words.count(counts.clicks), ""
    yield "starts", words.count(counts.users), f"{words.count(counts.alone)} known by token only"
    yield "match rate", words.share(match.share), words.interval(match)
    yield "median wait", words.seconds(waits.p50), f"95 % within {words.seconds(waits.p95)}"
    yield "sales", words.count(sales(report.events)), "; ".join(map(words.money, revenue(report.events)))
    yield "captured", words.share(report.books.capture.share), "of all tokens given out"


def _key(name: str, figure: str, more: str) -> Html:
    return element(
        "div", element("dt", name, element("small", more) if more else None), element("dd", figure)
    )


def _section(table: Table) -> Html:
    body = _told(table) if table.headline else _table(table)
    hidden = len(table.rows) - MOST_ROWS
    return element(
        "section",
        element("h2", table.title),
        body if table.rows else element("p", table.empty, class_="none"),
        element("p", table.about, class_="about") if table.about and table.rows else None,
        element("p", f"{hidden} more rows: --csv or --json", class_="about") if hidden > 0 else None,
        element("p", "What to do: ", table.advice, class_="advice") if table.advice else None,
        id=table.name,
    )


def _table(table: Table) -> Html:
    heads = [element("th", each.title, scope="col", class_=_class(each)) for each in table.headings]
    bar = element("th", element("span", ""), class_="bar") if table.bar else None
    return element(
        "div",
        element(
            "table",
            element("thead", element("tr", joined(heads), bar)),
            element("tbody", joined(_row(table, row) for row in table.rows[:MOST_ROWS])),
        ),
        class_="room",
        tabindex="0",
        role="region",
        aria_label=table.title,
    )


def _row(table: Table, row: Sequence[Cell]) -> Html:
    (first, name), *rest = table.seen(row)
    cells = [element("td", said, class_=_class(each)) for each, said in rest]
    return element(
        "tr", element("th", name, scope="row", class_=_class(first)), joined(cells), _bar(table, row)
    )


def _bar(table: Table, row: Sequence[Cell]) -> Html | None:
    part = table.part_of_bar(row)
    if part is None:
        return None
    drawn = element("rect", width=round(part * 100, 2), height=8)
    return element(
        "td",
        element("svg", drawn, viewBox="0 0 100 8", preserveAspectRatio="none", aria_hidden="true"),
        class_="bar",
    )


def _told(table: Table) -> Html:
    return element("ul", joined(_item(table, row) for row in table.rows[:MOST_ROWS]), class_="told")


def _item(table: Table, row: Sequence[Cell]) -> Html:
    cells = table.seen(row)
    head = [element("b", said) for _, said in cells[: table.headline]]
    below = [
        joined((element("dt", each.title), element("dd", said)))
        for each, said in cells[table.headline :]
        if said != words.NOTHING
    ]
    return element("li", joined(head, " "), element("dl", joined(below)) if below else None)


def _class(column: Column) -> str | None:
    return "number" if column.numeric else None
