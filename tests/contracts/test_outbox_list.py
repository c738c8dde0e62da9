"""What the operator reads of the outbox, and moves in it, on SQLite and on PostgreSQL; and that no table is read through."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.outbox_again import BATCH, Batch, Place, SqlOutboxAgain
from backends.sql.outbox_list import SqlOutboxList
from backends.sql.outbox_wanted import Wanted
from backends.sql.owed import NO_PIXEL
from backends.sql.schema import bots, clicks, lanes, links, outbox, webhooks
from backends.sql.tombstones import close_to_starts
from domain.clock import ManualClock
from domain.conversions import LEAD, PURCHASE, UNATTRIBUTED, VIEW_CONTENT, Money, order_event_id
from domain.errors import ConfigError
from domain.ids import random_uuid
from tests.making import NOW, PATIENT, full_click, new_id, person_key, start_of

META, HOOK = "meta/123456789", "webhook/crm"
HOUR, DAY = 3_600_000, 86_400_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    reading: SqlOutboxList
    again: SqlOutboxAgain
    erasures: SqlErasures
    statements: list[tuple[str, Any]] = field(default_factory=list)

    async def put(self, *rows: Row) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(insert(outbox), list(rows))

    async def set(self, table: Any, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(update(table).values(values))

    async def add_webhook(self, name: str = "crm") -> None:
        row = {"name": name, "url": "https://crm.example.com", "secret": b"x", "created_at": NOW}
        async with self.engine.begin() as connection:
            await connection.execute(insert(webhooks), [row])

    async def rows(self) -> dict[tuple[UUID, str], Any]:
        async with self.engine.connect() as connection:
            found = (await connection.execute(select(outbox))).all()
        return {(row.event_id, row.lane): row for row in found}

    async def states(self) -> dict[str, str]:
        """Of one event: its lanes with their states."""
        return {lane: row.state for (_, lane), row in (await self.rows()).items()}

    @contextmanager
    def listened(self) -> Iterator[None]:
        """What is sent meanwhile stands in `statements`."""

        def hear(_connection: Any, _cursor: Any, said: str, given: Any, *_more: Any) -> None:
            self.statements.append((said, given))

        sqlalchemy_event.listen(self.engine.sync_engine, "before_cursor_execute", hear)
        try:
            yield
        finally:
            sqlalchemy_event.remove(self.engine.sync_engine, "before_cursor_execute", hear)

    async def plans(self) -> list[tuple[str, str]]:
        """Each statement that was heard and looks for rows of the outbox, and how the engine finds them."""
        found = []
        word = "EXPLAIN" if self.engine.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        async with self.engine.connect() as connection:
            for said, given in self.statements:
                if "outbox" in said and not said.startswith("INSERT"):
                    lines = (await connection.exec_driver_sql(f"{word} {said}", given)).all()
                    found.append((said, "\n".join(str(line[-1]) for line in lines)))
        return found


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    catalog = SqlCatalog(engine, ManualClock())
    await catalog.add_bot("shop_bot")
    await catalog.add_link("promo", bot="shop_bot", pixel="123456789")
    yield Database(
        engine,
        SqlLedger(engine, person_key),
        SqlOutboxList(engine),
        SqlOutboxAgain(engine),
        SqlErasures(engine),
    )
    await engine.dispose()


def row(**changes: Any) -> Row:
    """A conversion that was sent."""
    given = {
        "event_id": random_uuid(),
        "lane": META,
        "event": LEAD,
        "event_at": NOW,
        "state": "sent",
        "reason": None,
        "code": None,
        "trace": None,
        "attempts": 1,
        "next_at": NOW,
        "sent_at": None,
        "matched": None,
        "click_id": None,
        "link_id": 1,
        "bot_id": 1,
        "order_id": None,
        "value": None,
        "currency": None,
        "telegram_id": 7,
    }
    return given | changes


def failed(**changes: Any) -> Row:
    refused = {"state": "rejected", "reason": "Purchase without value", "code": "100/2804009"}
    return row(**(refused | changes))


async def all_of(
    database: Database, kind: str, wanted: Wanted, *, dry_run: bool = False, **more: Any
) -> list[int]:
    """How many rows each batch moved."""
    after: Place | None = None
    counts = []
    while True:
        move = getattr(database.again, kind)
        batch: Batch = await move(wanted, after, now_ms=NOW, dry_run=dry_run, **more)
        counts.append(batch.rows)
        if (after := batch.after) is None:
            return counts


# ---------------------------------------------------------------- reading


async def test_the_newest_events_come_first_and_every_filter_leaves_what_it_names(database: Database) -> None:
    rows = [
        row(event_at=NOW - 5),
        row(event_at=NOW - 4, state="pending"),
        failed(event_at=NOW - 3),
        failed(event_at=NOW - 2, state="dead", reason="too OLD", code=None),
        row(event_at=NOW - 1, state="skipped", lane=UNATTRIBUTED, reason="erased"),
        row(event_at=NOW, lane=HOOK, event=PURCHASE),
    ]
    await database.put(*rows)

    async def places(limit: int = 50, **wanted: Any) -> list[int]:
        found = await database.reading.newest(Wanted(**wanted), limit)
        return [NOW - entry.at_ms for entry in found]

    assert await places() == [0, 1, 2, 3, 4, 5]
    assert await places(limit=2) == [0, 1]
    assert await places(since_ms=NOW - 2, until_ms=NOW) == [1, 2]
    assert await places(states=("pending",)) == [4]
    assert await places(states=("rejected",)) == [3]
    assert await places(states=("dead",)) == [2]
    assert await places(states=("rejected", "dead")) == [2, 3]
    assert await places(states=("sent", "rejected")) == [0, 3, 5]
    assert await places(lane=HOOK) == [0]
    assert await places(lane=UNATTRIBUTED) == [1]
    assert await places(event=PURCHASE) == [0]
    assert await places(reason="too old") == [2]
    assert await places(reason="%") == []
    assert await places(event_ids=(rows[0]["event_id"],)) == [5]
    assert await places(event_ids=()) == []


async def test_states_are_counted_in_the_time_lane_and_event_asked_for_whatever_state_is(
    database: Database,
) -> None:
    await database.put(row(), row(), failed(), row(lane=HOOK, event=PURCHASE), row(event_at=NOW - DAY))
    counts = database.reading.counts
    found = await counts(Wanted(since_ms=NOW - HOUR, states=("sent",)))
    assert (found.by_state, found.whole) == ({"sent": 3, "rejected": 1}, True)
    assert (await counts(Wanted(lane=META))).by_state == {"sent": 3, "rejected": 1}
    assert (await counts(Wanted(lane=HOOK, event=PURCHASE))).by_state == {"sent": 1}
    assert (await counts(Wanted(lane=HOOK, event=LEAD))).by_state == {}
    assert (await counts(Wanted(until_ms=NOW))).by_state == {"sent": 1}


async def test_counting_stops_at_a_bound_and_says_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.sql.outbox_list.COUNTED", 3)
    await database.put(*(failed(event_at=NOW - n) for n in range(2)), *(row(event_at=NOW - 9) for _ in "ab"))
    found = await database.reading.counts(Wanted())
    assert (found.by_state, found.whole) == ({"rejected": 2, "sent": 1}, False)


async def test_a_story_has_every_lane_of_the_event_with_its_link_and_bot(database: Database) -> None:
    """The bot is the click's owner's; of a conversion without a click it is the one that the conversion names."""
    click = full_click(link_id=1)
    await database.ledger.settle([click], [start_of(click)], [])
    event_id = order_event_id(1, PURCHASE, "A-17")
    both = {"event_id": event_id, "event": PURCHASE, "order_id": "A-17", "value": 49_900_000}
    both |= {"currency": "BRL", "click_id": click.id, "bot_id": None}
    await database.put(
        row(**both, sent_at=NOW + 5, matched="em fbc", trace="AbC"), row(**both, lane=HOOK, state="pending")
    )
    first, second = await database.reading.of("A-17")
    assert (first.lane, first.state, first.trace, first.matched) == (META, "sent", "AbC", ("em", "fbc"))
    assert (first.sent_at_ms, first.slug, first.bot) == (NOW + 5, "promo", "shop_bot")
    assert first.money == Money(micros=49_900_000, currency="BRL")
    assert (second.lane, second.state, second.matched) == (HOOK, "pending", ())
    await database.put(row(order_id="B-1", link_id=None))
    [other] = await database.reading.of("B-1")
    assert (other.slug, other.bot, other.money) == (None, "shop_bot", None)
    assert {entry.event for entry in await database.reading.of_click(click.id)} == {PURCHASE, VIEW_CONTENT}


async def test_an_event_is_found_by_its_id_or_the_start_of_it_and_an_order_by_its_own(
    database: Database,
) -> None:
    ids = [UUID(f"abcdef0{n}-1111-5222-8333-444444444444") for n in (1, 2)]
    await database.put(*(row(event_id=event_id) for event_id in ids))
    await database.put(row(order_id="abcdef01"), row(order_id="A-2"), row(order_id="A-2", bot_id=2))

    async def found(name: str) -> list[UUID | str]:
        return [entry.order_id or entry.event_id for entry in await database.reading.of(name)]

    for name in (str(ids[0]), ids[0].hex.upper(), "abcdef01-1", "ABCDEF011"):
        assert await found(name) == [ids[0]], name
    assert await found("abcdef01") == ["abcdef01"], "an order before the start of an id"
    assert await found("A-2") == ["A-2", "A-2"], "of whatever bot"
    for name in ("abcdef0", "abcdef03", "nobody's", "", f"{ids[0]}0"):
        assert await found(name) == [], name


async def test_the_start_of_several_ids_is_refused(database: Database) -> None:
    ids = [UUID(f"abcdef01-000{n}-5222-8333-444444444444") for n in (1, 2)]
    await database.put(*(row(event_id=event_id) for event_id in ids))
    with pytest.raises(ConfigError, match="more than one event"):
        await database.reading.of("abcdef01")


async def test_what_failed_is_grouped_by_lane_state_code_and_reason_with_its_newest_event(
    database: Database,
) -> None:
    rows = [failed(event_at=NOW - n * HOUR) for n in range(3)]
    rows.append(failed(lane=HOOK, code="500", reason="it says no", event_at=NOW - HOUR))
    rows.append(failed(state="dead", code=None, reason="7 days are over", event_at=NOW - 30 * HOUR))
    await database.put(*rows, row(), row(state="pending"), row(state="skipped", reason="erased"))
    found = await database.reading.dead_letters(NOW - DAY)
    assert [(g.lane, g.state, g.code, g.count, g.first_at_ms, g.last_at_ms) for g in found] == [
        (META, "rejected", "100/2804009", 3, NOW - 2 * HOUR, NOW),
        (HOOK, "rejected", "500", 1, NOW - HOUR, NOW - HOUR),
    ]
    assert [g.example for g in found] == [rows[0]["event_id"], rows[3]["event_id"]]
    assert [g.state for g in await database.reading.dead_letters(0)] == ["rejected", "dead", "rejected"]


async def test_held_lanes_are_named_with_what_is_to_be_mended(database: Database) -> None:
    async with database.engine.begin() as connection:
        rows = [
            {"lane": META, "held_at": NOW, "hold_reason": "the token was refused"},
            {"lane": HOOK, "held_at": None, "hold_reason": None},
        ]
        await connection.execute(insert(lanes), rows)
    assert await database.reading.held() == {META: "the token was refused"}


# ---------------------------------------------------------------- due once more


async def test_what_failed_is_due_once_more_as_if_it_had_never_been_tried(database: Database) -> None:
    bad, dead = failed(trace="AbC", attempts=9), failed(state="dead", event_at=NOW - HOUR)
    kept = [row(), row(state="pending", attempts=3), row(state="skipped", reason="erased"), failed(lane=HOOK)]
    await database.put(bad, dead, *kept)
    wanted = Wanted(states=("rejected", "dead"), lane=META)
    assert await all_of(database, "failed", wanted, dry_run=True) == [2]
    before = await database.rows()
    assert [r.state for r in before.values()].count("rejected") == 2, "a dry run changes nothing"
    assert await all_of(database, "failed", wanted) == [2]
    after = await database.rows()
    for one in (bad, dead):
        found = after[one["event_id"], META]
        assert (found.state, found.attempts, found.next_at) == ("pending", 0, NOW)
        assert (found.reason, found.code, found.trace) == (None, None, None)
    for one in kept:
        key = one["event_id"], one["lane"]
        assert after[key] == before[key]
    assert await all_of(database, "failed", wanted) == [0]


async def test_looking_for_what_would_be_due_waits_for_no_erasure_and_so_holds_none_up(
    database: Database,
) -> None:
    """Where little is wanted of much, looking takes long: every start would wait behind an erasure that waits for it."""
    await database.put(failed(), row(), row(state="skipped", reason=NO_PIXEL, lane=UNATTRIBUTED))
    beside = make_engine(database.engine.url.render_as_string(hide_password=False), patience=PATIENT)
    async with asyncio.timeout(PATIENT / 3), beside.begin() as connection:
        await close_to_starts(connection)
        for kind in ("failed", "sent", "rerouted"):
            assert await all_of(database, kind, Wanted(states=("rejected",)), dry_run=True) == [1], kind
    await beside.dispose()


async def test_only_the_states_asked_for_are_due_once_more(database: Database) -> None:
    await database.put(failed(), failed(state="dead"))
    assert await all_of(database, "failed", Wanted(states=("dead",))) == [1]
    assert sorted(r.state for r in (await database.rows()).values()) == ["pending", "rejected"]


async def test_more_than_a_batch_is_moved_in_several_each_row_once(database: Database) -> None:
    """Many of one millisecond, as an import brings them."""
    count = 2 * BATCH + 7
    await database.put(*(failed(event_at=NOW - n // BATCH) for n in range(count)))
    wanted = Wanted(states=("rejected",))
    assert await all_of(database, "failed", wanted, dry_run=True) == [BATCH, BATCH, 7]
    assert await all_of(database, "failed", wanted) == [BATCH, BATCH, 7]
    assert await database.again.count(Wanted(states=("pending",))) == count


async def test_what_was_sent_is_due_once_more_under_its_own_id_and_keeps_when_it_was_first_sent(
    database: Database,
) -> None:
    late, early = row(sent_at=NOW - HOUR, matched="em"), row(sent_at=NOW - 2 * DAY)
    await database.put(late, early, row(lane=HOOK, sent_at=NOW), failed())
    wanted = Wanted(lane=META, sent_since_ms=NOW - DAY)
    assert await all_of(database, "sent", wanted) == [1]
    rows = await database.rows()
    found = rows[late["event_id"], META]
    assert (found.state, found.attempts, found.sent_at) == ("pending", 0, NOW - HOUR)
    assert rows[early["event_id"], META].state == "sent"
    count = database.again.count
    assert await count(Wanted(lane=META, states=("sent",), sent_before_ms=NOW - DAY)) == 1
    matched: dict[UUID, tuple[str, ...]] = {late["event_id"]: ("em",)}
    await SqlOutbox(database.engine).sent(META, matched, trace=None, at_ms=NOW)
    assert (await database.rows())[late["event_id"], META].sent_at == NOW - HOUR


async def test_nothing_of_somebody_who_is_erased_is_due_once_more(database: Database) -> None:
    """Neither what was sent, nor what failed, nor what was skipped before; with a click and without."""
    await database.put(row(telegram_id=6, sent_at=NOW))
    await database.erasures.erase(6, person_key=person_key(6), at_ms=NOW + HOUR)
    for state, person in (("sent", 7), ("rejected", 8), ("skipped", 9)):
        click = full_click(link_id=1)
        await database.ledger.settle([click], [start_of(click, person)], [])
        reason = "the link has no pixel" if state == "skipped" else None
        lane = UNATTRIBUTED if state == "skipped" else META
        await database.put(
            row(state=state, click_id=click.id, reason=reason, lane=lane, sent_at=NOW, telegram_id=None)
        )
        await database.erasures.erase(person, person_key=person_key(person), at_ms=NOW + HOUR)
    before = await database.rows()
    assert await all_of(database, "sent", Wanted(lane=META)) == [0]
    assert await all_of(database, "failed", Wanted(states=("rejected", "dead"))) == [0]
    assert await all_of(database, "rerouted", Wanted()) == [0]
    assert await all_of(database, "skipped", Wanted(), because=("the link",)) == [0]
    assert await database.rows() == before


# ---------------------------------------------------------------- skipped because of the link


async def a_start(database: Database) -> UUID:
    """Its ViewContent is owed by the link as it is; the event's id."""
    click = full_click(link_id=1)
    await database.ledger.settle([click], [start_of(click)], [])
    [(event_id, _)] = [key for key, found in (await database.rows()).items() if found.click_id == click.id][
        :1
    ]
    return event_id


async def test_what_had_no_pixel_goes_to_the_one_that_its_link_has_by_now(database: Database) -> None:
    """And through no webhook a second time, nor to one that is newer."""
    await database.add_webhook()
    await database.set(links, pixel_id=None)
    event_id = await a_start(database)
    assert await database.states() == {UNATTRIBUTED: "skipped", HOOK: "pending"}
    assert await all_of(database, "rerouted", Wanted()) == [0], "still no pixel"
    await database.set(links, pixel_id="123456789")
    await database.set(outbox, attempts=1)
    await database.add_webhook("newer")
    assert await all_of(database, "rerouted", Wanted(), dry_run=True) == [1]
    assert await database.states() == {UNATTRIBUTED: "skipped", HOOK: "pending"}
    assert await all_of(database, "rerouted", Wanted()) == [1]
    assert await database.states() == {META: "pending", HOOK: "pending"}
    rows = await database.rows()
    moved = rows[event_id, META]
    assert (moved.reason, moved.attempts, moved.next_at, moved.event) == (None, 0, NOW, VIEW_CONTENT)
    assert rows[event_id, HOOK].attempts == 1
    assert await all_of(database, "rerouted", Wanted()) == [0]


async def test_an_event_that_its_link_reports_by_now_goes_to_the_pixel_and_to_every_webhook(
    database: Database,
) -> None:
    await database.add_webhook()
    await database.set(links, events_off="PageView ViewContent")
    await a_start(database)
    assert await database.states() == {UNATTRIBUTED: "skipped"}
    assert await all_of(database, "rerouted", Wanted()) == [0], "still off"
    await database.set(links, events_off="PageView")
    assert await all_of(database, "rerouted", Wanted()) == [2]
    assert await database.states() == {META: "pending", HOOK: "pending"}


async def test_an_event_that_is_reported_by_now_by_a_link_without_pixel_goes_to_webhooks_and_says_so(
    database: Database,
) -> None:
    await database.set(links, events_off="PageView ViewContent", pixel_id=None)
    event_id = await a_start(database)
    await database.set(links, events_off="PageView")
    assert await all_of(database, "rerouted", Wanted()) == [0], "there is nowhere to go"
    await database.add_webhook()
    assert await all_of(database, "rerouted", Wanted()) == [1]
    assert await database.states() == {UNATTRIBUTED: "skipped", HOOK: "pending"}
    assert (await database.rows())[event_id, UNATTRIBUTED].reason == "the link has no pixel"


async def test_what_was_skipped_for_a_reason_that_may_have_passed_is_due_where_it_was(
    database: Database,
) -> None:
    robot = row(state="skipped", reason="traffic class bot")
    lonely = row(state="skipped", lane=UNATTRIBUTED, reason="no click of this person is known")
    await database.put(robot, lonely, row(state="skipped", reason="erased"), row(reason="traffic class bot"))
    because = ("traffic class ", "no click of this person is known")
    assert await all_of(database, "skipped", Wanted(), dry_run=True, because=because) == [2]
    assert await all_of(database, "skipped", Wanted(), because=because) == [2]
    rows = await database.rows()
    for one in (robot, lonely):
        found = rows[one["event_id"], one["lane"]]
        assert (found.state, found.reason, found.next_at) == ("pending", None, NOW)
    assert sorted(found.state for found in rows.values()) == ["pending", "pending", "sent", "skipped"]


async def test_what_was_skipped_for_another_reason_stays(database: Database) -> None:
    rows = [row(state="skipped", lane=UNATTRIBUTED, reason=reason) for reason in ("erased", "Sec-GPC", None)]
    await database.put(*rows)
    assert await all_of(database, "rerouted", Wanted()) == [0]
    assert set((await database.states()).values()) == {"skipped"}


async def test_a_conversion_that_is_moved_keeps_all_that_it_says(database: Database) -> None:
    said = {"order_id": "A-1", "value": 5, "currency": "BRL", "custom": {"a": 1}, "person": {"em": ["x"]}}
    one = row(state="skipped", lane=UNATTRIBUTED, reason="the link has no pixel", **said)
    await database.put(one)
    before = (await database.rows())[one["event_id"], UNATTRIBUTED]._asdict()
    await all_of(database, "rerouted", Wanted())
    after = (await database.rows())[one["event_id"], META]._asdict()
    changed = {name for name, value in after.items() if value != before[name]}
    assert changed == {"lane", "state", "reason", "attempts"}


# ---------------------------------------------------------------- what it costs


MANY = 4000


async def many(database: Database) -> None:
    """A day of events, most of them sent; the engine knows how they are spread."""
    batch = [full_click(id=new_id(NOW - n * 20_000), link_id=1) for n in range(MANY)]
    rows = [
        row(
            event_at=NOW - n * 20_000,
            click_id=click.id,
            state=("pending", "rejected", "dead")[n % 3] if n % 100 == 0 else "sent",
            order_id=f"A-{n}" if n % 50 == 0 else None,
            sent_at=NOW,
        )
        for n, click in enumerate(batch)
    ]
    async with database.engine.begin() as connection:
        values = [{"id": c.id, "link_id": 1, "node": 0, "ad_key": c.ad_key, "clicked_at": NOW} for c in batch]
        await connection.execute(insert(clicks), values)
        names = [{"username": f"b{n}_bot", "username_key": f"b{n}_bot", "created_at": NOW} for n in range(9)]
        await connection.execute(insert(bots), names)
        await connection.execute(insert(outbox), rows)
    async with database.engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("ANALYZE"))


async def test_no_command_reads_through_the_outbox(database: Database) -> None:
    """The plan of every statement that goes to the database names an index of the outbox, and no scan of it."""
    await many(database)
    since = Wanted(since_ms=NOW - 10 * 60_000)
    reading, again = database.reading, database.again
    event_id = next(iter(await database.rows()))[0]
    with database.listened():
        await reading.newest(since, 50)
        await reading.newest(replace(since, lane=META, event=LEAD), 50)
        await reading.newest(Wanted(states=("pending",), lane=META), 50)
        await reading.newest(Wanted(states=("rejected",)), 50)
        await reading.newest(Wanted(states=("rejected", "dead")), 50)
        await reading.counts(since)
        await reading.of("A-50")
        await reading.of(str(event_id))
        await reading.of_click(new_id())
        await reading.dead_letters(NOW - DAY)
        for dry_run in (True, False):
            kind = {"now_ms": NOW, "dry_run": dry_run}
            await again.failed(Wanted(states=("rejected", "dead")), None, **kind)
            place = Place(NOW - HOUR, event_id, META)
            await again.failed(Wanted(states=("dead",), since_ms=NOW - 2 * HOUR), place, **kind)
            await again.sent(replace(since, lane=META), None, **kind)
            await again.rerouted(since, None, **kind)
        await again.count(Wanted(states=("dead",)))
    plans = await database.plans()
    assert len(plans) > 15
    for said, plan in plans:
        assert re.search(r"ix_outbox_|pk_outbox|sqlite_autoindex_outbox", plan), f"{said}\n\n{plan}"
        assert not re.search(r"Seq Scan on outbox|SCAN outbox$", plan, re.MULTILINE), f"{said}\n\n{plan}"


async def test_what_failed_is_found_by_its_own_small_index(database: Database) -> None:
    await many(database)
    with database.listened():
        await database.reading.dead_letters(0)
        await database.reading.newest(Wanted(states=("rejected", "dead")), 50)
        await database.reading.newest(Wanted(states=("dead",)), 50)
        await database.again.count(Wanted(states=("rejected",)))
    for said, plan in await database.plans():
        assert "ix_outbox_failed" in plan, f"{said}\n\n{plan}"
