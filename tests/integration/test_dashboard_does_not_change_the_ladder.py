"""A redirect is what it is, whatever becomes of the dashboard: asked for everything at once, or killed.

How many clicks reach a store within 50 ms is up to the machine, too, and others use it. Here the daemon has five seconds, which
no machine needs: whatever is not stored then was held up by something. What a dashboard costs in milliseconds is no test's to say.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from backends.sql.engine import close_engine, make_engine
from backends.sql.users import SqlUsers
from chaos.servers import ValkeyServer, free_port
from loadtests.children import fetch
from loadtests.home import parse_metrics
from loadtests.pages import Account, Visitor, discover
from loadtests.plan import CannotRun
from privacy.passwords import Passwords
from tests.system import System

ME = Account(name="olga", password="correct horse battery")
RATE, SECONDS, READERS, ROUNDS = 50, 2, 4, 2
DEADLINE_MS = "5000"


class Readers:
    """People who load every page over and over."""

    def __init__(self, base: str, pages: list[str]) -> None:
        self._base, self._pages = base, pages
        self._stop = threading.Event()
        self._reading = threading.Event()
        self.statuses: list[int] = []
        self._threads = [threading.Thread(target=self._read) for _ in range(READERS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self._reading.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        with closing(Visitor(self._base)) as visitor, suppress(CannotRun):  # the dashboard was killed
            visitor.sign_in(ME)
            while not self._stop.is_set():
                for page in self._pages:
                    self.statuses.append(visitor.get(page).status)
                    self._reading.set()


async def phase(system: System, meanwhile: Callable[[], None] = lambda: None) -> float:
    """A load, all of which is answered with a token; the share of it that was acknowledged as stored."""
    before = receipts(system)
    load = system.load(rate=RATE, seconds=SECONDS)
    running = asyncio.create_task(load.run())
    await asyncio.sleep(SECONDS / 4)
    await asyncio.to_thread(meanwhile)
    await running
    assert (load.errors, load.others) == (0, [])
    assert len(set(load.tokens)) == load.total
    after = receipts(system)
    assert sum(after.values()) - sum(before.values()) == load.total
    return 1 - (after["token_only"] - before["token_only"]) / load.total


def receipts(system: System) -> dict[str, float]:
    """How many clicks were promised what."""
    status, text = fetch(system.private, "/metrics")
    assert status == 200
    found = parse_metrics(text)
    names = ("synced", "written", "token_only")
    return {
        name: sum(v for key, v in found.items() if METRIC in key and f'"{name}"' in key) for name in names
    }


METRIC = "trilha_receipts_total"


async def round_of(system: System, base: str) -> tuple[float, float, float]:
    """The shares without a dashboard, beside one that is read, and while it is killed."""
    alone = await phase(system)
    system.start("dashboard")
    pages = await asyncio.to_thread(opened, base)
    assert len(pages) > 3
    with Readers(base, pages) as readers:
        beside = await phase(system)
        assert set(readers.statuses) == {200}
        killed = await phase(system, lambda: system.kill("dashboard"))
    return alone, beside, killed


async def test_redirects_and_what_they_promise_are_the_same_with_a_dashboard_under_load_and_without_one(
    tmp_path: Path, valkey: ValkeyServer
) -> None:
    port = free_port()
    system = await System.on_sqlite(
        tmp_path, valkey.url, dashboard_bind=f"127.0.0.1:{port}", deadline_ms=DEADLINE_MS
    )
    engine = make_engine(system.sql_url, patience=30)
    await SqlUsers(engine, system.clock).add(ME.name, "owner", await Passwords().hash(ME.password))
    await close_engine(engine)
    try:
        system.start()
        shares = [await round_of(system, f"http://127.0.0.1:{port}") for _ in range(ROUNDS)]
        assert shares == [(1.0, 1.0, 1.0)] * ROUNDS
        books = await system.settled_books(issued=ROUNDS * 3 * RATE * SECONDS)
        assert books.faults == []
        assert books.issued == ROUNDS * 3 * RATE * SECONDS
        assert books.in_sql + books.direct >= books.synced + books.written
    finally:
        system.stop()


def opened(base: str) -> list[str]:
    """The pages of a dashboard, once it answers."""
    pause = threading.Event()
    for _ in range(600):
        with closing(Visitor(base)) as visitor, suppress(CannotRun):
            visitor.sign_in(ME)
            return discover(visitor)
        pause.wait(0.05)
    raise AssertionError("the dashboard does not answer")
