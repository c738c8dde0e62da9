"""trilha report, as the operator's hands use it: real commands on a real file."""

from __future__ import annotations

import asyncio
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analytics.report.rules import RULES
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from cli.common import EXIT_CONFIG
from domain.books import BookEntry
from domain.click import Ad
from domain.clock import SystemClock
from privacy.token import ad_key
from tests.commands import Commands
from tests.making import PATIENT, bare_click, new_id, person_key, start_of
from tests.reporting import fold_all

DOCS = Path(__file__).parents[2] / "docs"
HOSTILE = '=HYPERLINK("http://evil.example","x")'
SCRIPT = "<script>alert(1)</script>"
PARAMS = {"utm_source": "FB", "utm_campaign": HOSTILE, "utm_medium": "-2+3", "utm_content": SCRIPT}


class Hands:
    """An operator with a link, three clicks of one ad with hostile names, and a start."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        url = f"sqlite+aiosqlite:///{home / 'trilha.db'}"
        self.commands = Commands(
            patch, capture, home_dir=str(home), sql_url=url, timezone="America/Sao_Paulo"
        )
        patch.setenv("COLUMNS", "100")
        for words in (
            ("keys", "create"),
            ("migrate",),
            ("bot-account", "add", "shop_bot"),
            ("link", "add", "promo", "--bot", "shop_bot"),
            ("link", "add", "other", "--bot", "shop_bot"),
        ):
            self.commands(*words)
        asyncio.run(self._write(url, SystemClock().now_ms()))

    async def _write(self, url: str, now_ms: int) -> None:
        engine = make_engine(url, patience=PATIENT)
        ledger = SqlLedger(engine, person_key)
        key = ad_key(Ad.of(PARAMS))
        made = [bare_click(id=new_id(now_ms), params=PARAMS, ad_key=key) for _ in range(3)]
        books = BookEntry(node=0, boot="b", minute=now_ms // 60_000, issued=3, synced=3, spooled=3)
        await ledger.settle(made, [start_of(made[0], at_ms=now_ms + 4000)], [books])
        await fold_all(engine)
        await engine.dispose()

    def __call__(self, *words: str, code: int = 0) -> str:
        said = self.commands("report", *words, code=code)
        return said.out + said.err

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Hands:
    return Hands(tmp_path / "home", monkeypatch, capsys)


class Page(HTMLParser):
    """What of a page could run or ask somebody for something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, list[str | None]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value)


def test_a_terminal_of_100_columns_shows_every_section(hands: Hands) -> None:
    said = hands()
    assert max(map(len, said.splitlines())) <= 100
    for title in (
        "What stands out",
        "Clicks and starts",
        "The books",
        "Starts by kind",
        "Not sent",
        "Links",
        "Ads",
    ):
        assert title in said
    assert "The books balance. Every change is counted." in said
    assert "33.3 % (6.1 - 79.2 %)" in said


def test_json_has_the_names_that_are_documented_and_no_others(hands: Hands) -> None:
    reference = (DOCS / "reference" / "report.md").read_text()
    section = reference.partition("## JSON")[2].partition("\n## ")[0]
    shown = hands.json("--compare", "promo,other")
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == shown.keys()
    assert (shown["clicks"]["clicks"], shown["clicks"]["starts"], shown["wait"]["p50_seconds"]) == (3, 1, 4.0)
    assert shown["books"]["balanced"] is True
    assert shown["links"][0]["link"] == "promo"


def test_every_rule_of_what_stands_out_is_documented_and_no_other() -> None:
    reference = (DOCS / "reference" / "report.md").read_text()
    section = reference.partition("## What stands out")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == RULES.keys()


def test_csv_is_a_file_for_each_table_in_which_no_name_is_a_formula(hands: Hands, tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    assert f"written: {folder / 'ads.csv'}" in hands("--csv", str(folder))
    with (folder / "ads.csv").open(newline="") as file:
        (ad,) = csv.DictReader(file)
    assert (ad["campaign"], ad["medium"], ad["clicks"]) == (f"'{HOSTILE}", "'-2+3", "3")
    for path in folder.iterdir():
        with path.open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@")) or re.match(r"-\D", cell)], (
            path
        )


def test_the_page_runs_nothing_asks_nobody_and_shows_markup_as_text(hands: Hands, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    hands("--html", str(path))
    text = path.read_text()
    found = Page(text)
    assert not found.tags & {"script", "img", "link", "iframe", "form", "object", "base"}
    assert not found.attributes.keys() & {"src", "href", "style", "action", "srcset"}
    assert not [name for name in found.attributes if name.startswith("on")]
    assert any("default-src 'none'" in (each or "") for each in found.attributes["content"])
    assert SCRIPT not in text
    assert "&lt;script&gt;" in text
    assert "url(" not in text


def test_a_period_is_given_in_days_or_dates_and_anything_else_is_refused(hands: Hands) -> None:
    assert hands.json("--since", "2026-01-01", "--until", "2026-01-31")["period"] == {
        "first": "2026-01-01",
        "last": "2026-01-31",
        "zone": "America/Sao_Paulo",
        "since": "2026-01-01T03:00:00.000Z",
        "until": "2026-02-01T03:00:00.000Z",
    }
    assert hands.json("--period", "2d")["clicks"]["clicks"] == 3
    for words in (
        ("--period", "soon"),
        ("--until", "2026-01-01"),
        ("--period", "7d", "--since", "2026-01-01"),
        ("--link", "nothing"),
        ("--compare", "promo"),
        ("--compare-ads", "promo"),
        ("--ad", "x"),
        ("--csv", "/dev/null/x"),
        ("--html", "/dev/null/x"),
    ):
        hands(*words, code=EXIT_CONFIG)
