"""What the outbox costs beside a long queue: `python -m tests.bench_outbox --rows 1000000`.

Wall and CPU time of this process for a claim and `sent`, and how each engine runs every statement. Half of the rows are
due, in one lane of three; each has its click, of which the first ones are as full as real ones.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.enrichment import enrichment_values
from backends.sql.migrate import migrate
from backends.sql.outbox import SqlOutbox
from backends.sql.schema import clicks, outbox
from chaos.servers import PostgresServer
from domain.conversions import START_EVENT, click_event_id
from domain.ids import first_uuid7
from tests.contracts.test_ledger import ADDED
from tests.making import NOW
from tests.plans import BY_INDEX, Statements, overheard, plans

BATCH, FULL, CHUNK = 1000, 20_000, 5000
LANES = ("meta/1", "meta/2", "webhook/crm")
MATCHED = ("client_ip_address client_user_agent fbc fbp", "client_ip_address client_user_agent fbp")
Work = Callable[[SqlOutbox], Coroutine[Any, Any, Any]]


def click_id(n: int) -> UUID:
    return UUID(int=first_uuid7(NOW + n).int | 0x7 << 76 | 0b10 << 62 | n)


def click_rows(number: int) -> Iterator[dict[str, Any]]:
    """Those of the first lane's due rows come first."""
    thin = {"link_id": 1, "node": 0, "ad_key": bytes(8), "clicked_at": NOW, "method": "GET", "spooled": True}
    thin |= {"owner_bot_id": 1, "started_at": NOW}
    full = thin | enrichment_values(ADDED)
    full |= {"params": {"utm_source": "fb", "utm_campaign": "BLACK", "utm_medium": "adset", "src": "x" * 40}}
    full |= {"referer_host": "l.facebook.com", "language": "pt-BR,pt;q=0.9", "prefetch": "", "gpc": False}
    full |= {
        "visitor_key": bytes(16),
        "visitor_period": 20_000,
        "fbclid_key": bytes(16),
        "sealed": bytes(420),
    }
    full = {**dict.fromkeys(full), **full}
    for n in range(number):
        yield (full if n < FULL else dict.fromkeys(full) | thin) | {
            "id": click_id(n),
            "owner_telegram_id": 10**9 + n,
        }


def outbox_rows(number: int) -> Iterator[dict[str, Any]]:
    for n in range(number):
        late = 0 if n < number // 2 else 3_600_000
        yield {
            "event_id": click_event_id(click_id(n), START_EVENT),
            "lane": LANES[0] if n < FULL else LANES[n % 3],
            "event": START_EVENT,
            "event_at": NOW + n,
            "next_at": NOW + late + n // 50,
            "click_id": click_id(n),
            "link_id": 1,
            "state": "pending",
        }


async def fill(engine: AsyncEngine, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    async with engine.begin() as connection:
        for row in rows:
            batch.append(row)
            if len(batch) == CHUNK:
                await connection.execute(insert(table), batch)
                batch = []
        if batch:
            await connection.execute(insert(table), batch)


async def measured(engine: AsyncEngine, name: str, work: Work, times: int) -> tuple[str, Statements]:
    """A row of the table: best of `times`; and what was executed."""
    box, best = SqlOutbox(engine), [float("inf"), float("inf")]
    for _ in range(times):
        async with overheard(engine) as heard:
            cpu, wall = time.process_time(), time.monotonic()
            await work(box)
            took = (time.monotonic() - wall, time.process_time() - cpu)
            best = [min(pair) for pair in zip(best, took, strict=True)]
    return f"{name} | {best[0] * 1000:.1f} | {best[1] * 1000:.1f}", heard


class Relay:
    """One relay: what it has claimed last is what it sends."""

    def __init__(self) -> None:
        self.claimed: list[UUID] = []
        self.now = NOW + 3_000_000

    async def claim(self, box: SqlOutbox) -> None:
        found = await box.claim(LANES[0], BATCH, now_ms=self.now, until_ms=self.now + 600_000)
        assert len(found) == BATCH
        self.claimed = [delivery.conversion.id for delivery in found]

    async def sent(self, box: SqlOutbox) -> None:
        matched = {one: tuple(MATCHED[n % 2].split()) for n, one in enumerate(self.claimed)}
        await box.sent(LANES[0], matched, trace="AbCdEf", at_ms=self.now)

    async def due(self, box: SqlOutbox) -> None:
        assert await box.due(self.now) == sorted(LANES)

    async def lanes(self, box: SqlOutbox) -> None:
        await box.lanes()


async def bench(engine: AsyncEngine, number: int) -> None:
    await migrate(engine)
    await fill(engine, clicks, click_rows(number))
    await fill(engine, outbox, outbox_rows(number))
    for known in ("never analysed", "analysed"):
        if known == "analysed":
            async with engine.begin() as connection:
                await connection.exec_driver_sql("ANALYZE")
        relay, rows, heard = Relay(), [], []
        for name, work, times in (
            ("due", relay.due, 5),
            ("lanes", relay.lanes, 2),
            ("claim of 1000", relay.claim, 5),
        ):
            row, statements = await measured(engine, name, work, times)
            rows.append(row)
            heard.append((name, statements))
        row, statements = await measured(engine, "sent of 1000", relay.sent, 1)
        rows.append(row)
        heard.append(("sent", statements))
        for row in rows:
            print(f"| {number} | {engine.dialect.name}, {known} | {row} |", flush=True)
        print()
        for name, statements in heard:
            for lines in await plans(engine, statements, *BY_INDEX):
                if any("outbox" in line for line in lines):
                    print(f"{name}:", *lines, sep="\n    ")
        print(flush=True)


@asynccontextmanager
async def engines(root: Path, names: list[str]) -> AsyncIterator[list[AsyncEngine]]:
    with PostgresServer() as server:
        urls = {
            "sqlite": f"sqlite+aiosqlite:///{root / 'bench.db'}",
            "postgresql": server.create_database("bench"),
        }
        made = [make_engine(urls[name], patience=300) for name in names]
        yield made
        for engine in made:
            await engine.dispose()


async def run(root: Path, number: int, names: list[str]) -> None:
    print("| rows | engine | what | wall ms | CPU ms |\n|---|---|---|---|---|", flush=True)
    async with engines(root, names) as made:
        for engine in made:
            await bench(engine, number)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rows", type=int, default=1_000_000)
    asked.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    asked.add_argument("--engines", nargs="*", default=["sqlite", "postgresql"])
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as root:
        asyncio.run(run(Path(root), given.rows, given.engines))


if __name__ == "__main__":
    main()
