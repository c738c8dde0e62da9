"""What the outbox promises, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.schema import lanes, links, outbox, webhooks
from domain.attribution import Owner
from domain.click import Click
from domain.clock import ManualClock
from domain.conversions import (
    LEAD,
    PURCHASE,
    START_EVENT,
    UNATTRIBUTED,
    Conversion,
    Delivery,
    LaneStatus,
    Money,
    click_event_id,
    meta_lane,
    order_event_id,
    webhook_lane,
)
from domain.ports import Outbox
from tests.contracts.test_ledger import ADDED
from tests.making import NOW, PATIENT, full_click, person_key, ref, start_of
from tests.plans import BY_INDEX, overheard, plans

PIXEL = "123456789"
LANE = meta_lane(PIXEL)
ANA = 7
STARTED = NOW + 1000
LATER, MUCH_LATER = NOW + 60_000, NOW + 120_000
MANY = 1000


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    catalog: SqlCatalog
    outbox: Outbox

    async def started(self, number: int = 1, *, link_id: int = 1, at_ms: int = STARTED) -> list[Click]:
        """Clicks, each with a start a millisecond after the one before."""
        clicks = [full_click(link_id=link_id) for _ in range(number)]
        begun = [start_of(click, ANA + n, at_ms=at_ms + n) for n, click in enumerate(clicks)]
        await self.ledger.settle(clicks, begun, [], (), {click.id: ADDED for click in clicks})
        return clicks

    async def put(self, **values: Any) -> UUID:
        """A row as a report of a conversion writes it."""
        identifier = order_event_id(1, PURCHASE, str(values.get("order_id", "")))
        row = {"event_id": identifier, "lane": LANE, "event": PURCHASE, "event_at": NOW, "next_at": NOW}
        async with self.engine.begin() as connection:
            await connection.execute(outbox.insert().values(**(row | {"state": "pending"} | values)))
        return UUID(str(values.get("event_id", identifier)))

    async def change(self, statement: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(statement)

    async def rows(self, table: Table = outbox) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def row(self, event_id: UUID, lane: str = LANE) -> dict[str, Any]:
        [found] = [row for row in await self.rows() if (row["event_id"], row["lane"]) == (event_id, lane)]
        return found

    async def claim(
        self, limit: int = MANY, *, lane: str = LANE, now_ms: int = LATER, until_ms: int = MUCH_LATER
    ) -> list[Delivery]:
        return await self.outbox.claim(lane, limit, now_ms=now_ms, until_ms=until_ms)

    async def attribute(self, limit: int = MANY, **changes: Any) -> int:
        given = {"now_ms": LATER, "until_ms": MUCH_LATER, "give_up_ms": NOW - 1, "touch": "last"}
        return await self.outbox.attribute(limit, **(given | changes))

    async def lane(self, name: str = LANE) -> LaneStatus:
        [found] = [status for status in await self.outbox.lanes() if status.lane == name]
        return found


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Link 1 has a pixel; link 2 has none."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel=PIXEL)
    await catalog.add_link("two", bot="shop_bot")
    yield Database(engine, SqlLedger(engine, person_key), catalog, SqlOutbox(engine))
    await engine.dispose()


def ids(deliveries: Sequence[Delivery]) -> list[UUID]:
    return [delivery.conversion.id for delivery in deliveries]


def starts_of(clicks: Sequence[Click]) -> list[UUID]:
    return [click_event_id(click.id, START_EVENT) for click in clicks]


# ---------------------------------------------------------------- due


async def test_lanes_with_something_due_are_named_and_no_others(database: Database) -> None:
    """UNATTRIBUTED and held ones too; not what is done, and nothing before its time."""
    await database.started()
    await database.put(lane=UNATTRIBUTED, order_id="u", telegram_id=ANA, bot_id=1)
    await database.put(lane="webhook/crm", order_id="w", next_at=LATER)
    await database.put(lane="meta/2", order_id="done", state="sent")
    await database.outbox.hold(LANE, "the token is refused", at_ms=NOW)
    assert await database.outbox.due(NOW - 1) == []
    assert sorted(await database.outbox.due(STARTED)) == [UNATTRIBUTED, LANE]
    assert sorted(await database.outbox.due(LATER - 1)) == [UNATTRIBUTED, LANE]
    assert sorted(await database.outbox.due(LATER)) == [UNATTRIBUTED, LANE, "webhook/crm"]


async def test_an_empty_outbox_has_nothing_due(database: Database) -> None:
    assert await database.outbox.due(LATER) == []
    assert await database.claim() == []


# ---------------------------------------------------------------- claim


async def test_a_claimed_delivery_has_all_that_sql_knows_of_its_click(database: Database) -> None:
    [click] = await database.started()
    [delivery] = await database.claim()
    event_id = click_event_id(click.id, START_EVENT)
    assert delivery == Delivery(
        lane=LANE,
        conversion=Conversion(id=event_id, event=START_EVENT, at_ms=STARTED, click=ref(click)),
        attempts=1,
        owner=Owner(bot_id=1, telegram_id=ANA),
        link_id=1,
        slug="one",
        bot="shop_bot",
        click=click,
        enrichment=ADDED,
    )


async def test_a_conversion_without_a_click_is_what_was_reported(database: Database) -> None:
    event_id = await database.put(
        order_id="A-1",
        bot_id=1,
        telegram_id=ANA,
        link_id=2,
        value=49_900_000,
        currency="BRL",
        custom={"content_ids": ["x"]},
        person={"em": ["aa", "bb"], "ph": ["cc"]},
    )
    [delivery] = await database.claim()
    assert delivery.conversion == Conversion(
        id=event_id,
        event=PURCHASE,
        at_ms=NOW,
        owner=Owner(bot_id=1, telegram_id=ANA),
        order_id="A-1",
        money=Money(micros=49_900_000, currency="BRL"),
        custom={"content_ids": ["x"]},
        person={"em": ("aa", "bb"), "ph": ("cc",)},
    )
    assert (delivery.owner, delivery.link_id, delivery.slug) == (Owner(bot_id=1, telegram_id=ANA), 2, "two")
    assert (delivery.bot, delivery.click, delivery.enrichment) == ("shop_bot", None, None)


async def test_nothing_of_an_erased_click_or_of_one_that_has_yet_to_come_is_claimed(
    database: Database,
) -> None:
    """Who owns it and which link it is of stay known."""
    [erased] = await database.started()
    await database.ledger.discard(erased.id)
    to_come, buried = full_click(), full_click()
    await database.ledger.record_start(start_of(to_come, 9), None)
    await database.ledger.discard(buried.id)
    await database.put(order_id="a", click_id=to_come.id, link_id=2)
    await database.put(order_id="b", click_id=buried.id, link_id=2)
    found = {
        delivery.conversion.click and delivery.conversion.click.id: delivery
        for delivery in await database.claim()
    }
    assert {(each.click, each.enrichment) for each in found.values()} == {(None, None)}
    assert (found[erased.id].owner, found[erased.id].slug) == (Owner(bot_id=1, telegram_id=ANA), "one")
    assert found[to_come.id].owner == Owner(bot_id=1, telegram_id=9)
    assert found[to_come.id].link_id == to_come.link_id
    assert (found[buried.id].owner, found[buried.id].slug) == (None, "two")


async def test_what_is_longest_due_is_claimed_first_and_no_more_than_is_asked_for(database: Database) -> None:
    clicks = await database.started(5)
    assert ids(await database.claim(2)) == starts_of(clicks[:2])
    assert ids(await database.claim(9)) == starts_of(clicks[2:])


async def test_what_is_claimed_is_due_again_when_its_claimer_has_died_which_was_no_attempt(
    database: Database,
) -> None:
    """Else a relay that dies again and again makes events wait for long, or gives them up, that nobody has refused."""
    clicks = await database.started(2)
    await database.claim()
    assert await database.claim(now_ms=MUCH_LATER - 1) == []
    assert await database.outbox.due(MUCH_LATER - 1) == []
    again = await database.claim(now_ms=MUCH_LATER)
    assert sorted(ids(again)) == sorted(starts_of(clicks))
    assert {delivery.attempts for delivery in again} == {1}


async def test_claimers_at_once_never_get_the_same_delivery_and_together_get_all(database: Database) -> None:
    clicks = await database.started(60)
    url = database.engine.url.render_as_string(hide_password=False)
    engines = [make_engine(url, patience=PATIENT) for _ in range(3)]
    others = [SqlOutbox(engine) for engine in engines]
    claims = [
        each.claim(LANE, 7, now_ms=LATER, until_ms=MUCH_LATER) for each in (database.outbox, *others) * 3
    ]
    found = [identifier for claim in await asyncio.gather(*claims) for identifier in ids(claim)]
    while rest := ids(await database.claim(7)):
        found += rest
    for engine in engines:
        await engine.dispose()
    assert sorted(found) == sorted(starts_of(clicks))


async def test_a_lane_is_claimed_without_any_other(database: Database) -> None:
    """The same conversion goes through each of its lanes by itself."""
    await database.change(webhooks.insert().values(name="crm", url="https://x", secret=b"s", created_at=NOW))
    [click] = await database.started()
    crm = webhook_lane("crm")
    [delivery] = await database.claim(lane=crm)
    assert (delivery.lane, delivery.conversion.id) == (crm, click_event_id(click.id, START_EVENT))
    await database.outbox.sent(crm, {delivery.conversion.id: ()}, trace=None, at_ms=LATER)
    assert (await database.row(delivery.conversion.id))["state"] == "pending"
    assert ids(await database.claim()) == [delivery.conversion.id]


# ---------------------------------------------------------------- outcomes


async def test_what_was_sent_is_done_and_says_what_was_matched(database: Database) -> None:
    clicks = await database.started(3)
    first, second, third = starts_of(clicks)
    await database.claim()
    await database.outbox.postpone(LANE, [first], until_ms=LATER, reason="timed out", code="x")
    matched = {first: ("em", "fbc"), second: (), third: ("em", "fbc")}
    await database.outbox.sent(LANE, matched, trace="AbC", at_ms=LATER)
    rows = {row["event_id"]: row for row in await database.rows()}
    assert {rows[each]["matched"] for each in (first, third)} == {"em fbc"}
    assert rows[second]["matched"] == ""
    assert {
        (row["state"], row["trace"], row["sent_at"], row["reason"], row["code"]) for row in rows.values()
    } == {("sent", "AbC", LATER, None, None)}
    assert (await database.lane()).sent_at_ms == LATER
    assert await database.outbox.due(MUCH_LATER) == []


async def test_when_a_lane_last_sent_something_never_goes_back(database: Database) -> None:
    clicks = await database.started(2)
    first, second = starts_of(clicks)
    await database.outbox.sent(LANE, {first: ()}, trace=None, at_ms=LATER)
    await database.outbox.sent(LANE, {second: ()}, trace=None, at_ms=NOW)
    assert (await database.lane()).sent_at_ms == LATER


async def test_what_is_postponed_is_due_then_and_says_why(database: Database) -> None:
    [click] = await database.started()
    [identifier] = starts_of([click])
    await database.claim()
    await database.outbox.postpone(LANE, [identifier], until_ms=LATER + 5, reason="slower", code="4")
    row = await database.row(identifier)
    assert (row["reason"], row["code"], row["attempts"]) == ("slower", "4", 1)
    assert await database.claim(now_ms=LATER + 4) == []
    [again] = await database.claim(now_ms=LATER + 5)
    assert again.attempts == 2


async def test_a_claim_that_is_given_back_has_not_been_made(database: Database) -> None:
    [click] = await database.started()
    [identifier] = starts_of([click])
    await database.claim()
    await database.outbox.postpone(LANE, [identifier], until_ms=LATER, reason="timed out", code="x")
    before = await database.row(identifier)
    await database.claim()
    await database.outbox.postpone(LANE, [identifier], until_ms=LATER, reason=None, back=True)
    assert await database.row(identifier) == before
    await database.claim()
    await database.outbox.postpone(LANE, [identifier], until_ms=LATER, reason="held", back=True)
    assert await database.row(identifier) == before | {"reason": "held"}


@pytest.mark.parametrize("state", ["rejected", "dead", "skipped"])
async def test_what_has_ended_says_why_and_is_never_due_again(database: Database, state: Any) -> None:
    [click] = await database.started()
    [identifier] = starts_of([click])
    await database.outbox.end(
        LANE, [identifier], state, reason="r" * 999, code="2804003" * 9, trace="t" * 999
    )
    row = await database.row(identifier)
    assert (row["state"], row["reason"], row["code"][:7], row["trace"]) == (
        state,
        "r" * 200,
        "2804003",
        "t" * 100,
    )
    assert await database.outbox.due(MUCH_LATER) == []


async def test_what_was_erased_while_it_was_claimed_stays_skipped(database: Database) -> None:
    await database.started()
    [identifier] = ids(await database.claim())
    await SqlErasures(database.engine).erase(ANA, person_key=person_key(ANA), at_ms=LATER)
    await database.outbox.postpone(LANE, [identifier], until_ms=NOW, reason="late")
    await database.outbox.end(LANE, [identifier], "dead", reason="too late")
    row = await database.row(identifier)
    assert (row["state"], row["reason"], row["matched"], row["sent_at"]) == ("skipped", "erased", None, None)
    assert await database.outbox.due(MUCH_LATER) == []


async def test_what_arrived_although_its_person_was_erased_on_the_way_is_said_to_have_arrived_and_names_nobody(
    database: Database,
) -> None:
    """Whoever answers for the erasure has to know that a destination has it."""
    await database.put(telegram_id=ANA, bot_id=1, person={"em": ["ab" * 32]}, order_id="A-1")
    [identifier] = ids(await database.claim())
    await SqlErasures(database.engine).erase(ANA, person_key=person_key(ANA), at_ms=LATER)
    await database.outbox.sent(LANE, {identifier: ("em",)}, trace="x", at_ms=LATER)
    row = await database.row(identifier)
    assert (row["state"], row["reason"], row["trace"], row["sent_at"]) == ("sent", None, "x", LATER)
    assert {row[name] for name in ("telegram_id", "bot_id", "person", "order_id", "custom")} == {None}
    assert await database.outbox.due(MUCH_LATER) == []


async def test_what_was_skipped_for_any_other_reason_is_not_said_to_have_arrived(database: Database) -> None:
    await database.started()
    [identifier] = ids(await database.claim())
    await database.outbox.end(LANE, [identifier], "skipped", reason="no")
    await database.outbox.sent(LANE, {identifier: ("em",)}, trace="x", at_ms=LATER)
    assert (await database.row(identifier))["state"] == "skipped"


async def test_repeating_what_became_of_a_delivery_changes_nothing(database: Database) -> None:
    [click] = await database.started()
    [identifier] = starts_of([click])
    for _ in range(2):
        await database.outbox.sent(LANE, {identifier: ("em",)}, trace="x", at_ms=LATER)
        once = await database.rows()
        await database.outbox.end(LANE, [identifier], "dead", reason="too late")
        await database.outbox.sent(LANE, {identifier: ()}, trace="y", at_ms=MUCH_LATER)
        assert await database.rows() == once


async def test_a_thousand_at_once_are_claimed_and_sent(database: Database) -> None:
    """More than any engine's limit of parameters for one statement would need twice over is no trouble."""
    clicks = await database.started(1200)
    found = await database.claim(1200)
    assert ids(found) == starts_of(clicks)
    matched = {identifier: ("em",) if n % 2 else ("ph",) for n, identifier in enumerate(ids(found))}
    await database.outbox.sent(LANE, matched, trace=None, at_ms=LATER)
    assert {row["state"] for row in await database.rows()} == {"sent"}


# ---------------------------------------------------------------- lanes


async def test_a_lane_is_held_since_the_first_hold_and_for_the_newest_reason(database: Database) -> None:
    await database.outbox.hold(LANE, "no token", at_ms=NOW)
    await database.outbox.hold(LANE, "the token is refused", at_ms=LATER)
    held = await database.lane()
    assert (held.held_at_ms, held.hold_reason) == (NOW, "the token is refused")
    await database.outbox.release(LANE)
    await database.outbox.release(LANE)
    assert ((await database.lane()).held_at_ms, (await database.lane()).hold_reason) == (None, None)
    await database.outbox.hold(LANE, "again", at_ms=LATER)
    assert (await database.lane()).held_at_ms == LATER


async def test_the_newest_warning_of_a_destination_is_kept_until_it_has_none(database: Database) -> None:
    await database.outbox.heard(LANE, None)
    assert await database.rows(lanes) == []
    for warning in ("the version ends", "w" * 999):
        await database.outbox.heard(LANE, warning)
        assert (await database.lane()).warning == warning[:200]
    await database.outbox.heard(LANE, None)
    assert (await database.lane()).warning is None


async def test_lanes_are_those_of_destinations_those_that_are_noted_and_those_with_a_queue(
    database: Database,
) -> None:
    await database.started(3)
    await database.change(webhooks.insert().values(name="crm", url="https://x", secret=b"s", created_at=NOW))
    await database.put(lane="meta/gone", order_id="a", event_at=NOW - 5, next_at=MUCH_LATER)
    await database.put(lane="meta/gone", order_id="b", event_at=NOW, next_at=NOW)
    await database.put(lane="meta/done", order_id="c", state="sent")
    await database.put(lane=UNATTRIBUTED, order_id="d")
    await database.outbox.hold("meta/held", "why", at_ms=NOW)
    found = {status.lane: (status.pending, status.oldest_at_ms) for status in await database.outbox.lanes()}
    assert found == {
        UNATTRIBUTED: (1, NOW),
        LANE: (3, STARTED),
        "meta/gone": (2, NOW - 5),
        "meta/held": (0, None),
        "webhook/crm": (0, None),
    }


# ---------------------------------------------------------------- attribute


async def test_a_conversion_of_a_person_goes_to_the_lane_of_the_link_that_their_click_was_on(
    database: Database,
) -> None:
    [click] = await database.started()
    event_id = await database.put(
        lane=UNATTRIBUTED, order_id="A", bot_id=1, telegram_id=ANA, value=5, currency="BRL"
    )
    assert await database.attribute() == 1
    row = await database.row(event_id)
    assert (row["click_id"], row["link_id"], row["next_at"]) == (click.id, 1, LATER)
    assert (row["telegram_id"], row["value"], row["order_id"], row["state"]) == (ANA, 5, "A", "pending")
    assert [each["lane"] for each in await database.rows()] == [LANE, LANE]
    found = {delivery.conversion.id: delivery for delivery in await database.claim()}
    assert (found[event_id].click, found[event_id].slug) == (click, "one")


async def test_a_click_that_came_after_it_does_not_get_what_waits(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger.settle([click], [start_of(click, ANA, at_ms=STARTED)], [])
    before = {"bot_id": 1, "telegram_id": ANA, "event_at": STARTED - 600_001}
    event_id = await database.put(lane=UNATTRIBUTED, order_id="A", **before)
    await database.attribute(give_up_ms=0)
    row = await database.row(event_id, UNATTRIBUTED)
    assert (row["click_id"], row["state"]) == (None, "pending")


@pytest.mark.parametrize(("touch", "index"), [("first", 0), ("last", 1)])
async def test_of_two_clicks_of_a_person_the_one_that_is_asked_for_counts(
    database: Database, touch: str, index: int
) -> None:
    clicks = [full_click(link_id=1) for _ in range(2)]
    begun = [start_of(click, ANA, at_ms=STARTED + n) for n, click in enumerate(clicks)]
    await database.ledger.settle(clicks, begun, [])
    of_ana = {"bot_id": 1, "telegram_id": ANA, "event_at": STARTED + 1}
    event_id = await database.put(lane=UNATTRIBUTED, order_id="A", **of_ana)
    await database.attribute(touch=touch)
    assert (await database.row(event_id))["click_id"] == clicks[index].id


async def test_a_conversion_without_a_click_waits_and_ends_when_it_has_waited_too_long(
    database: Database,
) -> None:
    event_id = await database.put(lane=UNATTRIBUTED, order_id="A", bot_id=1, telegram_id=ANA)
    assert await database.attribute() == 0
    row = await database.row(event_id, UNATTRIBUTED)
    assert (row["state"], row["next_at"]) == ("pending", MUCH_LATER)
    assert await database.attribute(now_ms=MUCH_LATER - 1, give_up_ms=NOW + 1) == 0
    assert (await database.row(event_id, UNATTRIBUTED))["state"] == "pending"
    assert await database.attribute(now_ms=MUCH_LATER, give_up_ms=NOW + 1) == 0
    row = await database.row(event_id, UNATTRIBUTED)
    assert (row["state"], row["reason"]) == ("skipped", "no click of this person is known")


async def test_a_click_that_comes_late_is_found_by_what_waits_for_it(database: Database) -> None:
    event_id = await database.put(lane=UNATTRIBUTED, order_id="A", bot_id=1, telegram_id=ANA)
    await database.attribute()
    [click] = await database.started()
    assert await database.attribute(now_ms=MUCH_LATER) == 1
    row = await database.row(event_id)
    assert (row["click_id"], row["reason"]) == (click.id, None)


async def test_a_person_whom_another_bot_knows_has_no_click_here(database: Database) -> None:
    await database.started()
    await database.put(lane=UNATTRIBUTED, order_id="A", bot_id=2, telegram_id=ANA)
    assert await database.attribute() == 0


async def test_a_conversion_whose_link_has_no_pixel_or_does_not_report_it_is_skipped_with_its_reason(
    database: Database,
) -> None:
    await database.change(links.update().where(links.c.id == 1).values(events_off="PageView Lead"))
    [off] = await database.started()
    no_pixel = full_click(link_id=2)
    await database.ledger.record_start(start_of(no_pixel, 8), no_pixel)
    put = [
        await database.put(lane=UNATTRIBUTED, order_id=f"{person}", event=LEAD, bot_id=1, telegram_id=person)
        for person in (ANA, 8)
    ]
    assert await database.attribute() == 0
    rows = [await database.row(event_id, UNATTRIBUTED) for event_id in put]
    assert [(row["state"], row["reason"], row["click_id"], row["link_id"]) for row in rows] == [
        ("skipped", "the link does not report Lead", off.id, 1),
        ("skipped", "the link has no pixel", no_pixel.id, 2),
    ]


async def test_a_conversion_that_is_in_its_lane_already_is_not_there_twice(database: Database) -> None:
    await database.started()
    event_id = await database.put(order_id="A", bot_id=1, telegram_id=ANA, state="sent", sent_at=NOW)
    await database.put(event_id=event_id, lane=UNATTRIBUTED, order_id="A", bot_id=1, telegram_id=ANA)
    before = await database.row(event_id)
    await database.attribute()
    assert [row for row in await database.rows() if row["event_id"] == event_id] == [before]


async def test_attributing_takes_what_is_longest_due_first_and_two_at_once_move_each_once(
    database: Database,
) -> None:
    await database.started(6)
    for n in range(6):
        await database.put(lane=UNATTRIBUTED, order_id=f"{n}", bot_id=1, telegram_id=ANA + n, next_at=NOW + n)
    assert await database.attribute(2) == 2
    moved = [row["order_id"] for row in await database.rows() if row["lane"] == LANE and row["order_id"]]
    assert sorted(moved) == ["0", "1"]
    done = await asyncio.gather(*(database.attribute(3) for _ in range(3)))
    assert sum(done) + await database.attribute() == 4
    assert len(await database.rows()) == 12


# ---------------------------------------------------------------- cost


async def test_no_question_and_no_change_reads_the_outbox_whole(database: Database) -> None:
    """What waits is found by its lane and time, rows by their ids, and each click by its own."""
    await database.started(3)
    await database.put(lane=UNATTRIBUTED, order_id="A", bot_id=1, telegram_id=ANA)
    async with overheard(database.engine) as heard:
        await database.outbox.due(LATER)
        await database.outbox.lanes()
        [first, *others] = ids(await database.claim())
        await database.outbox.postpone(LANE, others, until_ms=LATER, reason="slower")
        await database.outbox.postpone(LANE, others, until_ms=LATER, reason=None, back=True)
        await database.outbox.end(LANE, others, "dead", reason="too late")
        await database.outbox.sent(LANE, {first: ("em",)}, trace=None, at_ms=LATER)
        await database.attribute()
    found = [plan for plan in await plans(database.engine, heard, *BY_INDEX) if "outbox" in str(plan)]
    assert len(found) >= 10
    for lines in found:
        read = "\n".join(lines)
        assert "Seq Scan on outbox" not in read
        assert "SCAN outbox" not in read
        assert not re.search(r"(SCAN|Seq Scan on) clicks", read)
        assert re.search(r"ix_outbox_due|pk_outbox|sqlite_autoindex_outbox_1", read), read
