"""Failures of reports and dashboards. Each test is named for one, and guards against it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console
from sqlalchemy import func, select

from analytics.period import local_date
from analytics.report import terminal
from analytics.report.html import page
from analytics.report.json_form import report_json
from analytics.report.report import Report
from backends.sql.ledger import SqlLedger
from backends.sql.schema import outbox, webhooks
from domain.rollups import day_begins_ms
from tests.daemon_fixture import BOT, Site
from tests.geo_files import FLAT4, make_database
from tests.making import NOW, bare_click, new_id, person_key
from tests.reporting import SAO_PAULO, fold_all, report_of

PHONE = {"User-Agent": "Mozilla/5.0 (Linux; Android 14; SM-S918B) Chrome/126.0 Mobile Safari/537.36"}
MINUTE = 60_000


class Operator:
    """Somebody who reads the report of a site."""

    def __init__(self, site: Site) -> None:
        self.site = site

    async def report(self, period: str = "7d", zone: ZoneInfo = SAO_PAULO) -> Report:
        """After everything was settled and counted."""
        await self.site.settle()
        async with self.site.engine() as engine:
            await fold_all(engine, zone)
            return await report_of(engine, self.site.clock.now_ms(), period, zone)


@pytest.fixture
def operator(site: Site) -> Operator:
    return Operator(site)


def printed(report: Report) -> str:
    """What a terminal of 100 columns shows."""
    console = Console(file=io.StringIO(), width=100)
    terminal.show(console, report)
    said: Any = console.file
    text: str = said.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    return text


async def test_f09_direct_starts_are_named_so_and_lower_no_match_rate(operator: Operator, site: Site) -> None:
    """Two clicks of which one is started, and three people who found the bot by themselves: half of the clicks match."""
    async with site.running() as door:
        token, _ = await door.click(headers=PHONE), await door.click(headers=PHONE)
        await door.start(token, 1)
        for person in (2, 3, 4):
            await door.start(None, person)
    found = await operator.report()
    assert (found.totals.counts.clicks, found.totals.counts.starts, found.totals.counts.match.share) == (
        2,
        1,
        0.5,
    )
    assert (found.started("attributed"), found.started("direct"), found.started("taken")) == (1, 3, 0)
    assert found.anomalies == ()
    assert found.faults == []
    for said in (printed(found), page(found)):
        assert (
            "3 starts were direct: people opened a bot without an ad. No click of theirs is missing." in said
        )
    assert report_json(found)["starts"]["by_bot"] == [
        {"bot_id": 1, "bot": BOT, "kind": "attributed", "starts": 1},
        {"bot_id": 1, "bot": BOT, "kind": "direct", "starts": 3},
    ]


async def test_f45_a_sale_with_three_destinations_is_one_sale_and_its_value_counts_once(
    operator: Operator, site: Site
) -> None:
    """11 for 1: whatever is joined, the report has the sales that were reported, by event, link and ad."""
    async with site.engine() as engine, engine.begin() as connection:
        for name in ("crm", "bi"):
            hook = {"name": name, "url": "https://crm.example", "secret": b"s", "created_at": 0}
            await connection.execute(webhooks.insert().values(**hook))
    async with site.running() as door:
        token = await door.click("utm_source=FB&utm_campaign=Black&utm_content=video", PHONE)
        await door.start(token, 1)
        for order in ("A", "B"):
            sale = {
                "bot": BOT, "event": "Purchase", "telegram_id": 1, "order_id": order, "value": "97.00", "currency": "BRL",
            }  # fmt: skip
            assert (await door.api.post("/v1/conversions", json=sale)).status_code == 200
    found = await operator.report()
    async with site.engine() as engine, engine.connect() as connection:
        rows = select(func.count()).select_from(outbox).where(outbox.c.event == "Purchase")
        assert (await connection.execute(rows)).scalar_one() == 6
    shown = report_json(found)
    sale = {"event": "Purchase", "events": 2, "value": "194.00", "currency": "BRL"}
    assert [each for each in shown["events"] if each["event"] == "Purchase"] == [sale]
    for earned in (*shown["links"], *shown["ads"]):
        assert (earned["sales"], earned["revenue"]) == (2, [{"value": "194.00", "currency": "BRL"}])
    lanes = {each["lane"]: each["pending"] for each in shown["deliveries"]}
    assert lanes.keys() == {"meta/1234567890", "webhook/bi", "webhook/crm"}
    assert "194.00 BRL" in printed(found)


async def test_f46_empty_places_say_that_there_is_no_geoip_database_and_what_to_do(
    operator: Operator, site: Site
) -> None:
    """Not an empty chart: `not known` with its clicks, and the command that fills it."""
    async with site.running() as door:
        await door.click(headers=PHONE)
    found = await operator.report()
    places = {each.trait: each for each in found.traits if each.trait in {"country", "region", "city"}}
    for listed in places.values():
        assert (listed.top, listed.unknown.clicks) == ((), 1)
        assert listed.advice is not None
        assert "trilha geoip fetch" in listed.advice
    for said in (printed(found), page(found)):
        assert "trilha geoip fetch" in said
        assert "not known" in said


async def test_f46_with_a_geoip_database_places_are_named_and_no_advice_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "geoip"
    folder.mkdir()
    make_database(folder / "city4.mmdb", FLAT4, kind="city4", version=4)
    site = Site(tmp_path, trusted_proxies=["127.0.0.0/8"], geoip_paths=[folder])
    await site.prepare()
    async with site.running() as door:
        for address in ("177.10.0.9", "10.9.8.7"):
            await door.click(headers=PHONE | {"X-Forwarded-For": address})
    found = await Operator(site).report()
    city = next(each for each in found.traits if each.trait == "city")
    assert [(each.value, each.counts.clicks) for each in city.top] == [("Eldorado do Sul", 1)]
    assert (city.unknown.clicks, city.advice) == (1, None)
    assert "geoip fetch" not in printed(found)


async def test_f47_days_are_the_operators_and_the_zone_stands_beside_every_figure(site: Site) -> None:
    """A click at 23:30 in São Paulo is of that day, although it is 02:30 of the next in UTC."""
    today = day_begins_ms(local_date(NOW, SAO_PAULO), SAO_PAULO)
    async with site.engine() as engine:
        late, early = bare_click(id=new_id(today - 30 * MINUTE)), bare_click(id=new_id(today + 1))
        await SqlLedger(engine, person_key).settle([late, early], [], [])
        await fold_all(engine)
        found = await report_of(engine, NOW)
        assert [day.counts.clicks for day in found.days][-2:] == [1, 1]
        assert (await report_of(engine, NOW, "today")).totals.counts.clicks == 1
    shown = report_json(found)
    assert shown["period"]["zone"] == "America/Sao_Paulo"
    assert shown["made_at"].endswith("Z")
    for said in (printed(found), page(found)):
        assert "All times and days are those of America/Sao_Paulo." in said


async def test_f47_days_that_were_cut_by_another_zone_are_named_until_they_are_counted_anew(
    operator: Operator, site: Site
) -> None:
    """The operator has changed TRILHA_TIMEZONE and not started the worker yet."""
    async with site.running() as door:
        await door.click(headers=PHONE)
    await operator.report()
    async with site.engine() as engine:
        found = await report_of(engine, site.clock.now_ms(), zone=ZoneInfo("Europe/Lisbon"))
    assert "Days were cut by America/Sao_Paulo, not Europe/Lisbon" in printed(found)
    assert "Days were cut" not in printed(await operator.report(zone=ZoneInfo("Europe/Lisbon")))
