"""A trace has all that SQL has of a click, a person or an order, on SQLite and on PostgreSQL, and reads no table through."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.owed import NO_PIXEL
from backends.sql.schema import clicks, outbox, starts
from backends.sql.trace import SqlTraces
from domain.attribution import Owner, Start
from domain.click import Ad
from domain.clock import ManualClock
from domain.conversions import (
    PURCHASE,
    UNATTRIBUTED,
    VIEW_CONTENT,
    Conversion,
    Money,
    meta_lane,
    order_event_id,
)
from domain.ids import random_uuid
from domain.trace import MOST, MOST_DELIVERIES
from privacy.token import ad_key
from tests.making import NOW, PATIENT, bare_click, full_click, new_id, person_key, ref, start_of
from tests.plans import BY_INDEX, overheard, plans

ANA, BIA, CEU = 7, 8, 9
DAY = 86_400_000
META = meta_lane("123456789")
AD = Ad("fb", "Teste|1", "", "", "")
TABLES = "clicks|starts|outbox|bot_users|ads|erasures"


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    box: SqlOutbox
    traces: SqlTraces

    async def put(self, table: Any, *rows: dict[str, Any]) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(insert(table), list(rows))

    async def sold(self, order_id: str, person: int = ANA, *, at_ms: int = NOW + 5000) -> Conversion:
        sale = Conversion(
            id=order_event_id(1, PURCHASE, order_id),
            event=PURCHASE,
            at_ms=at_ms,
            owner=Owner(bot_id=1, telegram_id=person),
            order_id=order_id,
            money=Money(micros=97_000_000, currency="BRL"),
        )
        await self.ledger.record_conversion(sale)
        return sale


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("promo", bot="shop_bot", pixel="123456789")
    await catalog.add_link("bare", bot="shop_bot")
    yield Database(engine, SqlLedger(engine, person_key), SqlOutbox(engine), SqlTraces(engine, person_key))
    await engine.dispose()


async def test_a_click_is_traced_with_both_facts_all_its_starts_and_its_conversions(
    database: Database,
) -> None:
    click = full_click(link_id=1, params={"utm_source": "fb", "utm_campaign": "Teste|1"}, ad_key=ad_key(AD))
    await database.ledger.record_start(start_of(click, ANA), click)
    await database.ledger.record_start(start_of(click, BIA, at_ms=NOW + 2000), None)
    await database.sold("A-1")
    found = await database.traces.of_click(click.id)
    (traced,) = found.clicks
    assert (traced.row.click, traced.row.owner, traced.ad) == (click, Owner(bot_id=1, telegram_id=ANA), AD)
    assert [(start.owner.telegram_id, start.kind) for start in found.starts] == [
        (BIA, "taken"),
        (ANA, "attributed"),
    ]
    assert [(row.event, row.lane, row.state) for row in found.deliveries] == [
        (PURCHASE, META, "pending"),
        (VIEW_CONTENT, META, "pending"),
    ]
    (known,) = found.people
    assert known.last_touch is not None
    assert known.last_touch.tracking_session_id == click.id
    assert [status.bot.username for status in found.bots] == ["shop_bot"]
    assert found.cut == frozenset()


async def test_a_click_is_traced_with_its_owners_conversions_that_have_no_click(database: Database) -> None:
    click = bare_click()
    await database.ledger.record_start(start_of(click, ANA, at_ms=NOW + 3_600_000), click)
    await database.sold("early")  # long before the start that it could belong to
    await database.sold("others", BIA)
    found = await database.traces.of_click(click.id)
    assert [row.order_id for row in found.deliveries if row.event == PURCHASE] == ["early"]
    assert [row.lane for row in found.deliveries if row.event == PURCHASE] == [UNATTRIBUTED]


async def test_what_sql_does_not_have_is_an_empty_trace(database: Database) -> None:
    assert (await database.traces.of_click(new_id())).clicks == ()
    assert (await database.traces.of_order("none")).deliveries == ()
    nobody = await database.traces.of_person(CEU)
    assert (nobody.clicks, nobody.starts, nobody.people, nobody.erased_at_ms) == ((), (), (), None)


async def test_a_start_without_its_click_has_the_ad_of_the_dictionary(database: Database) -> None:
    told = bare_click(params={"utm_source": "fb", "utm_campaign": "Teste|1"}, ad_key=ad_key(AD))
    await database.ledger.put(told)
    late = bare_click(ad_key=ad_key(AD))
    await database.ledger.record_start(start_of(late, ANA), None)
    (traced,) = (await database.traces.of_click(late.id)).clicks
    assert (traced.row.click, traced.ad) == (None, AD)


async def test_a_person_is_traced_in_all_bots_or_in_one(database: Database) -> None:
    await SqlCatalog(database.engine, ManualClock()).add_bot("other_bot")
    click = bare_click()
    await database.ledger.record_start(start_of(click, ANA), click)
    direct = Start.direct(Owner(bot_id=2, telegram_id=ANA), at_ms=NOW + 9000, update_id=1)
    await database.ledger.record_start(direct, None)
    everywhere = await database.traces.of_person(ANA)
    assert [(start.kind, start.owner.bot_id) for start in everywhere.starts] == [
        ("direct", 2),
        ("attributed", 1),
    ]
    assert [user.owner.bot_id for user in everywhere.people] == [1, 2]
    here = await database.traces.of_person(ANA, 2)
    assert [start.kind for start in here.starts] == ["direct"]
    assert (here.clicks, here.deliveries) == ((), ())


async def test_an_order_is_traced_with_click_start_and_person_in_whatever_bot(database: Database) -> None:
    click = bare_click()
    await database.ledger.record_start(start_of(click, ANA), click)
    await database.sold("A-1")
    await database.sold("A-2", BIA)
    found = await database.traces.of_order("A-1")
    assert [row.order_id for row in found.deliveries] == ["A-1"]
    assert [traced.id for traced in found.clicks] == [click.id]
    assert [start.owner.telegram_id for start in found.starts] == [ANA]
    assert [user.owner.telegram_id for user in found.people] == [ANA]
    loose = await database.traces.of_order("A-2")
    assert (loose.clicks, [row.lane for row in loose.deliveries]) == ((), [UNATTRIBUTED])


async def test_what_became_of_a_conversion_is_traced_with_how_its_lane_is(database: Database) -> None:
    click = bare_click()
    await database.ledger.record_start(start_of(click, ANA), click)
    sale = await database.sold("A-1")
    await database.box.end(META, [sale.id], "rejected", reason="no such field", code="100", trace="A1")
    await database.box.hold(META, "Error validating access token", at_ms=NOW)
    await database.box.heard(META, "v19.0 ends")
    found = await database.traces.of_order("A-1")
    (row,) = found.deliveries
    assert (row.state, row.reason, row.code, row.trace, row.attempts) == (
        "rejected",
        "no such field",
        "100",
        "A1",
        1,
    )
    (lane,) = found.lanes
    assert (lane.lane, lane.held_at_ms, lane.hold_reason, lane.warning) == (
        META,
        NOW,
        "Error validating access token",
        "v19.0 ends",
    )


async def test_a_conversion_that_goes_nowhere_is_traced_with_its_reason(database: Database) -> None:
    click = bare_click(link_id=2)
    await database.ledger.record_start(start_of(click, ANA), click)
    found = await database.traces.of_click(click.id)
    assert [(row.lane, row.state, row.reason) for row in found.deliveries] == [
        (UNATTRIBUTED, "skipped", NO_PIXEL)
    ]


async def test_who_was_erased_is_traced_as_erased_and_nothing_of_them(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click, ANA), click)
    await database.sold("A-1")
    await SqlErasures(database.engine).erase(ANA, person_key=person_key(ANA), at_ms=NOW + DAY)
    found = await database.traces.of_person(ANA)
    assert (found.clicks, found.starts, found.people, found.deliveries) == ((), (), (), ())
    assert found.erased_at_ms == NOW + DAY
    (traced,) = (await database.traces.of_click(click.id)).clicks
    assert traced.erased_at_ms is not None
    assert traced.row.click is None


async def many(database: Database, number: int = 300) -> None:
    """Of one person: so many clicks, starts and conversions, among those of many others."""
    owned, begun, sold = [], [], []
    for n in range(number):
        for person in (ANA, 1000 + n):
            click = bare_click(id=new_id(NOW + n))
            owned.append(
                {
                    "id": click.id,
                    "link_id": 1,
                    "node": 0,
                    "ad_key": b"\0" * 8,
                    "clicked_at": NOW + n,
                    "params": {},
                    "method": "GET",
                    "referer_host": "",
                    "language": "",
                    "prefetch": "",
                    "owner_bot_id": 1,
                    "owner_telegram_id": person,
                    "started_at": NOW + n,
                }
            )
            begun.append(
                {
                    "id": random_uuid(),
                    "bot_id": 1,
                    "telegram_id": person,
                    "started_at": NOW + n,
                    "kind": "attributed",
                    "click_id": click.id,
                }
            )
            sold.append(
                {
                    "event_id": random_uuid(),
                    "lane": META,
                    "event": PURCHASE,
                    "event_at": NOW + n,
                    "next_at": NOW + n,
                    "state": "sent",
                    "click_id": click.id,
                    "bot_id": 1,
                    "telegram_id": person,
                    "order_id": f"{person}-{n}",
                }
            )
    for table, rows in ((clicks, owned), (starts, begun), (outbox, sold)):
        await database.put(table, *rows)


async def test_of_a_person_with_very_many_clicks_the_newest_are_traced_and_that_is_said(
    database: Database,
) -> None:
    await many(database)
    found = await database.traces.of_person(ANA)
    assert (len(found.clicks), len(found.starts), len(found.deliveries)) == (MOST, MOST, MOST_DELIVERIES)
    assert [start.at_ms for start in found.starts] == [NOW + 299 - n for n in range(MOST)]
    assert found.clicks[0].id > found.clicks[1].id
    assert found.deliveries[0].at_ms == NOW + 299
    assert found.cut == {"clicks", "starts", "deliveries"}
    one = await database.traces.of_person(1005)
    assert (len(one.clicks), len(one.starts), len(one.deliveries)) == (1, 1, 1)
    assert one.cut == frozenset()


async def test_every_statement_begins_at_an_index(database: Database) -> None:
    await many(database, 100)
    click = (await database.traces.of_person(ANA)).clicks[0]
    async with overheard(database.engine) as heard:
        await database.traces.of_click(click.id)
        await database.traces.of_person(ANA)
        await database.traces.of_person(ANA, 1)
        await database.traces.of_order(f"{ANA}-5")
    looked = [one for one in heard if re.search(rf"FROM ({TABLES})\b", one[0])]
    assert len(looked) > 15
    for (said, _), plan in zip(looked, await plans(database.engine, looked, *BY_INDEX), strict=True):
        text = "\n".join(plan)
        assert not re.search(rf"Seq Scan on ({TABLES})|SCAN ({TABLES})\b", text), f"{said}\n\n{text}"
        assert re.search(r"Cond: |SEARCH ", text), f"{said}\n\n{text}"


async def test_a_trace_is_of_one_moment(database: Database) -> None:
    click = bare_click()
    await database.ledger.record_start(start_of(click, ANA), click)
    async with overheard(database.engine) as heard:
        await database.traces.of_click(click.id)
    begun = [said for said, _ in heard if said.startswith("BEGIN")]
    assert database.engine.dialect.name == "postgresql" or begun == ["BEGIN"]


async def test_a_click_set_after_its_start_stays_one_trace(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.record_start(start_of(click, ANA), None)
    assert (await database.traces.of_click(click.id)).deliveries == ()
    await database.ledger.put(click)
    found = await database.traces.of_click(click.id)
    assert [row.event for row in found.deliveries] == [VIEW_CONTENT]
    async with database.engine.begin() as connection:
        await connection.execute(update(outbox).values(matched="em fbc"))
    assert (await database.traces.of_click(click.id)).deliveries[0].matched == ("em", "fbc")
    assert ref(click).id == found.clicks[0].id
