"""A run's report as files: a page for people, CSV for spreadsheets, JSON for programs."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.page import html_page
from loadtests.run import RunReport, as_json


def write_files(report: RunReport, folder: Path) -> list[Path]:
    """Write `report.html`, `report.json`, `seconds.csv` and `totals.csv`; which they are."""
    folder.mkdir(parents=True, exist_ok=True)
    page, data = folder / "report.html", folder / "report.json"
    page.write_text(html_page(report), encoding="utf-8")
    data.write_text(json.dumps(as_json(report), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    seconds, totals = folder / "seconds.csv", folder / "totals.csv"
    _write(seconds, report.seen["seconds"])
    _write(totals, _totals(report))
    return [page, data, seconds, totals]


def _totals(report: RunReport) -> list[dict[str, Any]]:
    groups = [("request", report.seen["names"]), ("phase", report.seen["phases"])]
    return [
        {"group": group, "name": name, **figures}
        for group, found in groups
        for name, figures in found.items()
    ]


def _write(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
