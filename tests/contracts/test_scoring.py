"""What the list of clicks to be scored promises, on SQLite and on PostgreSQL: who is on it, what is counted, what is written."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.codec import pack
from backends.sql import scoring
from backends.sql.engine import make_engine
from backends.sql.enrichment import ENRICHMENT_COLUMNS
from backends.sql.ledger import SqlLedger
from backends.sql.schema import clicks
from backends.sql.scoring import MOST_VISITORS, SqlScoring
from daemon.scoring import BATCH, START_WAIT_MS, Rescored, Scoring
from domain.attribution import Owner, Start
from domain.books import MINUTE_MS
from domain.click import Click
from domain.clock import ManualClock
from domain.enrichment import TRAFFIC_CLASSES, Agent, Enrichment, Geo, Reason, Score, Scores, Traffic
from domain.ids import first_uuid7
from domain.outcomes import Counts, Scorable
from tests.making import NOW, PATIENT, bare_click, full_click, new_id, person_key, ref, start_of

FIRST = first_uuid7(0)
PLACE = Enrichment(
    geo=Geo("BR", "SP", "São Paulo", 28573, "dbip-city 2026-06"),
    agent=Agent("phone", "Android", "14", "Instagram", "126", "Instagram"),
    traffic=Traffic("in_app", ("agent:instagram",)),
    repeats=1,
)
TENTATIVE = PLACE._replace(traffic=Traffic("prefetch", ("prefetch:purpose",), tentative=True))
SCORED = PLACE._replace(
    scores=Scores(Score(30, (Reason("fast_start", 30, "started 1.0 s after the click"),)), Score(), 20, 0)
)


@dataclass(frozen=True)
class Database:
    engine: AsyncEngine
    ledger: SqlLedger
    scoring: SqlScoring

    async def settle(self, *batch: Click, added: Enrichment | None = PLACE) -> None:
        """Settle clicks, with what was added to them."""
        await self.ledger.settle(batch, [], [], (), {click.id: added for click in batch} if added else {})

    async def start(self, click: Click, person: int = 7, *, after_ms: int = 1000, bot_id: int = 1) -> None:
        """Somebody presses START with the click's token."""
        owner = Owner(bot_id=bot_id, telegram_id=person)
        start = Start.with_token(owner, ref(click), at_ms=click.at_ms + after_ms, update_id=None)
        await self.ledger.record_start(start, None)

    async def due(self, limit: int = 100, waited_for: UUID = FIRST) -> list[Scorable]:
        return await self.scoring.due(limit, waited_for)

    async def is_due(self, click: Click, waited_for: UUID = FIRST) -> bool:
        return click in [item.click for item in await self.due(waited_for=waited_for)]

    async def one(self, click: Click) -> Scorable:
        """The click as whoever scores everything sees it."""
        (found,) = [item for item in await self.scoring.after(FIRST, 10_000) if item.click == click]
        return found

    async def score(self, *items: Scorable, with_: Enrichment = SCORED) -> None:
        """Write scores into which a start that had come by then was counted."""
        counts = [
            replace(item.counts, started=item.counts.started_at_ms is not None or None) for item in items
        ]
        known = [replace(item, counts=counted) for item, counted in zip(items, counts, strict=True)]
        await self.scoring.write([(item, with_) for item in known], NOW)

    async def row(self, click: Click) -> dict[str, Any]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(clicks).where(clicks.c.id == click.id))
            return dict(found.mappings().one())


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def database(request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    engine = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    yield Database(engine, SqlLedger(engine, person_key), SqlScoring(engine))
    await engine.dispose()


# ---------------------------------------------------------------- who is due


async def test_what_sql_took_directly_is_due_until_it_is_scored(database: Database) -> None:
    """A click that no worker has enriched waits for it, whether anybody starts or not."""
    click = full_click()
    await database.ledger.put(click)
    (item,) = await database.due()
    assert item == Scorable(click=click, counts=Counts(fbclid_visitors=1), kept=None)
    await database.score(item)
    assert await database.due() == []
    row = await database.ledger.row(click.id)
    assert row is not None
    assert row.enrichment == SCORED


async def test_a_settled_click_that_nobody_started_is_not_due_however_old(database: Database) -> None:
    click = full_click()
    await database.settle(click)
    assert await database.due(waited_for=new_id(NOW + 10)) == []


async def test_a_start_makes_its_click_due_until_it_is_counted(database: Database) -> None:
    """Whichever of the two comes first."""
    early, late = full_click(), full_click(id=new_id(NOW + 1))
    await database.settle(early)
    await database.start(early)
    await database.start(late)
    assert [item.click for item in await database.due()] == [early], "a start without its click can wait"
    await database.settle(late)
    items = await database.due()
    assert [(item.click, item.counts.started_at_ms, item.kept) for item in items] == [
        (early, NOW + 1000, PLACE),
        (late, NOW + 1001, PLACE),
    ]
    await Scoring(database.scoring, lambda *_: SCORED, ManualClock(now_ms=NOW)).due()
    assert await database.due() == []
    assert {(await database.row(click))["scored_at"] for click in (early, late)} == {NOW}


async def test_a_tentative_click_that_nobody_started_is_due_once_its_time_is_over(database: Database) -> None:
    click = full_click()
    await database.settle(click, added=TENTATIVE)
    assert not await database.is_due(click, first_uuid7(NOW))
    assert await database.is_due(click, first_uuid7(NOW + 1))


async def test_that_nobody_started_is_settled_only_once_its_time_is_over(database: Database) -> None:
    """And who starts after that is counted all the same."""
    click = full_click()
    clock = ManualClock(now_ms=NOW)
    seen: list[Counts] = []

    def enrich(click: Click, counts: Counts, kept: Enrichment | None) -> Enrichment:
        seen.append(counts)
        return kept or TENTATIVE

    scoring = Scoring(database.scoring, enrich, clock)
    await database.ledger.put(click)
    assert [await scoring.due(), await scoring.due()] == [1, 0]
    clock.advance(START_WAIT_MS / 1000)
    assert await scoring.due() == 0
    clock.advance(0.001)
    assert [await scoring.due(), await scoring.due()] == [1, 0]
    await database.start(click, after_ms=2 * START_WAIT_MS)
    assert [await scoring.due(), await scoring.due()] == [1, 0]
    assert [counts.started for counts in seen] == [None, False, True]


async def test_a_second_person_with_its_token_makes_it_due_again_and_a_repeat_does_not(
    database: Database,
) -> None:
    """I12: the same START again, by the owner or the other, changes no row."""
    click = full_click()
    await database.settle(click)
    await database.start(click, 1)
    await database.score(*await database.due())
    await database.start(click, 1, after_ms=9000)
    assert await database.due() == []
    await database.start(click, 2)
    (item,) = await database.due()
    assert (item.counts.token_users, item.counts.started_at_ms) == (2, NOW + 1000)
    await database.score(item)
    before = await database.row(click)
    await database.start(click, 2, after_ms=9000)
    await database.ledger.settle([click], [start_of(click, 2), start_of(click, 1)], [], (), {click.id: PLACE})
    assert await database.row(click) == before


async def test_an_erased_click_is_on_no_list_and_takes_no_score(database: Database) -> None:
    """Also when it is erased between reading and writing."""
    put, started, waiting = (full_click(id=new_id(NOW + at)) for at in range(3))
    await database.ledger.put(put)
    await database.settle(started)
    await database.start(started)
    await database.settle(waiting, added=TENTATIVE)
    later = new_id(NOW + 10)
    items = await database.due(waited_for=later)
    assert [item.click for item in items] == [put, started, waiting]
    for click in (put, started, waiting):
        await database.ledger.discard(click.id)
    assert await database.due(waited_for=later) == await database.scoring.after(FIRST, 10) == []
    before = [await database.row(click) for click in (put, started, waiting)]
    await database.score(*items)
    assert [await database.row(click) for click in (put, started, waiting)] == before
    assert {row[name] for row in before for name in ENRICHMENT_COLUMNS} == {None}


async def test_the_oldest_are_due_first_and_no_more_than_asked_for(database: Database) -> None:
    batch = [full_click(id=new_id(NOW + at)) for at in (5, 1, 9, 3)]
    for click in batch:
        await database.ledger.put(click)
    assert [item.click.at_ms - NOW for item in await database.due(limit=3)] == [1, 3, 5]


# ---------------------------------------------------------------- what is counted


async def test_people_on_one_token_are_counted_once_each_and_on_their_own_click_only(
    database: Database,
) -> None:
    shared, other = full_click(), full_click()
    await database.settle(shared, other)
    for person in (1, 2, 2, 3):
        await database.start(shared, person)
    await database.start(shared, 3, bot_id=2)
    await database.start(other, 9)
    assert (await database.one(shared)).counts.token_users == 3
    assert (await database.one(other)).counts.token_users == 1


async def test_visitors_with_one_fbclid_are_counted_once_each(database: Database) -> None:
    keys = [bytes([number]) * 16 for number in (1, 2, 2, 3)]
    batch = [full_click(visitor_key=key) for key in keys]
    unknown, other, without = (
        full_click(visitor_key=None),
        full_click(fbclid_key=b"x" * 16, visitor_key=b"y" * 16),
        full_click(fbclid_key=None),
    )
    await database.settle(*batch, unknown, other, without)
    assert {(await database.one(click)).counts.fbclid_visitors for click in (*batch, unknown)} == {3}
    assert (await database.one(other)).counts.fbclid_visitors == 1
    assert (await database.one(without)).counts.fbclid_visitors == 0


async def test_visitors_are_counted_alike_where_a_batch_has_too_many_for_one_statement(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that strangers sent a million times takes nothing from the counts of the others."""
    often = [full_click(visitor_key=bytes([number]) * 16) for number in range(4)]
    other = full_click(fbclid_key=b"x" * 16, visitor_key=b"y" * 16)
    await database.ledger.put_batch([pack(click) for click in (*often, other)])
    for most in (3, 5000):
        monkeypatch.setattr(scoring, "MOST_SEEN", most)
        items = await database.due(limit=5)
        counts = {item.click.id: item.counts.fbclid_visitors for item in items}
        assert counts == {**{click.id: 4 for click in often}, other.id: 1}


async def test_no_more_visitors_of_one_fbclid_are_read_than_the_limit(database: Database) -> None:
    """A stranger can replay one as often as they like: the work for it stays bounded."""
    batch = [full_click(visitor_key=number.to_bytes(16)) for number in range(MOST_VISITORS + 20)]
    await database.ledger.put_batch([pack(click) for click in batch])
    (item,) = await database.due(limit=1)
    assert item.counts.fbclid_visitors == MOST_VISITORS


async def test_people_from_one_address_are_counted_in_the_minute_before_the_start(
    database: Database,
) -> None:
    """The start itself included; neither those before or after, nor another address, nor the same person twice."""

    async def started(person: int, at_ms: int, key: bytes | None = b"k" * 16) -> Click:
        click = full_click(visitor_key=key, fbclid_key=None)
        await database.settle(click)
        await database.start(click, person, after_ms=at_ms - click.at_ms)
        return click

    at = NOW + 10 * MINUTE_MS
    await started(1, at - MINUTE_MS - 1)
    await started(2, at - MINUTE_MS)
    await started(3, at - 1)
    await started(3, at - 2)
    await started(4, at + 1)
    await started(5, at, b"o" * 16)
    mine = await started(6, at)
    nobody = await started(7, at, None)
    unstarted = full_click(visitor_key=b"k" * 16)
    await database.settle(unstarted)
    assert (await database.one(mine)).counts.visitor_users == 3
    assert (await database.one(nobody)).counts.visitor_users == 0
    assert (await database.one(unstarted)).counts.visitor_users == 0


# ---------------------------------------------------------------- what is written


async def test_a_start_that_comes_between_reading_and_writing_leaves_the_click_due_and_unwritten(
    database: Database,
) -> None:
    click = full_click()
    await database.ledger.put(click)
    items = await database.due()
    await database.start(click)
    await database.score(*items)
    assert (await database.row(click))["traffic_class"] is None
    (item,) = await database.due()
    assert (item.counts.started_at_ms, item.kept) == (NOW + 1000, None)


async def test_writing_twice_is_writing_once_and_touches_no_other_column(database: Database) -> None:
    click, neighbour = full_click(), full_click()
    await database.settle(click, neighbour)
    await database.start(click)
    before, beside = await database.row(click), await database.row(neighbour)
    items = await database.due()
    await database.score(*items)
    once = await database.row(click)
    await database.score(*items)
    assert await database.row(click) == once
    added = {*ENRICHMENT_COLUMNS, "scored_at"}
    assert {name for name in once if once[name] != before[name]} <= added
    assert await database.row(neighbour) == beside


async def test_scores_of_many_clicks_are_written_each_to_its_own(database: Database) -> None:
    batch = [full_click(id=new_id(NOW + at)) for at in range(3)]
    for click in batch:
        await database.ledger.put(click)
    items = await database.due()
    await database.scoring.write([(item, PLACE._replace(repeats=n)) for n, item in enumerate(items)], NOW)
    kept = [(await database.one(click)).kept for click in batch]
    assert [added.repeats for added in kept if added] == [0, 1, 2]
    await database.scoring.write([], NOW)


async def test_everything_is_walked_once_in_the_order_of_ids(database: Database) -> None:
    """Settled or not, started or not; a start without its click is no click."""
    batch = [full_click(id=new_id(NOW + at)) for at in (5, 1, 9, 3, 7)]
    await database.settle(*batch[:3])
    for click in batch[3:]:
        await database.ledger.put(click)
    await database.start(batch[0])
    await database.start(full_click(id=new_id(NOW + 4)))
    walked: list[Click] = []
    last = first_uuid7(NOW + 2)
    while items := await database.scoring.after(last, 2):
        walked += [item.click for item in items]
        last = items[-1].click.id
    assert [click.at_ms - NOW for click in walked] == [3, 5, 7, 9]


async def test_more_than_one_batch_is_worked_off_and_scoring_again_tells_what_moved(
    database: Database,
) -> None:
    """Running it twice changes nothing the second time."""
    batch = [bare_click(id=new_id(NOW + number)) for number in range(BATCH + 5)]
    await database.ledger.put_batch([pack(click) for click in batch])
    clock = ManualClock(now_ms=NOW + 1000)
    assert await Scoring(database.scoring, lambda *_: TENTATIVE, clock).due() == len(batch)
    again = Scoring(database.scoring, lambda *_: SCORED, clock)
    heard: list[int] = []
    done = await again.again(NOW + 5, lambda done: heard.append(done.clicks))
    assert done == Rescored(clicks=BATCH, changed=BATCH, moved={("prefetch", "in_app"): BATCH})
    assert heard == [BATCH]
    assert await again.again(NOW + 5, lambda done: None) == Rescored(clicks=BATCH)


# ---------------------------------------------------------------- what fits


def _texts(length: int) -> st.SearchStrategy[str | None]:
    return st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=length)


_reasons = st.lists(
    st.builds(
        Reason, st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 100), st.just("seen")
    ),
    max_size=3,
)
_scores = st.builds(Score, st.integers(0, 100), _reasons.map(tuple))
enrichments = st.builds(
    Enrichment,
    geo=st.builds(Geo, _texts(2), _texts(80), _texts(120), st.none() | st.integers(0, 2**32 - 1), _texts(60)),
    agent=st.builds(
        Agent,
        st.sampled_from(["phone", "desktop", "unknown"]),
        *[_texts(40)] * 5,
        st.sampled_from([None, "crawler"]),
        _texts(40),
    ),
    traffic=st.builds(
        Traffic,
        st.sampled_from(TRAFFIC_CLASSES),
        st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
        st.booleans(),
    ),
    scores=st.builds(Scores, _scores, _scores, st.integers(0, 100), st.integers(0, 100)),
    repeats=st.integers(0, 500),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(added=enrichments)
async def test_whatever_was_added_is_read_as_it_was_written_by_either_writer(
    database: Database, added: Enrichment
) -> None:
    settled, scored = full_click(), full_click()
    await database.settle(settled, added=added)
    await database.settle(scored)
    await database.score(await database.one(scored), with_=added)
    for click in (settled, scored):
        row = await database.ledger.row(click.id)
        assert row is not None
        assert row.enrichment == added
