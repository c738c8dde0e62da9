"""The page of ads over real HTTP and real SQL: its figures are the rollups' and a recount's, whatever way they are cut."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from sqlalchemy import text

from analytics.ad_names import Label
from analytics.web.pages.ads import ROWS
from domain.click import Ad
from tests.panel import Browser, Panel
from tests.trading import Trade

NASTY = '<script>alert("x")</script>'
HOUR = 3_600_000


@dataclass
class Cells(HTMLParser):
    """The rows of the table whose class is `ads`, as texts; the small figures are left out."""

    rows: list[list[str]] = field(default_factory=list)
    _depth: int = 0
    _small: int = 0
    _in: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self._in = True
            self.rows[-1].append("")
        self._small += tag in {"small", "svg"}

    def handle_endtag(self, tag: str) -> None:
        self._in = self._in and tag not in {"td", "th"}
        self._small -= tag in {"small", "svg"}

    def handle_data(self, data: str) -> None:
        if self._in and not self._small:
            self.rows[-1][-1] += data.strip()


@dataclass
class Market:
    """A dashboard, somebody at it, and the trade that it shows."""

    panel: Panel
    browser: Browser
    trade: Trade

    async def table(self, query: str = "") -> list[dict[str, str]]:
        """The rows of the page by their headings, the totals last."""
        page = await self.browser.get(f"/ads?period=7d{query}")
        assert page.status_code == 200, page.text
        found = re.search(r'<table class="ads">\s*<caption.*?</table>', page.text, re.DOTALL)
        assert found, page.text
        cells = Cells()
        cells.feed(found[0])
        head, *rows = cells.rows
        return [dict(zip(head[1:], row[1:], strict=True)) for row in rows]

    async def counted(self, statement: str) -> Any:
        async with self.panel.engine.connect() as connection:
            return (await connection.execute(text(statement))).one()


@pytest_asyncio.fixture(params=["sqlite_tables", "postgres_tables"])
async def market(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Market]:
    """Two campaigns of two links, one with two ad sets; an ad that no dictionary has; sales in two currencies."""
    url: str = request.getfixturevalue(request.param)
    async with Panel(tmp_path / "home", url).running() as panel:
        trade = Trade(panel.engine, panel.clock)
        await trade.open("promo", "other")
        yield Market(panel, await panel.signed_in(), trade)


def ad(campaign: str = "Natal|1202100001", medium: str = "Aberto|1202100011", content: str = "Vídeo") -> Ad:
    return Ad("FB", campaign, medium, content, "Feed")


async def filled(market: Market) -> None:
    """Some of everything."""
    trade = market.trade
    first = ad()
    second = ad(medium="Parecido|1202100012")
    renamed = ad("Natal (novo)|1202100001", content="Foto")
    other = ad("Sem id")
    people = await trade.clicks(first, 10)
    await trade.clicks(first, 5, kind="crawler")
    await trade.clicks(second, 4, ago_ms=24 * HOUR)
    more = await trade.clicks(renamed, 6, ago_ms=48 * HOUR)
    elsewhere = await trade.clicks(other, 7, link_id=2)
    await trade.clicks(Ad(), 3)
    await trade.start(trade.click(ad("Desconhecido")))
    for click in people[:4]:
        person = await trade.start(click)
        await trade.sell(click, person, 149_900_000)
    person = await trade.start(more[0], after_ms=90_000)
    await trade.sell(more[0], person, 10_500_000, "USD")
    await trade.start(elsewhere[0])
    await trade.fold()


async def test_totals_are_the_sum_of_the_rows_the_rollups_and_a_recount(market: Market) -> None:
    await filled(market)
    *rows, total = await market.table()
    assert [(row["Name"], row["Clicks"]) for row in rows] == [
        ("Natal", "25"),
        ("Sem id", "7"),
        ("(no name)", "3"),
        ("Ad not in the dictionary", "0"),
    ]
    for column in ("Clicks", "Starts", "Conversions"):
        assert sum(int(row[column]) for row in rows) == int(total[column])
    rolled = await market.counted("SELECT SUM(clicks), SUM(starts) FROM rollup_ads WHERE trait = ''")
    asked = await market.counted(
        "SELECT COUNT(clicked_at), SUM(CASE WHEN owner_bot_id IS NULL THEN 0 ELSE 1 END) FROM clicks"
        " WHERE clicked_at IS NOT NULL"
    )
    assert (int(total["Clicks"]), int(total["Starts"])) == tuple(map(int, rolled)) == tuple(map(int, asked))
    assert total["Clicks"] == "35"
    sold = await market.counted("SELECT COUNT(*), SUM(value) FROM outbox WHERE currency = 'BRL'")
    assert total["Value BRL"] == f"R$\u00a0{int(sold[1]) / 1_000_000:,.2f}" == "R$\u00a0599.60"
    assert total["Value USD"] == "US$\u00a010.50"
    assert total["Conversions"] == "5"
    assert total["BRL per click"] == "R$\u00a017.13"


async def test_one_goes_down_from_campaign_to_ad_set_to_ad_and_the_sums_stay(market: Market) -> None:
    await filled(market)
    campaign = f"&campaign={quote(Label.of('x|1202100001').key)}"
    *sets, total = await market.table(campaign)
    assert {row["Name"]: row["Clicks"] for row in sets} == {"Aberto": "21", "Parecido": "4"}
    assert total["Clicks"] == "25"
    *ads, total = await market.table(f"{campaign}&medium={quote(Label.of('x|1202100011').key)}")
    assert {row["Name"]: row["Clicks"] for row in ads} == {"Vídeo": "15", "Foto": "6"}
    assert {row["Name"]: row["People"] for row in ads} == {"Vídeo": "66.7%", "Foto": "100.0%"}
    assert (total["Clicks"], total["People"]) == ("21", "76.2%")
    page = (await market.browser.get(f"/ads?{campaign[1:]}")).text
    assert "All campaigns" in page
    assert 'aria-current="location"' in page


async def test_a_link_and_another_event_can_be_chosen(market: Market) -> None:
    await filled(market)
    *rows, total = await market.table("&link=other")
    assert [row["Clicks"] for row in rows] == ["7"]
    assert total["Starts"] == "1"
    total = (await market.table("&event=ViewContent"))[-1]
    assert total["Conversions"] == "6"
    assert not [column for column in total if column.startswith("Value")]


async def test_waits_are_read_off_the_bins(market: Market) -> None:
    """Four starts after 4 s and one after 90 s: the median lies in the bin that ends at 5 s, 95 % within 120 s."""
    await filled(market)
    rows = {row["Clicks"]: row for row in await market.table()}
    assert rows["25"]["Median wait"].startswith("4 s") or rows["25"]["Median wait"].startswith("5 s")
    assert rows["25"]["95 % within"].startswith("1 min")
    assert rows["3"]["Median wait"] == "–"


@pytest.mark.parametrize("column", ["name", "clicks", "people", "starts", "rate", "p50", "p95", "events"])
async def test_every_column_sorts_both_ways_without_scripts(market: Market, column: str) -> None:
    await filled(market)
    down = [row["Name"] for row in (await market.table(f"&sort={column}&order=down"))[:-1]]
    up = [row["Name"] for row in (await market.table(f"&sort={column}&order=up"))[:-1]]
    assert down == up[::-1]
    page = (await market.browser.get(f"/ads?sort={column}&order=down")).text
    assert page.count('aria-sort="descending"') == 1


async def test_money_sorts_too_and_rows_without_it_come_last(market: Market) -> None:
    await filled(market)
    rows = await market.table("&sort=value.BRL&order=down")
    values = [row["Value BRL"] for row in rows[:-1]]
    assert values == sorted(values, key=lambda text: -float(text.split("\u00a0")[1]))


async def test_a_long_table_has_pages_whose_rows_are_all_of_it_once(market: Market) -> None:
    trade = market.trade
    for number in range(ROWS + 7):
        await trade.clicks(ad(f"C{number:03}"), 1)
    await trade.fold()
    pages = [await market.table(f"&sort=name&page={number}") for number in (1, 2)]
    assert [len(page) - 1 for page in pages] == [ROWS, 7]
    names = [row["Name"] for page in pages for row in page[:-1]]
    assert names == [f"C{number:03}" for number in range(ROWS + 7)]
    assert {page[-1]["Clicks"] for page in pages} == {str(ROWS + 7)}
    assert (await market.table("&sort=name&page=99"))[0]["Name"] == "C050"


async def test_two_rows_are_compared_with_newcombes_interval(market: Market) -> None:
    trade = market.trade
    good, bad = ad("Bom"), ad("Ruim")
    for click in (await trade.clicks(good, 40))[:30]:
        await trade.start(click)
    for click in (await trade.clicks(bad, 40))[:5]:
        await trade.start(click)
    await trade.fold()
    page = (await market.browser.get("/ads?pick=n%3ABom&pick=n%3ARuim")).text
    assert "Bom is better" in page
    assert re.search(r"-62\.50 points|−62\.50 points", page), page
    assert "Choose exactly two" in (await market.browser.get("/ads?pick=n%3ABom")).text


async def test_what_ads_are_called_is_shown_as_text(market: Market) -> None:
    trade = market.trade
    key = Ad(NASTY, f"{NASTY}|1202100001", f'"{NASTY}', NASTY, NASTY)
    await trade.clicks(key, 1)
    await trade.fold()
    for query in ("", "?campaign=i%3A1202100001", f"?campaign={quote(NASTY)}&event={quote(NASTY)}"):
        page = (await market.browser.get(f"/ads{query}")).text
        assert NASTY not in page
    assert "&lt;script&gt;" in (await market.browser.get("/ads")).text


async def test_starts_that_are_known_by_their_token_only_are_told_and_in_no_rate(market: Market) -> None:
    trade = market.trade
    key = ad()
    await trade.clicks(key, 2)
    await trade.start(trade.click(key))
    await trade.fold()
    assert (await market.table())[-1]["Match rate"] == "0.0%"
    assert "1 more starts are known by their token only" in (await market.browser.get("/ads")).text


async def test_without_clicks_the_page_says_what_to_do(market: Market) -> None:
    assert "utm_campaign={{campaign.name}}|{{campaign.id}}" in (await market.browser.get("/ads")).text


async def test_the_exports_are_files_of_the_same_figures(market: Market) -> None:
    await filled(market)
    answer = await market.browser.get("/export/ads.csv?period=7d&link=promo")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "trilha-ads-" in answer.headers["content-disposition"]
    lines = answer.text.splitlines()
    clicks = lines[0].split(",").index("clicks")
    assert sum(int(line.split(",")[clicks]) for line in lines[1:]) == 28
    parquet = await market.browser.get("/export/ads.parquet?period=7d")
    assert parquet.content[:4] == parquet.content[-4:] == b"PAR1"
    for missing in ("/export/people.csv", "/export/ads.xlsx", "/export/ads.csv?link=nope"):
        assert (await market.browser.get(missing)).status_code == 404
    assert (await market.panel.browser().get("/export/ads.csv")).status_code == 303
