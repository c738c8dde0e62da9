"""One period, four ways: the report, the dashboard's pages, the books' command and a plain recount of the tables agree."""

from __future__ import annotations

import asyncio
import html
import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Table, select

from analytics.period import Period
from analytics.report.json_form import report_json
from analytics.report.reading import ReportRequest, read_report
from analytics.tally import Tally
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.reading import SqlReader
from backends.sql.rollups import SqlRollups
from backends.sql.schema import accounting, clicks, outbox, starts
from backends.sql.users import SqlUsers
from backends.sql.webhooks import SqlWebhooks
from domain.attribution import ClickRef, Owner, Start
from domain.books import BookEntry
from domain.click import Ad, Click
from domain.clock import SystemClock
from domain.conversions import Conversion, Money, meta_lane, order_event_id
from domain.enrichment import Agent, Enrichment, Geo, Traffic, TrafficClass
from domain.rollups import day_begins_ms
from domain.webhooks import Webhook
from privacy.token import ad_key
from tests.making import new_id, person_key, ref
from tests.panel import Panel
from tests.system import ROOT

PIXEL = "1234567890"
CLASSES: tuple[TrafficClass, ...] = ("in_app", "human", "prefetch", "crawler", "datacenter")
ADS = [Ad("FB", f"Campanha {n}|{n}", "set|1", f"ad|{n}", "Feed") for n in range(3)]
CLICKS, LOST, ERASED = 420, 24, 5009
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000


@dataclass
class Days:
    """Two days that are over, by the operator's clock, and everything that happens on them."""

    panel: Panel
    zone: ZoneInfo
    rng: Random

    def __post_init__(self) -> None:
        today = datetime.fromtimestamp(self.panel.clock.now_ms() / 1000, self.zone).date()
        self.first, self.last = today - timedelta(days=4), today - timedelta(days=3)
        self.since = day_begins_ms(self.first, self.zone)
        self.until = day_begins_ms(self.last + timedelta(days=1), self.zone)

    @property
    def period(self) -> Period:
        return Period(first=self.first, last=self.last, zone=self.zone)

    def moment(self) -> int:
        return self.rng.randrange(self.since, self.until)


async def happen(days: Days, ledger: SqlLedger) -> None:
    """Clicks, some of which come after their starts; late starts, taken ones, direct ones; sales in two currencies."""
    rng, found = days.rng, [_click(days) for _ in range(CLICKS)]
    begun = [_start(days, click, 5000 + n % 90) for n, click in enumerate(found) if n % 3 == 0]
    taken = [_start(days, click, 9000 + n) for n, click in enumerate(found[:30]) if n % 3 == 0]
    for at in range(0, CLICKS, 70):
        batch = found[at : at + 70]
        books = Counter((click.node, click.at_ms // MINUTE_MS) for click in batch)
        # The starts of the other half are settled before their clicks.
        await ledger.settle(
            batch,
            begun[at // 3 :: 7],
            [
                BookEntry(node=node, boot=f"b{at}", minute=minute, issued=n, synced=n, visible=n, spooled=n)
                for (node, minute), n in books.items()
            ],
            enrichments={click.id: _enrichment(rng) for click in batch if rng.random() < 0.95},
        )
    await ledger.settle([], [*begun, *taken], [])
    await _lost(days, ledger)
    for person in range(40):
        owner = Owner(bot_id=1, telegram_id=12_000 + person)
        await ledger.record_start(Start.direct(owner, at_ms=days.moment(), update_id=person), None)
    for n, start in enumerate(begun[::4]):
        await ledger.record_conversion(_sale(days, start, n))
    await ledger.record_conversion(_sale(days, begun[0], 0))  # once more: the same order


async def _lost(days: Days, ledger: SqlLedger) -> None:
    """Clicks that no store took: the books have them, and a third was started all the same."""
    for n in range(LOST):
        click = _click(days)
        entry = BookEntry(node=1, boot=f"lost{n}", minute=click.at_ms // MINUTE_MS, issued=1, token_only=1)
        await ledger.settle([], [_start(days, click, 15_000 + n)] if n % 3 == 0 else [], [entry])


async def deliver(ledger_outbox: SqlOutbox, rows: list[Any]) -> None:
    """Some of what waits is sent, some refused, each for its reason."""
    waiting = [row for row in rows if row["state"] == "pending" and row["lane"] == meta_lane(PIXEL)]
    sent, refused = waiting[::2], waiting[1::4]
    now = SystemClock().now_ms()
    await ledger_outbox.sent(
        meta_lane(PIXEL), {row["event_id"]: ("fbc",) for row in sent}, trace=None, at_ms=now
    )
    await ledger_outbox.end(
        meta_lane(PIXEL), [row["event_id"] for row in refused], "rejected", reason="Invalid parameter"
    )


def _click(days: Days) -> Click:
    ad = days.rng.choice(ADS)
    params = dict(
        zip(("utm_source", "utm_campaign", "utm_medium", "utm_content", "utm_term"), ad, strict=True)
    )
    return Click(
        id=new_id(days.moment()),
        link_id=days.rng.choice((1, 1, 2)),
        node=days.rng.choice((1, 2)),
        ad_key=ad_key(ad),
        params=params,
        visitor_key=days.rng.randbytes(16),
        visitor_period=1,
        fbclid_key=days.rng.choice((None, days.rng.randbytes(16))),
    )


def _start(days: Days, click: Click, person: int) -> Start:
    waited = days.rng.choice((700, 4000, 30_000, HOUR_MS, DAY_MS))
    named = ClickRef(id=click.id, link_id=click.link_id, node=click.node, ad_key=click.ad_key)
    assert named == ref(click)
    return Start.with_token(
        Owner(bot_id=1, telegram_id=person), named, at_ms=click.at_ms + waited, update_id=None
    )


def _sale(days: Days, start: Start, number: int) -> Conversion:
    money = Money(micros=19_900_000 + number, currency="USD" if number % 5 == 0 else "BRL")
    order = f"order-{number}"
    at = min(start.at_ms + 60_000, days.until - 1)
    return Conversion(
        id=order_event_id(1, "Purchase", order),
        event="Purchase",
        at_ms=at,
        owner=start.owner,
        click=start.click,
        order_id=order,
        money=money,
    )


def _enrichment(rng: Random) -> Enrichment:
    kind = rng.choice(CLASSES)
    return Enrichment(
        geo=Geo(country="BR", region=rng.choice(("SP", "RJ", None))),
        agent=Agent(device="phone", os="Android", browser="Chrome"),
        traffic=Traffic(kind),
    )


class Counted:
    """The plain recount: what rows there are, looked at one by one."""

    def __init__(self, days: Days, rows: dict[str, list[Any]]) -> None:
        ours = [row for row in rows["clicks"] if days.since <= row["id"].int >> 80 < days.until]
        self.clicks = [row for row in ours if row["clicked_at"] is not None]
        self.started = [row for row in self.clicks if row["owner_telegram_id"] is not None]
        self.alone = [row for row in ours if row["clicked_at"] is None and row["owner_telegram_id"]]
        self.erased = [row for row in ours if row["erased_at"] is not None]
        self.starts = Counter(
            row["kind"] for row in rows["starts"] if days.since <= row["started_at"] < days.until
        )
        lanes = [row for row in rows["outbox"] if days.since <= row["event_at"] < days.until]
        self.deliveries = Counter(
            (row["lane"], row["event"], row["currency"] or "", row["state"], row["reason"] or "")
            for row in lanes
        )
        self.events: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        for row in lanes:
            if not row["lane"].startswith("webhook/"):
                sums = self.events[row["event"], row["currency"] or ""]
                sums[0] += 1
                sums[1] += row["value"] or 0

    def by(self, name: str) -> dict[Any, tuple[int, int]]:
        clicked, started = (
            Counter(row[name] for row in self.clicks),
            Counter(row[name] for row in self.started),
        )
        return {key: (clicked[key], started[key]) for key in clicked}


@pytest.mark.parametrize("tables", ["sqlite_tables", "postgres_tables"])
async def test_report_pages_books_and_a_recount_say_the_same(
    tables: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(tables)
    panel = Panel(tmp_path / "home", url)
    panel.clock = SystemClock()
    panel.users = SqlUsers(panel.engine, panel.clock)
    days = Days(panel, ZoneInfo(panel.settings.timezone), Random(11))
    async with panel.running():
        catalog = SqlCatalog(panel.engine, panel.clock)
        await catalog.add_bot("trail_test_bot")
        await catalog.add_link("um", bot="trail_test_bot", pixel=PIXEL)
        await catalog.add_link("dois", bot="trail_test_bot")  # without a pixel: its events go nowhere
        hook = Webhook(name="crm", url="https://crm.example/x", secret=b"sealed", created_at_ms=days.since)
        await SqlWebhooks(panel.engine).put(hook)
        await happen(days, SqlLedger(panel.engine, person_key))
        await deliver(SqlOutbox(panel.engine), await _rows(panel, outbox))
        await SqlErasures(panel.engine).erase(
            ERASED, person_key=person_key(ERASED), at_ms=panel.clock.now_ms()
        )
        rollups = SqlRollups(panel.engine, panel.settings.timezone, Tally)
        while await rollups.fold(97):
            pass

        tables_of = {"clicks": clicks, "starts": starts, "outbox": outbox, "accounting": accounting}
        rows = {name: await _rows(panel, table) for name, table in tables_of.items()}
        counted = Counted(days, rows)
        said = await _report(panel, days)
        _report_is(said, counted)
        browser = await panel.signed_in()
        query = f"?from={days.first}&to={days.last}"
        _ads_page_is((await browser.get(f"/ads{query}")).text, counted, rows["outbox"])
        _overview_is((await browser.get("/")).text, days, counted)
        _books_are(said["books"], rows["accounting"], await asyncio.to_thread(_accounting, panel))


async def _report(panel: Panel, days: Days) -> dict[str, Any]:
    request = ReportRequest(period=days.period, now_ms=panel.clock.now_ms())
    return report_json(await read_report(SqlReader(panel.engine), request, lambda *_: ""))


def _report_is(said: dict[str, Any], counted: Counted) -> None:
    totals = said["clicks"]
    assert (totals["clicks"], totals["starts"], totals["alone"], totals["erased"]) == (
        len(counted.clicks), len(counted.started), len(counted.alone), len(counted.erased),
    )  # fmt: skip
    assert len(counted.clicks) == CLICKS
    assert min(len(counted.alone), len(counted.erased), len(counted.started)) > 0
    kinds = ("attributed", "taken", "direct")
    assert {kind: said["starts"][kind] for kind in kinds} == {kind: counted.starts[kind] for kind in kinds}
    assert sum(day["clicks"] for day in said["days"]) == CLICKS
    assert {each["id"]: (each["clicks"], each["starts"]) for each in said["links"]} == counted.by("link_id")
    keys = defaultdict(lambda: (0, 0))
    for each in said["ads"]:
        had = keys[each["ad_key"]]
        keys[each["ad_key"]] = (had[0] + each["clicks"], had[1] + each["starts"])
    assert keys == {key.hex(): sums for key, sums in counted.by("ad_key").items()}
    events = {(each["event"], each["currency"] or ""): each for each in said["events"]}
    assert {key: each["events"] for key, each in events.items()} == {
        key: sums[0] for key, sums in counted.events.items()
    }
    values = {key: round(float(each["value"]) * 1e6) for key, each in events.items() if each["value"]}
    assert values == {key: sums[1] for key, sums in counted.events.items() if key[1]}
    assert {"BRL", "USD"} <= {currency for _, currency in counted.events}
    assert sum(counted.deliveries.values()) > sum(sums[0] for sums in counted.events.values())
    lanes = Counter(key[0] for key in counted.deliveries.elements())
    states = ("sent", "pending", "failed", "skipped")
    told = {each["lane"]: sum(each[state] for state in states) for each in said["deliveries"]}
    assert told == lanes


def _ads_page_is(page: str, counted: Counted, rows: list[Any]) -> None:
    """The numbers in the row of the totals: clicks, starts, match, two waits, sales, then money and money a click."""
    (total,) = re.findall(r"<tfoot>(.*?)</tfoot>", page, re.DOTALL)
    cells = [_text(cell) for cell in re.findall(r'<td class="number">(.*?)</td>', total, re.DOTALL)]
    mine = {row["id"] for row in counted.clicks} | {row["id"] for row in counted.alone}
    sales = [
        row
        for row in rows
        if row["event"] == "Purchase" and row["click_id"] in mine and not row["lane"].startswith("webhook/")
    ]
    assert (_number(cells[0]), _number(cells[1]), _number(cells[5])) == (
        len(counted.clicks), len(counted.started), len(sales),
    )  # fmt: skip
    shown = sorted(_number(cell) for cell in cells[6::2])
    worth = Counter()
    for row in sales:
        worth[row["currency"]] += row["value"]
    assert shown == sorted(round(micros / 10_000) for micros in worth.values())  # in cents, as shown


def _overview_is(page: str, days: Days, counted: Counted) -> None:
    """The chart of the days, from its data."""
    (text,) = re.findall(r'id="days-data">(.*?)</script>', page, re.DOTALL)
    chart = json.loads(text)
    at = [n for n, moment in enumerate(chart["x"]) if days.since <= moment < days.until]
    clicked, started = (sum(series["values"][n] or 0 for n in at) for series in chart["series"][:2])
    assert (clicked, started) == (len(counted.clicks), len(counted.started))


def _books_are(told: dict[str, Any], entries: list[Any], command: dict[str, Any]) -> None:
    for name in ("issued", "synced", "written", "token_only", "visible", "spooled"):
        assert told[name] == command[name] == sum(row[name] for row in entries), name
    assert told["issued"] == CLICKS + LOST
    assert told["token_only"] == LOST
    assert told["in_sql"] == command["in_sql"] == CLICKS
    assert (told["balanced"], command["balanced"]) == (True, True)


def _accounting(panel: Panel) -> dict[str, Any]:
    """`trilha accounting` of everything: there is nothing but those two days."""
    settings = {"TRILHA_HOME_DIR": str(panel.home), "TRILHA_SQL_URL": panel.sql_url}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "accounting", "--since", "7d", "--json"],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


async def _rows(panel: Panel, table: Table) -> list[Any]:
    async with panel.engine.connect() as connection:
        return list((await connection.execute(select(table))).mappings())


def _text(cell: str) -> str:
    return html.unescape(re.sub(r"<small>.*?</small>|<[^>]+>", "", cell, flags=re.DOTALL)).strip()


def _number(text: str) -> int:
    """The digits of a figure as it is shown; of money, its cents."""
    return int(re.sub(r"\D", "", text))
