"""What the ledger promises of reported conversions, on SQLite and on PostgreSQL: one event, one row for each lane."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from dataclasses import replace as replaced
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.schema import links, outbox, webhooks
from domain.attribution import ClickRef, Owner
from domain.click import Click
from domain.clock import ManualClock
from domain.conversions import (
    LEAD,
    PURCHASE,
    UNATTRIBUTED,
    Conversion,
    Money,
    Reported,
    Touch,
    click_event_id,
    meta_lane,
    order_event_id,
    person_event_id,
    webhook_lane,
)
from domain.ids import named_uuid
from tests.making import NOW, PATIENT, full_click, new_id, person_key, ref, start_of

PIXEL = "123456789"
LANE = meta_lane(PIXEL)
ANA, BIA = 7, 8
SOLD = NOW + 5000
GIVEN = {
    "order_id": "A-1",
    "money": Money(micros=97_000_000, currency="BRL"),
    "custom": {"contents": [{"id": "x", "quantity": 2, "item_price": 48.5}], "num_items": 2},
    "person": {"em": ("a" * 64,), "ct": ("b" * 64, "c" * 64)},
}


def of(person: int = ANA, order: str = "A-1", **changes: Any) -> Conversion:
    """A purchase reported by its person."""
    values = {"id": order_event_id(1, PURCHASE, order), "event": PURCHASE, "at_ms": SOLD}
    values |= {"owner": Owner(bot_id=1, telegram_id=person), **GIVEN, "order_id": order}
    return Conversion(**(values | changes))


def by(click: Click, **changes: Any) -> Conversion:
    """A purchase reported by the token of a click."""
    return of(**({"owner": None, "click": ref(click)} | changes))


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    catalog: SqlCatalog

    def ledger(self, touch: Touch = "last") -> SqlLedger:
        return SqlLedger(self.engine, person_key, touch=touch)

    async def report(self, conversion: Conversion, **more: Any) -> Reported | None:
        return await self.ledger().record_conversion(conversion, **more)

    async def started(self, *, link_id: int = 1, person: int = ANA, at_ms: int = NOW + 1000) -> Click:
        click = full_click(link_id=link_id)
        await self.ledger().settle([click], [start_of(click, person, at_ms=at_ms)], [])
        return click

    async def rows(self, event_id: UUID | None = None) -> list[dict[str, Any]]:
        """Rows of reported conversions, or of one."""
        wanted = select(outbox).where(outbox.c.event.in_([PURCHASE, LEAD]))
        wanted = wanted.order_by(outbox.c.event_id, outbox.c.lane)
        async with self.engine.connect() as connection:
            rows = [dict(row) for row in (await connection.execute(wanted)).mappings()]
        return [row for row in rows if event_id in {None, row["event_id"]}]

    async def change(self, statement: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(statement)

    async def attribute(self) -> int:
        return await SqlOutbox(self.engine).attribute(
            100, now_ms=SOLD, until_ms=SOLD + 1, give_up_ms=0, touch="last"
        )

    async def erase(self, person: int = ANA, at_ms: int = SOLD) -> Any:
        return await SqlErasures(self.engine).erase(person, person_key=person_key(person), at_ms=at_ms)


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """Link 1 has a pixel; link 2 has none."""
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("one", bot="shop_bot", pixel=PIXEL)
    await catalog.add_link("two", bot="shop_bot")
    yield Database(engine, catalog)
    await engine.dispose()


async def test_a_sale_goes_to_the_pixel_of_the_click_by_which_its_person_came(database: Database) -> None:
    click = await database.started()
    reported = await database.report(of())
    assert reported == Reported(
        state="pending", reason=None, new=True, click_id=click.id, slug="one", pixel=PIXEL
    )
    [row] = await database.rows()
    told = {"value": 97_000_000, "currency": "BRL", "order_id": "A-1", "custom": GIVEN["custom"]}
    told |= {"person": {"em": ["a" * 64], "ct": ["b" * 64, "c" * 64]}, "event_at": SOLD, "next_at": SOLD}
    told |= {"click_id": click.id, "link_id": 1, "bot_id": 1, "telegram_id": ANA, "lane": LANE}
    assert {name: row[name] for name in told} == told


async def test_a_returning_persons_sale_goes_to_the_last_click_or_the_first_as_configured(
    database: Database,
) -> None:
    first, last = await database.started(), await database.started(at_ms=NOW + 2000)
    for touch, click in (("last", last), ("first", first)):
        reported = await database.ledger(touch).record_conversion(of(order=touch))  # type: ignore[arg-type]
        assert reported is not None
        assert reported.click_id == click.id


async def test_a_sale_told_of_late_belongs_to_the_click_of_then_and_not_to_a_later_one(
    database: Database,
) -> None:
    """Also one that is older than every start: clocks differ, and times are rounded."""
    clicks = [await database.started(at_ms=NOW + at) for at in (10_000, 20_000, 30_000)]
    for at_ms, click in ((20_000, clicks[1]), (29_999, clicks[1]), (30_000, clicks[2]), (9_000, clicks[0])):
        reported = await database.report(of(order=str(at_ms), at_ms=NOW + at_ms))
        assert reported is not None
        assert reported.click_id == click.id


@pytest.mark.parametrize("touch", ["last", "first"])
async def test_no_click_that_came_after_a_sale_gets_it(database: Database, touch: Any) -> None:
    """Ten minutes are left for clocks that differ."""
    await database.started(at_ms=NOW + 600_001)
    early, late = of(order="early", at_ms=NOW), of(order="late", at_ms=NOW + 1)
    assert await database.ledger(touch).record_conversion(early) == Reported(
        state="pending", reason=None, new=True
    )
    reported = await database.ledger(touch).record_conversion(late)
    assert reported is not None
    assert reported.click_id is not None


async def test_a_sale_of_somebody_else_or_in_another_bot_does_not_get_the_click(database: Database) -> None:
    await database.started()
    for owner in (Owner(bot_id=1, telegram_id=BIA), Owner(bot_id=2, telegram_id=ANA)):
        reported = await database.report(of(order=str(owner), owner=owner))
        assert reported == Reported(state="pending", reason=None, new=True)
    assert {(row["lane"], row["click_id"]) for row in await database.rows()} == {(UNATTRIBUTED, None)}


async def test_the_same_order_again_is_one_event_whatever_it_says_and_whoever_it_names(
    database: Database,
) -> None:
    """Also once it has been sent: it is told how it stands."""
    click = await database.started()
    first = await database.report(of())
    assert first is not None
    other = of(money=Money(micros=1, currency="USD"), at_ms=SOLD + 1)
    for again in (of(), other, by(click), of(BIA)):
        assert await database.report(again) == replaced(first, new=False)
    await database.change(update(outbox).values(state="sent"))
    assert await database.report(of()) == replaced(first, new=False, state="sent")
    [row] = await database.rows()
    assert (row["value"], row["event_at"]) == (97_000_000, SOLD)


async def test_of_twenty_reports_of_one_order_at_once_one_is_new_and_one_row_is_there(
    database: Database,
) -> None:
    """Half of them by a person nobody has seen, half by a token: their rows would be of different lanes."""
    click = full_click(link_id=1)
    ledgers = [database.ledger() for _ in range(4)]
    each = [ledgers[n % 4].record_conversion(of() if n % 2 else by(click)) for n in range(20)]
    told = await asyncio.gather(*each)
    assert sorted(reported.new for reported in told if reported) == [False] * 19 + [True]
    assert len(await database.rows()) == 1
    assert len({replaced(reported, new=True) for reported in told if reported}) == 1


async def test_a_click_that_has_yet_to_arrive_is_reported_to_by_what_its_token_says(
    database: Database,
) -> None:
    click = full_click(link_id=1)
    reported = await database.report(by(click))
    assert reported is not None
    assert (reported.state, reported.click_id, reported.slug, reported.pixel) == (
        "pending",
        click.id,
        "one",
        PIXEL,
    )
    [row] = await database.rows()
    assert (row["click_id"], row["link_id"], row["telegram_id"]) == (click.id, 1, None)


async def test_a_token_of_a_click_that_somebody_else_owns_is_reported_to_that_click(
    database: Database,
) -> None:
    click = await database.started(person=BIA)
    reported = await database.report(by(click))
    assert reported is not None
    assert (reported.state, reported.click_id) == ("pending", click.id)


def nameless(click_id: UUID, **changes: Any) -> Conversion:
    """By the id of a click alone."""
    return of(owner=None, click=ClickRef(id=click_id, link_id=0, node=0, ad_key=b""), **changes)


async def test_a_click_named_by_its_id_has_its_link_from_sql(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger().put(click)
    reported = await database.report(nameless(click.id))
    assert reported is not None
    assert (reported.state, reported.slug) == ("pending", "one")


async def test_a_click_that_nobody_knows_is_refused_and_a_settled_one_says_so(database: Database) -> None:
    """Nothing is written of what is refused, so that the order may be reported rightly; a deferred one leaves its reason."""
    assert await database.report(nameless(new_id())) is None
    assert await database.rows() == []
    await database.ledger().settle([], [], [], (), {}, [nameless(new_id())])
    [row] = await database.rows()
    assert (row["state"], row["reason"], row["lane"]) == ("skipped", "no such click", UNATTRIBUTED)


async def test_what_a_link_does_not_report_and_a_link_without_a_pixel_are_skipped_with_the_reason(
    database: Database,
) -> None:
    await database.change(update(links).where(links.c.id == 1).values(events_off="PageView Purchase"))
    off = await database.report(by(full_click(link_id=1), id=named_uuid("event", "1")))
    none = await database.report(by(full_click(link_id=2), id=named_uuid("event", "2")))
    gone = await database.report(by(full_click(link_id=99), id=named_uuid("event", "3")))
    told = [(found.state, found.reason, found.pixel) for found in (off, none, gone) if found]
    assert told == [
        ("skipped", "the link does not report Purchase", None),
        ("skipped", "the link has no pixel", None),
        ("skipped", "the link has no pixel", None),
    ]
    assert [row["lane"] for row in await database.rows()] == [UNATTRIBUTED] * 3


async def test_every_webhook_gets_a_row_in_the_same_transaction_whatever_the_pixel_gets(
    database: Database,
) -> None:
    hooks = [{"name": name, "url": "https://x.example", "secret": b"s", "created_at": NOW} for name in "ab"]
    await database.change(webhooks.insert().values(hooks))
    await database.started()
    for conversion in (of(), by(full_click(link_id=2), id=named_uuid("event", "x")), of(BIA, "u")):
        await database.report(conversion)
        await database.report(conversion)
        rows = await database.rows(conversion.id)
        lanes = {row["lane"]: row["state"] for row in rows}
        assert len(rows) == 3
        assert lanes[webhook_lane("a")] == lanes[webhook_lane("b")] == "pending"
        assert len({(row["click_id"], row["order_id"], str(row["person"])) for row in rows}) == 1


async def test_what_a_link_does_not_report_goes_to_no_webhook_either(database: Database) -> None:
    await database.change(
        webhooks.insert().values(name="a", url="https://x.example", secret=b"s", created_at=NOW)
    )
    await database.change(update(links).values(events_off="Purchase"))
    await database.started()
    await database.report(of())
    [row] = await database.rows()
    assert (row["lane"], row["reason"]) == (UNATTRIBUTED, "the link does not report Purchase")


async def test_what_is_too_old_is_dead_from_the_beginning(database: Database) -> None:
    await database.started()
    reported = await database.report(of(), too_old=True)
    assert reported is not None
    assert (reported.state, reported.reason, reported.new) == ("dead", "older than 7 days", True)
    unknown = await database.report(of(BIA, "old"), too_old=True)
    assert unknown is not None
    assert (unknown.state, unknown.pixel) == ("dead", None)


async def test_start_and_conversion_in_either_order_and_by_either_way_give_the_same_rows(
    database: Database,
) -> None:
    """The facts of three people who are alike, settled in every order and in one batch, apart from their ids."""
    seen = []
    for person, order in enumerate([*itertools.permutations(["click", "start", "sale"]), None], 100):
        click = full_click(link_id=1)
        start, sale = start_of(click, person), of(person, str(person))
        facts: dict[str, tuple[Any, ...]] = {
            "click": ([click], [], [], (), {}, []),
            "start": ([], [start], [], (), {}, []),
            "sale": ([], [], [], (), {}, [sale]),
        }
        for fact in order or ():
            await database.ledger().settle(*facts[fact])
            await database.ledger().settle(*facts[fact])
        await database.ledger().settle([click], [start], [], (), {}, [sale])
        await database.attribute()
        rows = await database.rows(sale.id)
        assert [row["click_id"] for row in rows] == [click.id], order
        for row in rows:
            row.update(event_id=None, click_id=None, telegram_id=None, order_id=None, next_at=None)
        seen.append(rows)
    assert seen == [seen[0]] * len(seen)


async def test_a_conversion_settles_after_the_starts_of_its_batch(database: Database) -> None:
    click = full_click(link_id=1)
    await database.ledger().settle([], [start_of(click)], [], (), {}, [of()])
    [row] = await database.rows()
    assert (row["lane"], row["click_id"]) == (LANE, click.id)


async def test_without_an_order_an_event_happens_once_to_a_person_and_once_to_a_click(
    database: Database,
) -> None:
    click = await database.started()
    of_person = of(id=person_event_id(1, LEAD, "a pseudonym"), event=LEAD, order_id=None)
    of_click = by(click, id=click_event_id(click.id, LEAD), event=LEAD, order_id=None)
    told = [await database.report(each) for each in (of_person, of_person, of_click, of_click)]
    assert [found.new for found in told if found] == [True, False, True, False]


# ---------------------------------------------------------------- erased


async def test_nothing_is_kept_of_what_happened_before_its_person_was_erased(database: Database) -> None:
    await database.erase()
    before = await database.report(of(at_ms=SOLD))
    assert before == Reported(state="skipped", reason="erased", new=False)
    await database.ledger().settle([], [], [], (), {}, [of(at_ms=SOLD - 1)])
    assert await database.rows() == []
    after = await database.report(of(at_ms=SOLD + 1))
    assert after is not None
    assert (after.state, after.new) == ("pending", True)


async def test_nothing_is_kept_of_a_click_that_was_erased(database: Database) -> None:
    """By its token, its id, and as its person's: the click is no longer theirs."""
    click = await database.started()
    await database.erase(at_ms=NOW + 3000)
    for conversion in (by(click), nameless(click.id)):
        assert await database.report(conversion) == Reported(state="skipped", reason="erased", new=False)
        await database.ledger().settle([], [], [], (), {}, [conversion])
    assert await database.rows() == []
    reported = await database.report(of())
    assert reported is not None
    assert reported.click_id is None


async def test_erasing_a_person_leaves_no_word_of_whose_a_conversion_was_and_an_order_stays_one(
    database: Database,
) -> None:
    """Sent ones too; with a click, without one, and told by the token. Nobody else's changes."""
    click = await database.started()
    ids = [named_uuid("event", str(n)) for n in range(4)]
    kept = [of(id=ids[0]), by(click, id=ids[1]), of(id=ids[2])]
    for conversion in (*kept, of(BIA, id=ids[3])):
        await database.report(conversion)
    await database.change(update(outbox).where(outbox.c.event_id == ids[2]).values(state="sent"))
    before = await database.rows(ids[3])
    await database.erase()
    for event_id, state in zip(ids[:3], ("skipped", "skipped", "sent"), strict=True):
        [row] = await database.rows(event_id)
        assert row["state"] == state
        assert {row[name] for name in ("bot_id", "telegram_id", "order_id", "custom", "person")} == {None}
    assert await database.rows(ids[3]) == before
    again = await database.report(of(id=ids[0]))
    assert again is not None
    assert (again.state, again.new) == ("skipped", False)


async def test_a_person_whose_conversion_waits_for_a_click_is_erased_with_it(database: Database) -> None:
    await database.report(of())
    assert (await database.erase()).conversions == 1
    await database.started(at_ms=SOLD + 1)
    assert await database.attribute() == 0
    [row] = await database.rows()
    assert (row["state"], row["reason"], row["telegram_id"]) == ("skipped", "erased", None)


async def test_a_late_start_of_somebody_erased_takes_the_conversions_of_its_click_along(
    database: Database,
) -> None:
    """The start lay in another machine's spool: only when it is settled is it known whose the click was."""
    click, others = full_click(link_id=1), full_click(link_id=1)
    await database.report(by(click))
    await database.ledger().settle([others], [start_of(others, BIA)], [])
    await database.report(by(others, id=named_uuid("event", "hers")))
    await database.erase()
    await database.ledger().settle([], [start_of(click), start_of(others)], [])
    assert {row["click_id"]: row["state"] for row in await database.rows()} == {
        click.id: "skipped",
        others.id: "pending",
    }


async def test_an_erasure_and_reports_at_once_leave_nothing_that_could_be_sent(database: Database) -> None:
    for round_ in range(8):
        person = 1000 + round_
        click = await database.started(person=person)
        sales = [of(person, f"{round_}-{n}") for n in range(4)]
        sales += [by(click, id=named_uuid("event", f"{round_}-{n}")) for n in range(4)]
        await asyncio.gather(
            *(database.report(sale) for sale in sales[::2]),
            database.erase(person),
            *(database.report(sale) for sale in sales[1::2]),
        )
        rows = [row for sale in sales for row in await database.rows(sale.id)]
        assert {row["state"] for row in rows} <= {"skipped"}
        assert {row["telegram_id"] for row in rows} <= {None}
