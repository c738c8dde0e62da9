"""What partitions by day cost on PostgreSQL: `python -m tests.bench_partitions`.

Two databases of one server with the same clicks, an equal number on each day: one at migration 0009, where `clicks` is one
table, the other with a partition for each day. Clicks of the newest day are settled into both in turns, and what finds clicks is
asked of both in turns: what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine, query, transaction
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.sql.outbox import SqlOutbox
from backends.sql.partitions import DAY_MS, SqlPartitions, partitions
from backends.sql.people import SqlPeople
from backends.sql.retention import SqlRetention
from backends.sql.scoring import SqlScoring
from backends.sql.trace import SqlTraces
from chaos.servers import PostgresServer
from domain.attribution import Owner
from tests.contracts.test_catalog import move_to
from tests.contracts.test_ledger import ADDED
from tests.making import full_click, new_id, person_key, start_of

BATCH, STARTED = 500, 12
Call = Callable[[], Awaitable[Any]]


class Database:
    """One of the two, and what finds clicks there."""

    def __init__(self, engine: AsyncEngine, first_day: int, days: int) -> None:
        self.engine, self._first, self._days = engine, first_day, days
        self._ledger = SqlLedger(engine, person_key)
        self._people, self._erased = 0, 10_000_000
        self._now = first_day + days * DAY_MS - 3_600_000
        self._last = full_click(id=new_id(self._now))

    async def fill(self, each_day: int) -> None:
        """Clicks of every day, one in STARTED with a start."""
        for day in range(self._days):
            await self._settle(self._first + day * DAY_MS + 1000, each_day)
        await self._ledger.settle([self._last], [start_of(self._last, 7, at_ms=self._now)], [])
        async with self.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE"))

    async def settle(self) -> float:
        """A batch of now; seconds."""
        began = time.monotonic()
        await self._settle(self._now, BATCH)
        return time.monotonic() - began

    async def _settle(self, at_ms: int, number: int) -> None:
        some = [
            full_click(id=new_id(at_ms + n), fbclid_key=(at_ms + n).to_bytes(16, "big"))
            for n in range(number)
        ]
        self._people += number
        begun = [
            start_of(click, self._people + n, at_ms=at_ms + 5000) for n, click in enumerate(some[::STARTED])
        ]
        await self._ledger.settle(some, begun, [], enrichments={click.id: ADDED for click in some})

    def calls(self) -> dict[str, Call]:
        """By what they are for."""
        outbox, retention = SqlOutbox(self.engine), SqlRetention(self.engine)
        now = {"now_ms": self._now, "until_ms": self._now + 1}
        return {
            "a click by its id": lambda: self._ledger.row(self._last.id),
            "a start of a known click": self._start,
            "a person with their touches": lambda: SqlPeople(self.engine).person(
                Owner(bot_id=1, telegram_id=7)
            ),
            "explain of a person": lambda: SqlTraces(self.engine, person_key).of_person(7),
            "erasure of a person": self._erase,
            "claim of what is due": lambda: outbox.claim("meta/1", 100, **now),
            "sales without a click": lambda: outbox.attribute(100, give_up_ms=self._now, touch="last", **now),
            "clicks to be scored": lambda: SqlScoring(self.engine).due(100, new_id(self._first)),
            "originals to forget": lambda: retention.forget_originals(self._first, 500),
            "originals due": lambda: retention.originals_due(self._first),
            "clicks due": lambda: retention.clicks_due(self._first),
        }

    async def _start(self) -> None:
        self._people += 1
        await self._ledger.record_start(start_of(self._last, self._people), None)

    async def _erase(self) -> None:
        self._erased += 1
        erasures = SqlErasures(self.engine)
        await erasures.erase(self._erased, person_key=person_key(self._erased), at_ms=self._now)

    async def locks(self, call: Call) -> int:
        """The most that one transaction of it holds at its end."""
        held: list[int] = []

        def count(connection: Any, *_: Any) -> None:
            with connection.connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()")
                held.append(cursor.fetchone()[0])

        def after(connection: Any, _cursor: Any, *_: Any) -> None:
            count(connection)

        event.listen(self.engine.sync_engine, "after_cursor_execute", after)
        try:
            await call()
        finally:
            event.remove(self.engine.sync_engine, "after_cursor_execute", after)
        return max(held)


@asynccontextmanager
async def databases(server: PostgresServer, days: int) -> AsyncIterator[tuple[Database, Database]]:
    whole = make_engine(server.create_database("whole"), patience=60)
    parted = make_engine(server.create_database("parted"), patience=60)
    await transaction(whole, lambda connection: connection.run_sync(move_to, "0009"))
    await migrate(parted)
    [before] = await query(parted, partitions)
    for at in range(0, days, 30):
        await SqlPartitions(parted).make_ahead(before.until_ms, min(at + 30, days) - 1)
    yield Database(whole, before.until_ms, days), Database(parted, before.until_ms, days)
    for engine in (whole, parted):
        await engine.dispose()


async def compared(server: PostgresServer, days: int, each_day: int, batches: int, times: int) -> None:
    async with databases(server, days) as pair:
        for each in pair:
            await each.fill(each_day)
        ratios = []
        for turn in range(batches):
            # Who comes first changes, and the first turn warms up.
            took = {n: await pair[n].settle() for n in ((0, 1) if turn % 2 else (1, 0))}
            ratios += [took[1] / took[0]] if turn else []
        ordered = sorted(ratios)
        spread = f"{ordered[len(ordered) // 4]:.2f} to {ordered[3 * len(ordered) // 4]:.2f}"
        print(
            f"{days} days of {each_day} clicks. Settling {BATCH}, with partitions : without: "
            f"{median(ratios):.2f} ({spread}, {len(ratios)} pairs)\n"
        )
        print("| asked | one table, ms | partitions, ms | ratio | locks |")
        print("|---|---|---|---|---|")
        for name in pair[0].calls():
            both = [each.calls()[name] for each in pair]
            spent: tuple[list[float], list[float]] = ([], [])
            for _ in range(times):
                for n, call in enumerate(both):
                    began = time.monotonic()
                    await call()
                    spent[n].append((time.monotonic() - began) * 1000)
            one, parts = (median(each[2:]) for each in spent)
            print(
                f"| {name} | {one:.2f} | {parts:.2f} | {parts / one:.1f} | {await pair[1].locks(both[1])} |",
                flush=True,
            )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--days", type=int, default=396)
    asked.add_argument("--each-day", type=int, default=100, help="clicks that are there of each day")
    asked.add_argument("--batches", type=int, default=40)
    asked.add_argument("--times", type=int, default=20)
    given = asked.parse_args()
    with PostgresServer(options=("max_locks_per_transaction=256",)) as server:
        asyncio.run(compared(server, given.days, given.each_day, given.batches, given.times))


if __name__ == "__main__":
    main()
