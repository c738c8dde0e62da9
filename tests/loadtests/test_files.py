"""A report is one page that fetches nothing, tables for spreadsheets, and JSON."""

from __future__ import annotations

import csv
import json
import re
from html import escape
from pathlib import Path

import pytest

from loadtests.files import write_files
from loadtests.page import html_page
from loadtests.recorder import Recorder
from loadtests.run import RunReport, phases_of
from loadtests.shapes import load_shape
from loadtests.target import Accounts
from loadtests.thresholds import Level, Thresholds, level


def a_report(*, complaints: tuple[str, ...] = (), own: bool = True) -> RunReport:
    shape = load_shape("spike").changed(scale=0.5, shorten=20)
    recorder = Recorder(shape)
    for number in range(90):
        recorder.came(number / 10, 0.3)
        recorder.answered("click", number / 10, 2.0 + number)
    recorder.failed("start <b>", 4.0, "start <b>: 503")
    seen = recorder.report() | {"cpu_seconds": 0.05}
    checks = Thresholds.read().checks(phases_of(seen))
    accounts = Accounts(
        answered=90, uncertain=0, issued=90, stored=90, started=0, complaints=list(complaints)
    )
    return RunReport(
        shape=shape,
        mix="owner",
        scale=0.5,
        shorten=20,
        machine={"cpu": "a <cpu>", "cores": 2},
        seen=seen,
        checks=checks,
        level=level(checks, late=False, books=not complaints),
        accounts=accounts if own else None,
        complaints=list(complaints),
    )


def test_the_page_asks_nobody_for_anything() -> None:
    page = html_page(a_report())
    assert not re.search(r"""(?:src|href|action|data|poster)\s*=|url\(|@import|<script|<link""", page)
    assert "://" not in page


def test_the_page_says_the_verdict_the_scale_and_what_went_wrong_as_text() -> None:
    report = a_report()
    page = html_page(report)
    assert escape(report.verdict) in page
    assert "0.5 of its rate" in page
    assert "1/20 of its time" in page
    assert "start &lt;b&gt;: 503" in page
    assert "a &lt;cpu&gt;" in page
    assert "<b>:" not in page


def test_the_page_follows_light_and_dark_and_the_width_of_a_phone() -> None:
    page = html_page(a_report())
    assert "prefers-color-scheme: dark" in page
    assert "width=device-width" in page
    assert page.count("<svg viewBox") == 2


def test_the_spike_is_shaded_in_both_charts() -> None:
    assert html_page(a_report()).count('<rect class="band"') == 2


def test_books_that_do_not_balance_are_shown_and_make_the_exit_code_1() -> None:
    report = a_report(complaints=("stored 89 < answered 90: 1 are lost",))
    assert "1 are lost" in html_page(report)
    assert (report.level, report.exit_code) == ("wrong_books", 1)


def test_of_a_target_that_is_not_ours_no_books_are_shown() -> None:
    assert "its books were not looked at" in html_page(a_report(own=False))


@pytest.mark.parametrize(("name", "rows"), [("seconds.csv", 9), ("totals.csv", 4)])
def test_the_tables_have_a_row_for_each_second_and_for_each_kind(
    tmp_path: Path, name: str, rows: int
) -> None:
    files = write_files(a_report(), tmp_path / "new")
    assert [file.name for file in files] == ["report.html", "report.json", "seconds.csv", "totals.csv"]
    with (tmp_path / "new" / name).open() as file:
        assert len(list(csv.DictReader(file))) == rows


def test_the_json_has_the_verdict_and_every_second(tmp_path: Path) -> None:
    said = json.loads(write_files(a_report(), tmp_path)[1].read_text())
    assert said["verdict"] == "missed"  # one error in 91
    assert said["scale"] == 0.5
    assert len(said["seconds"]) == 9


@pytest.mark.parametrize(
    ("verdict", "code"),
    [("held", 0), ("owner_only", 0), ("missed", 1), ("not_measurable", 1), ("wrong_books", 1)],
)
def test_only_what_held_the_owner_s_line_exits_with_0(verdict: Level, code: int) -> None:
    report = a_report()
    report.level = verdict
    assert report.exit_code == code
