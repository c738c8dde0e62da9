"""What is promised of the people of a bot, on SQLite and on PostgreSQL: touches, answers, blocks, and nobody comes back."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.people import SqlPeople
from backends.sql.retention import SqlRetention
from backends.sql.schema import bot_users, starts
from domain.attribution import Owner, Start
from domain.click import Click
from domain.enrichment import Agent, Enrichment
from domain.ids import random_uuid
from domain.people import BotUser, Reply, ReplyOutcome
from tests.making import NOW, PATIENT, full_click, new_id, person_key, ref, start_of
from tests.recount import as_kept, recount

BOT, ANA, BIA = 1, 7, 8
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
ON_A_PHONE = Enrichment(agent=Agent("phone", "Android", "14", "Chrome", "126", "Instagram"))


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    people: SqlPeople
    erasures: SqlErasures

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row) for row in found.mappings()]

    async def ana(self) -> BotUser:
        known = await self.people.person(Owner(bot_id=BOT, telegram_id=ANA))
        assert known is not None
        return known

    async def touches(self, person: int = ANA) -> tuple[UUID | None, UUID | None]:
        """The clicks of the first and the last touch."""
        known = await self.people.person(Owner(bot_id=BOT, telegram_id=person))
        assert known is not None
        first, last = known.first_touch, known.last_touch
        return first and first.tracking_session_id, last and last.tracking_session_id

    async def bring(self, start: Start, *, settled: bool) -> None:
        """A start, the one way or the other; settled twice, as it may be."""
        if settled:
            await self.ledger.settle([], [start], [])
            await self.ledger.settle([], [start], [])
        else:
            await self.ledger.record_start(start, None)

    async def block(self, at_ms: int, *, blocked: bool = True) -> None:
        await self.people.note_block(Owner(bot_id=BOT, telegram_id=ANA), blocked=blocked, at_ms=at_ms)


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    yield Database(engine, SqlLedger(engine, person_key), SqlPeople(engine), SqlErasures(engine))
    await engine.dispose()


def direct(at_ms: int, person: int = ANA, update_id: int = 1) -> Start:
    return Start.direct(Owner(bot_id=BOT, telegram_id=person), at_ms=at_ms, update_id=update_id)


# ---------------------------------------------------------------- touches


async def test_the_first_touch_stays_and_the_last_one_moves(database: Database) -> None:
    """Four clicks over days, each with its start: the first and the last are the touches."""
    batch = [full_click(id=new_id(NOW + n * DAY)) for n in range(4)]
    seen = []
    for n, click in enumerate(batch):
        await database.ledger.record_start(start_of(click, at_ms=NOW + n * DAY + SECOND), click)
        seen.append(await database.touches())
    assert seen == [(batch[0].id, click.id) for click in batch]
    known = await database.ana()
    assert (known.first_started_at_ms, known.last_started_at_ms) == (NOW + SECOND, NOW + 3 * DAY + SECOND)


async def test_a_direct_start_and_a_taken_token_move_only_the_time_of_the_last_start(
    database: Database,
) -> None:
    hers, his = full_click(), full_click()
    await database.ledger.record_start(start_of(his, BIA), his)
    await database.ledger.record_start(start_of(hers, at_ms=NOW + 10), hers)
    for at_ms, start in (
        (NOW + 20, direct(NOW + 20)),
        (NOW + 30, start_of(his, at_ms=NOW + 30)),
    ):
        await database.ledger.record_start(start, None)
        known = await database.ana()
        assert (known.first_started_at_ms, known.last_started_at_ms) == (NOW + 10, at_ms)
        assert await database.touches() == (hers.id, hers.id)


async def test_somebody_who_never_won_a_click_has_no_touch_and_gets_both_with_the_first_that_they_win(
    database: Database,
) -> None:
    await database.ledger.record_start(direct(NOW), None)
    assert await database.touches() == (None, None)
    click = full_click()
    await database.ledger.record_start(start_of(click, at_ms=NOW + 5), click)
    assert await database.touches() == (click.id, click.id)
    assert (await database.ana()).first_started_at_ms == NOW


async def test_every_order_of_starts_whichever_way_each_comes_gives_the_same_row(database: Database) -> None:
    """I12. Two ties, a direct start, a taken token, a repeat; half of them recorded, half settled, some clicks never there."""
    taken = full_click()
    await database.ledger.settle([taken], [start_of(taken, BIA)], [])
    kept = []
    for number, order in enumerate(itertools.permutations(range(5))):
        person = 1000 + number
        batch = sorted((full_click() for _ in range(3)), key=lambda click: click.id)
        begun = [
            start_of(batch[1], person, at_ms=NOW + 20, update_id=1),
            start_of(batch[0], person, at_ms=NOW + 20, update_id=2),
            start_of(batch[2], person, at_ms=NOW + 10, update_id=3),
            start_of(taken, person, at_ms=NOW + 30, update_id=4),
            direct(NOW + 5, person, update_id=5),
        ]
        await database.ledger.settle(batch[:1], [], [])
        for turn, which in enumerate(order):
            await database.bring(begun[which], settled=(number + turn) % 2 == 0)
        await database.bring(begun[order[0]], settled=number % 2 == 0)
        names = {click.id: name for name, click in zip("abc", batch, strict=True)}
        [row] = [row for row in await database.rows(bot_users) if row["telegram_id"] == person]
        kept.append({name: names.get(value, value) for name, value in row.items() if name != "telegram_id"})
    assert kept == [
        {
            "bot_id": BOT,
            "first_started_at": NOW + 5,
            "last_started_at": NOW + 30,
            "first_click_id": "c",
            "first_click_at": NOW + 10,
            "last_click_id": "b",
            "last_click_at": NOW + 20,
            "blocked": False,
            "blocked_at": None,
        }
    ] * len(kept)


async def test_a_batch_settled_at_once_gives_what_a_recount_of_the_starts_does(database: Database) -> None:
    """Many people, some in two bots, whose tokens go round: every row equals the plain recount."""
    batch = [full_click() for _ in range(12)]
    begun = [
        Start.with_token(
            Owner(bot_id=1 + n % 2, telegram_id=1 + n % 5), ref(click), at_ms=NOW + n * 7 % 11, update_id=n
        )
        for n, click in enumerate(batch * 3)
    ]
    begun += [direct(NOW + n, person=n % 6, update_id=100 + n) for n in range(9)]
    await database.ledger.settle(batch, begun[::-1], [])
    once = await database.rows(bot_users)
    assert as_kept(once) == recount(await database.rows(starts))
    assert len(once) == 11
    await database.ledger.settle(batch, begun, [])
    for start in begun:
        await database.ledger.record_start(start, None)
    assert await database.rows(bot_users) == once


async def test_a_start_whose_click_has_not_come_yet_is_a_touch_at_once(database: Database) -> None:
    click = full_click()
    await database.ledger.record_start(start_of(click), None)
    touch = (await database.ana()).last_touch
    assert touch is not None
    assert (touch.tracking_session_id, touch.link_id, touch.ip_hash) == (click.id, click.link_id, None)
    await database.ledger.settle([click], [], [])
    touch = (await database.ana()).last_touch
    assert touch is not None
    assert touch.ip_hash == (click.visitor_key or b"").hex()


async def test_a_deferred_start_settles_into_the_row_that_a_later_one_has_made(database: Database) -> None:
    """F5: it lay in a spool for days, and takes the place of the first touch, not of the last."""
    early, late = full_click(), full_click(id=new_id(NOW + 3 * DAY))
    await database.ledger.record_start(start_of(late, at_ms=NOW + 3 * DAY + 1), late)
    await database.ledger.settle([early], [start_of(early, at_ms=NOW + 1)], [])
    assert await database.touches() == (early.id, late.id)


@pytest.mark.parametrize("settled", [True, False])
async def test_an_update_delivered_again_does_not_make_an_old_click_the_last_touch(
    database: Database, settled: bool
) -> None:
    """It is the same start, though its clock says another time now."""
    old, new = full_click(), full_click()
    await database.bring(start_of(old, at_ms=NOW + 10, update_id=1), settled=settled)
    await database.bring(start_of(new, at_ms=NOW + 20, update_id=2), settled=settled)
    await database.bring(start_of(old, at_ms=NOW + 30, update_id=1), settled=settled)
    assert await database.touches() == (old.id, new.id)
    assert (await database.ana()).last_started_at_ms == NOW + 20


async def test_bots_know_the_same_person_apart(database: Database) -> None:
    """Never compared across bots: a start in one says nothing to the other."""
    click = full_click()
    await database.ledger.record_start(start_of(click), click)
    other = Owner(bot_id=2, telegram_id=ANA)
    assert await database.people.person(other) is None
    await database.ledger.record_start(Start.direct(other, at_ms=NOW, update_id=1), None)
    known = await database.people.person(other)
    assert known is not None
    assert known.last_touch is None


async def test_a_person_is_shown_with_what_is_known_of_their_clicks(database: Database) -> None:
    """By join: what is added to the click, or taken from it, is seen at once."""
    click = full_click(link_id=3)
    await database.ledger.settle([click], [start_of(click)], [], (), {click.id: ON_A_PHONE})
    touch = (await database.ana()).last_touch
    assert touch is not None
    assert touch == (await database.ana()).first_touch
    assert (touch.started_at_ms, touch.click_timestamp_ms, touch.link_id) == (NOW + 1000, click.at_ms, 3)
    assert (touch.ip_hash, touch.user_agent) == (bytes(range(16)).hex(), "Chrome 126, Android 14, phone")
    await database.ledger.discard(click.id)
    touch = (await database.ana()).last_touch
    assert touch is not None
    assert (touch.tracking_session_id, touch.ip_hash, touch.user_agent) == (click.id, None, None)


async def test_many_transactions_with_the_same_people_neither_lose_a_touch_nor_deadlock(
    database: Database,
) -> None:
    """Settlers that bring the same people in opposite orders, and starts beside them."""
    batch = [full_click() for _ in range(40)]
    begun = [
        start_of(click, 1 + n % 10 if n < 20 else 10 - n % 10, at_ms=NOW + n, update_id=n)
        for n, click in enumerate(batch)
    ]
    await asyncio.gather(
        *(database.ledger.settle([], begun[at : at + 10], []) for at in range(0, 40, 10)),
        *(database.ledger.record_start(direct(NOW + 50 + n, 1 + n % 10, 100 + n), None) for n in range(20)),
    )
    assert as_kept(await database.rows(bot_users)) == recount(await database.rows(starts))


async def test_two_settlers_that_bring_the_same_people_in_opposite_orders_do_not_deadlock(
    database: Database,
) -> None:
    """Both wait for one row in the middle, which somebody else holds; then both go on."""
    people = range(1, 10)
    await database.ledger.settle([], [direct(NOW, person) for person in people], [])
    batch = sorted((full_click() for _ in range(18)), key=lambda click: click.id)
    order = [*people, *reversed(people)]
    begun = [start_of(click, person, update_id=2) for click, person in zip(batch, order, strict=True)]
    begun[9:] = [replace(start, id=random_uuid()) for start in begun[9:]]
    async with database.engine.begin() as connection:
        middle = bot_users.c.telegram_id == 5
        await connection.execute(bot_users.update().where(middle).values(blocked=False))
        settling = asyncio.gather(*(database.ledger.settle([], begun[at : at + 9], []) for at in (0, 9)))
        done, _ = await asyncio.wait([asyncio.ensure_future(settling)], timeout=1.0)
        assert not done
    await settling
    assert as_kept(await database.rows(bot_users)) == recount(await database.rows(starts))


# ---------------------------------------------------------------- erasure and retention


async def test_an_erasure_leaves_no_row_in_any_bot_and_nobody_elses_is_touched(database: Database) -> None:
    batch = [full_click() for _ in range(2)]
    begun = [start_of(batch[0]), start_of(batch[1], BIA)]
    begun.append(Start.direct(Owner(bot_id=2, telegram_id=ANA), at_ms=NOW, update_id=1))
    await database.ledger.settle(batch, begun, [])
    bia = [row for row in await database.rows(bot_users) if row["telegram_id"] == BIA]
    erased = await database.erasures.erase(ANA, person_key=person_key(ANA), at_ms=NOW + HOUR)
    assert erased.bot_users == 2
    assert await database.rows(bot_users) == bia
    [line] = await database.erasures.audit()
    assert line.detail == {"clicks": 1, "starts": 2, "conversions": 1, "bot_users": 2}


@pytest.mark.parametrize("settled", [True, False])
async def test_late_starts_blocks_and_answers_do_not_bring_an_erased_person_back(
    database: Database, settled: bool
) -> None:
    """I5: nor does a copy of a start that had been recorded, nor one that never was."""
    click, other = full_click(), full_click()
    recorded, late = start_of(click), start_of(other, at_ms=NOW + 2000)
    await database.ledger.record_start(recorded, click)
    await database.erasures.erase(ANA, person_key=person_key(ANA), at_ms=NOW + HOUR)
    for start in (recorded, late, direct(NOW + HOUR)):
        await database.bring(start, settled=settled)
    await database.block(NOW + 2 * HOUR)
    missing = await database.people.note_replies([reply(recorded), reply(late)])
    assert missing == {recorded.id, late.id}
    assert await database.rows(bot_users) == await database.rows(starts) == []


async def test_somebody_who_comes_back_after_an_erasure_is_new(database: Database) -> None:
    click, new = full_click(), full_click(id=new_id(NOW + DAY))
    await database.ledger.record_start(start_of(click), click)
    await database.erasures.erase(ANA, person_key=person_key(ANA), at_ms=NOW + HOUR)
    await database.ledger.record_start(start_of(new, at_ms=NOW + DAY), new)
    await database.ledger.settle([click], [start_of(click)], [])
    assert await database.touches() == (new.id, new.id)
    assert (await database.ana()).first_started_at_ms == NOW + DAY


async def test_a_person_is_deleted_when_their_last_start_has_had_its_time(database: Database) -> None:
    """However long ago the first was; in batches, those who were seen least recently first."""
    retention = SqlRetention(database.engine)
    times = ((1, NOW - 3), (2, NOW - 2), (3, NOW), (3, NOW - DAY), (4, NOW - 1))
    for number, (person, at_ms) in enumerate(times):
        await database.ledger.record_start(direct(at_ms, person, update_id=number), None)
    due = await retention.bot_users_due(NOW)
    assert (due.rows, due.oldest_ms) == (3, NOW - 3)
    assert await retention.delete_bot_users(NOW, 2) == 2
    assert [row["telegram_id"] for row in await database.rows(bot_users)] == [3, 4]
    assert [await retention.delete_bot_users(NOW, 2) for _ in range(2)] == [1, 0]
    assert [row["first_started_at"] for row in await database.rows(bot_users)] == [NOW - DAY]


async def test_a_first_touch_stays_what_it_was_when_its_click_has_had_its_time(database: Database) -> None:
    """Its id and time are all that is left of it: a later click does not become the first."""
    old, new = full_click(), full_click(id=new_id(NOW + 400 * DAY))
    await database.ledger.record_start(start_of(old), old)
    await database.ledger.record_start(start_of(new, at_ms=NOW + 400 * DAY), new)
    await SqlRetention(database.engine).aggregate_and_delete(NOW + DAY, 100)
    assert await database.touches() == (old.id, new.id)
    touch = (await database.ana()).first_touch
    assert touch is not None
    assert (touch.link_id, touch.ip_hash, touch.user_agent) == (None, None, None)


# ---------------------------------------------------------------- blocks


Word = tuple[str, int]


@pytest.mark.parametrize(
    ("words", "blocked", "at"),
    [
        ([("block", 20)], True, 20),
        ([("block", 20), ("start", 30)], False, 20),
        ([("start", 10), ("block", 20), ("start", 15)], True, 20),
        ([("block", 20), ("unblock", 25), ("block", 30)], True, 30),
        ([("block", 20), ("unblock", 25), ("start", 22)], False, 25),
        ([("block", 20), ("start", 30), ("block", 40), ("unblock", 35)], True, 40),
        ([("block", 20), ("unblock", 20), ("start", 20)], True, 20),
    ],
)
async def test_the_newest_of_blocks_and_starts_counts_in_whatever_order_they_come(
    database: Database, words: list[Word], blocked: bool, at: int
) -> None:
    for number, order in enumerate(itertools.permutations(words)):
        owner = Owner(bot_id=BOT, telegram_id=1000 + number)
        await database.ledger.record_start(direct(NOW, owner.telegram_id, update_id=0), None)
        for word, moment in order:
            if word == "start":
                await database.ledger.record_start(direct(NOW + moment, owner.telegram_id, moment), None)
            else:
                await database.people.note_block(owner, blocked=word == "block", at_ms=NOW + moment)
        known = await database.people.person(owner)
        assert known is not None
        assert (known.blocked, known.blocked_at_ms) == (blocked, NOW + at), order


async def test_a_block_by_somebody_unknown_makes_nobody_known(database: Database) -> None:
    await database.block(NOW)
    await database.block(NOW, blocked=False)
    assert await database.rows(bot_users) == []


# ---------------------------------------------------------------- answers


def reply(start: Start, outcome: ReplyOutcome = "sent", at_ms: int = NOW + 5000) -> Reply:
    return Reply(start_id=start.id, outcome=outcome, at_ms=at_ms)


async def some_starts(database: Database, count: int) -> Sequence[Start]:
    batch: list[Click] = [full_click() for _ in range(count)]
    begun = [start_of(click, update_id=n) for n, click in enumerate(batch)]
    await database.ledger.settle(batch, begun, [])
    return begun


async def test_an_answer_is_recorded_once_and_repeating_it_changes_nothing(database: Database) -> None:
    sent, refused, neither = await some_starts(database, 3)
    for _ in range(2):
        assert await database.people.note_replies([reply(sent), reply(refused, "refused")]) == set()
    await database.people.note_replies([reply(sent, "refused", NOW + 9000), reply(refused, "sent", NOW)])
    rows = {row["id"]: (row["reply"], row["replied_at"]) for row in await database.rows(starts)}
    assert rows == {
        sent.id: ("sent", NOW + 5000),
        refused.id: ("refused", NOW + 5000),
        neither.id: (None, None),
    }
    asked = [sent.id, refused.id, neither.id, random_uuid()]
    assert await database.people.replied(asked) == {sent.id, refused.id}


async def test_settling_a_start_again_leaves_its_answer(database: Database) -> None:
    [start] = await some_starts(database, 1)
    await database.people.note_replies([reply(start)])
    await database.ledger.settle([], [start], [])
    assert await database.people.replied([start.id]) == {start.id}


async def test_answers_to_starts_that_are_not_here_yet_are_given_back_and_taken_later(
    database: Database,
) -> None:
    """The start lies in a spool still; the others of the same call are recorded."""
    [here] = await some_starts(database, 1)
    late = start_of(full_click(), BIA)
    answers = [reply(late), reply(here)]
    assert await database.people.note_replies(answers) == {late.id}
    assert await database.people.replied([here.id, late.id]) == {here.id}
    await database.ledger.settle([], [late], [])
    assert await database.people.note_replies(answers) == set()
    assert await database.people.replied([here.id, late.id]) == {here.id, late.id}


async def test_more_starts_than_one_statement_takes_are_asked_for_and_recorded(database: Database) -> None:
    begun = [direct(NOW, update_id=n) for n in range(1100)]
    await database.ledger.settle([], begun, [])
    absent = {random_uuid() for _ in range(700)}
    answers = [reply(start) for start in begun]
    answers += [Reply(start_id=start_id, outcome="sent", at_ms=NOW) for start_id in absent]
    assert await database.people.note_replies(answers) == absent
    assert await database.people.replied([answer.start_id for answer in answers]) == {s.id for s in begun}


async def test_nothing_asked_is_nothing_answered(database: Database) -> None:
    assert await database.people.note_replies([]) == set()
    assert await database.people.replied([]) == set()
