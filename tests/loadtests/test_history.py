"""A made-up history is what a real one would be: its books balance, its people follow from its starts, its rollups fold."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from analytics.tally import Tally
from backends.sql.books import read_books
from backends.sql.engine import make_engine
from backends.sql.rollup_schema import rollup_days, rollup_deliveries, rollup_starts
from backends.sql.rollups import SqlRollups
from backends.sql.schema import accounting, bot_users, bots, clicks, outbox, starts
from domain.click import Ad
from domain.conversions import click_event_id
from domain.ids import ClickIds, uuid7_ms
from loadtests.history import making
from loadtests.history.catalog import ad_key
from loadtests.history.ids import event_id
from loadtests.history.plan import DAY_MS, CannotWrite, History, slices
from loadtests.history.stores import PostgresStore, SqliteStore, open_store
from loadtests.history.tables import FILLED
from loadtests.history.write import carry_out
from privacy import token
from tests.recount import as_kept, recount

T = TypeVar("T")
UNTIL = 1_764_266_400_000
SMALL = History(clicks=3000, days=9, links=12, ads=40, seed=7, until_ms=UNTIL)
ZONE = "America/Sao_Paulo"


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
def url(request: pytest.FixtureRequest) -> str:
    """A database with our tables, empty."""
    return request.getfixturevalue(request.param)


def quiet(_line: str) -> None:
    """Nobody listens."""


def asked(url: str, work: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """What the product reads there."""

    async def whole() -> T:
        engine = make_engine(url, patience=30)
        try:
            return await work(engine)
        finally:
            await engine.dispose()

    return asyncio.run(whole())


def rows(url: str, table: Table) -> list[Any]:
    async def read(engine: AsyncEngine) -> list[Any]:
        async with engine.connect() as connection:
            return list((await connection.execute(select(table))).mappings())

    return asked(url, read)


def print_of(url: str) -> str:
    """A digest of everything that a history has written, whatever the order of the rows."""
    store = open_store(url)
    digest = hashlib.sha256()
    for table in (*FILLED, "click_changes", "start_changes", "event_changes"):
        found = store.ask(f"SELECT * FROM {table}")
        at = 1 if table.endswith("_changes") else 0  # their numbers may have gaps
        for line in sorted(repr(tuple(row)[at:]) for row in found):
            digest.update(line.encode())
    store.close()
    return digest.hexdigest()


def test_the_books_balance_and_hold_every_click(url):
    written = carry_out(url, SMALL, quiet)
    books = asked(
        url, lambda engine: read_books(engine, [], since_ms=SMALL.since_ms, until_ms=UNTIL + 60_000)
    )
    assert books.faults == []
    assert written.clicks == books.in_sql + books.direct == SMALL.clicks
    assert books.issued == SMALL.clicks + books.token_only
    assert min(books.direct, books.token_only, books.erased, books.written) > 0
    assert sum(row["spooled"] for row in rows(url, accounting)) == books.in_sql


def test_nothing_lies_outside_of_its_days(url):
    carry_out(url, SMALL, quiet)
    clicked = [row for row in rows(url, clicks) if row["clicked_at"] is not None]
    assert all(SMALL.since_ms <= row["clicked_at"] < UNTIL for row in clicked)
    assert all(uuid7_ms(row["id"]) == row["clicked_at"] for row in clicked)
    moments = [row["started_at"] for row in rows(url, starts)] + [
        row["event_at"] for row in rows(url, outbox)
    ]
    assert max(moments) < UNTIL
    assert min(moments) >= SMALL.since_ms
    late = [
        row for row in clicked if row["owner_telegram_id"] and row["started_at"] - row["clicked_at"] > DAY_MS
    ]
    assert late


def test_people_are_what_their_starts_say(url):
    carry_out(url, SMALL, quiet)
    kept = as_kept(rows(url, bot_users))
    assert kept == recount(rows(url, starts))
    assert len(kept) > 500


def test_every_owner_has_a_start_and_every_start_of_a_click_its_one_conversion(url):
    carry_out(url, SMALL, quiet)
    owned = {row["id"]: row for row in rows(url, clicks) if row["owner_telegram_id"]}
    won = {row["click_id"] for row in rows(url, starts) if row["kind"] == "attributed"}
    views = [row for row in rows(url, outbox) if row["event"] == "ViewContent"]
    assert won == set(owned)
    with_click = {key for key, row in owned.items() if row["clicked_at"] is not None}
    erased = {row["id"] for row in rows(url, clicks) if row["erased_at"] is not None}
    assert {row["click_id"] for row in views} == with_click | erased
    assert len(views) == len(with_click | erased)


def test_it_folds_into_rollups_that_say_what_it_has(url):
    carry_out(url, SMALL, quiet)

    async def fold(engine: AsyncEngine) -> tuple[Any, ...]:
        rollups = SqlRollups(engine, ZONE, Tally)
        while await rollups.fold(5000):
            pass
        async with engine.connect() as connection:
            total = (rollup_days.c.trait == "") & (rollup_days.c.link_id > 0)
            sums = [
                select(func.sum(rollup_days.c.clicks)).where(total),
                select(func.sum(rollup_days.c.starts)).where(total),
                select(func.sum(rollup_starts.c.starts)),
                select(func.sum(rollup_deliveries.c.events)),
            ]
            return tuple([int((await connection.execute(each)).scalar_one()) for each in sums])

    clicked, started, begun, delivered = asked(url, fold)
    everything = rows(url, clicks)
    assert clicked == SMALL.clicks
    assert started == sum(
        1 for row in everything if row["owner_telegram_id"] and row["clicked_at"] is not None
    )
    assert begun == len(rows(url, starts))
    assert delivered == len(rows(url, outbox))


def test_the_same_seed_is_the_same_history_in_one_process_and_in_many(url, monkeypatch):
    carry_out(url, SMALL, quiet)
    once = print_of(url)
    monkeypatch.setattr(making, "TRANSACTION", 700)
    carry_out(url, SMALL, quiet, fresh=True)
    assert print_of(url) == once
    carry_out(url, History(clicks=3000, days=9, links=12, ads=40, seed=8, until_ms=UNTIL), quiet, fresh=True)
    assert print_of(url) != once


def test_one_that_was_interrupted_goes_on_to_the_same_end(url, monkeypatch):
    carry_out(url, SMALL, quiet)
    whole = print_of(url)
    monkeypatch.setattr(making, "TRANSACTION", 700)
    store = PostgresStore if url.startswith("postgresql") else SqliteStore
    commit, left = store.commit, [4]

    def breaks(self: Any) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        commit(self)

    with monkeypatch.context() as broken:
        broken.setattr(store, "commit", breaks)
        with pytest.raises(KeyboardInterrupt):
            carry_out(url, SMALL, quiet, fresh=True)
    some = len(rows(url, clicks))
    assert 0 < some < SMALL.clicks
    later = History(clicks=3000, days=9, links=12, ads=40, seed=7, until_ms=UNTIL + DAY_MS)
    resumed = carry_out(url, later, quiet, resume=True)
    assert 0 < resumed.clicks < SMALL.clicks
    assert print_of(url) == whole
    assert carry_out(url, SMALL, quiet, resume=True).clicks == 0


def test_a_database_that_is_not_empty_stays_as_it_is(url):
    store = open_store(url)
    names = ("id", "username", "username_key", "created_at")
    store.write("bots", names, store.encode([(1, "mine_bot", "mine_bot", "2026-11-01 00:00:00.000000")]))
    store.commit()
    store.close()
    for how in ({}, {"fresh": True}, {"resume": True}):
        with pytest.raises(CannotWrite, match=r"not empty|no made-up history"):
            carry_out(url, SMALL, quiet, **how)
    assert len(rows(url, bots)) == 1
    assert rows(url, clicks) == []


def test_a_history_that_is_there_is_neither_added_to_nor_gone_on_with_as_another(url):
    carry_out(url, SMALL, quiet)
    with pytest.raises(CannotWrite, match="not empty"):
        carry_out(url, SMALL, quiet)
    with pytest.raises(CannotWrite, match="--clicks differs"):
        carry_out(
            url, History(clicks=9, days=9, links=12, ads=40, seed=7, until_ms=UNTIL), quiet, resume=True
        )


def test_its_slices_share_out_exactly_its_clicks():
    for total in (1, 999, 123_457):
        history = History(clicks=total, days=3, links=1, ads=1, seed=1, until_ms=UNTIL + 1234)
        found = slices(history)
        assert sum(part.clicks for part in found) == total
        assert (found[0].begin, found[-1].end) == (history.since_ms, history.until_ms)
        assert all(before.end == after.begin for before, after in itertools.pairwise(found))


def test_ad_keys_and_event_ids_are_the_products_own():

    names = ("FB", "a campaign|1", "cpc", "ção", "")
    assert ad_key(names) == token.ad_key(Ad(*names))
    click = ClickIds().new(UNTIL)
    assert event_id(f"{click}/ViewContent") == click_event_id(click, "ViewContent").hex
