"""The report as CSV: a folder with one file for each table, UTF-8, headings in the first line."""

import csv
from collections.abc import Sequence
from pathlib import Path

from analytics.report.report import Report
from analytics.report.table import Cell, Table, plain
from analytics.report.tables import tables
from domain.clock import iso

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def write_csv(report: Report, folder: Path) -> list[Path]:
    """Write them, over those of before; where they are. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "period.csv", *(folder / f"{table.name}.csv" for table in tables(report))]
    _write(paths[0], ("name", "value"), _period(report))
    for path, table in zip(paths[1:], tables(report), strict=True):
        _write(path, [each.name for each in table.columns], table_rows(table))
    return paths


def table_rows(table: Table) -> list[list[str | int | float]]:
    """Cells as spreadsheets may read them."""
    return [[harmless(cell) for cell in row] for row in table.rows]


def harmless(cell: Cell) -> str | int | float:
    """Numbers as they are. A text that a spreadsheet would take for a formula begins with an apostrophe instead: names of ads
    are what somebody on the web has written into a URL.
    """
    value = plain(cell)
    if value is None:
        return ""
    if isinstance(value, str) and (value.startswith(_FORMULAS) or value.lstrip().startswith(_FORMULAS)):
        return f"'{value}"
    return value


def _period(report: Report) -> list[tuple[str, str]]:
    return [
        ("first", report.period.first.isoformat()),
        ("last", report.period.last.isoformat()),
        ("zone", report.period.zone.key),
        ("link", report.slug or ""),
        ("made_at", iso(report.made_at_ms)),
        ("changes_waiting", str(report.books.waiting.changes)),
    ]


def _write(path: Path, headings: Sequence[str], rows: Sequence[Sequence[str | int | float]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(headings)
        writer.writerows(rows)
