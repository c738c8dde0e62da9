"""An export as CSV: RFC 4180, UTF-8, and nothing that a spreadsheet would run."""

import csv
import io
from collections.abc import Iterator
from datetime import datetime

from analytics.exports.table import Cell, Exported

BLOCK = 500
_RUNS = tuple("=+-@\t\r\n＝＋－＠")


def csv_blocks(exported: Exported) -> Iterator[bytes]:
    """The file, some hundred rows at a time."""
    yield _written([tuple(column.name for column in exported.export.columns)])
    for begin in range(0, len(exported.rows), BLOCK):
        yield _written([tuple(map(_cell, row)) for row in exported.rows[begin : begin + BLOCK]])


def safe(text: str) -> str:
    """The text, with an apostrophe before it if a spreadsheet would take it for a formula (CSV injection).

    Names of ads come from whoever makes a link to us.
    """
    return f"'{text}" if text.startswith(_RUNS) else text


def _cell(value: Cell) -> object:
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value


def _written(rows: list[tuple[object, ...]]) -> bytes:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue().encode()
