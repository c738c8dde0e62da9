"""What rollups cost: `python -m tests.bench_rollups --clicks 200000`.

How fast one worker folds, in clicks of real variety (cities, ads, agents, scores; every twelfth started, which is three
changes), and what the triggers cost settling: rounds with and without them in turns, in one run, as machines differ and
share. On SQLite below --dir and on a PostgreSQL of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from analytics.rollups import LIMIT
from analytics.tally import Tally
from backends.sql.engine import make_engine, transaction
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.sql.rollups import SqlRollups
from chaos.servers import PostgresServer
from domain.click import Click
from domain.enrichment import TRAFFIC_CLASSES, Agent, Enrichment, Geo, Score, Scores, Traffic
from tests.contracts.test_ledger import ADDED
from tests.making import NOW, full_click, new_id, person_key, start_of

BATCH, SPREAD_MS, STARTED = 500, 36 * 3_600_000, 12
ZONE = "America/Sao_Paulo"
TABLES = ("clicks", "starts", "outbox")


class Traffics:
    """Clicks as they come, from the same dice each time."""

    def __init__(self) -> None:
        self._dice = random.Random(7)
        self._cities = [f"City {n}" for n in range(400)]
        self._ads = [(link, n.to_bytes(8, "big")) for link in range(1, 6) for n in range(40)]

    def batches(self, number: int) -> Iterator[tuple[list[Click], dict[UUID, Enrichment]]]:
        """In the order of their times, over a day and a half."""
        for at in range(0, number, BATCH):
            some = [self._click(NOW + n * SPREAD_MS // number) for n in range(at, min(number, at + BATCH))]
            yield some, {click.id: self._added() for click in some}

    def _click(self, at_ms: int) -> Click:
        link, key = self._dice.choice(self._ads)
        return full_click(id=new_id(at_ms), link_id=link, ad_key=key)

    def _added(self) -> Enrichment:
        dice = self._dice
        city = self._cities[min(int(dice.expovariate(0.02)), 399)]
        geo = Geo(country="BR", region=dice.choice(("SP", "RJ", "MG", "BA", "RS")), city=city)
        agent = Agent(
            device=dice.choice(("phone", "desktop")),
            os=dice.choice(("Android", "iOS", "Windows")),
            browser=dice.choice(("Chrome", "Safari", "Firefox")),
            app=dice.choice((None, "Instagram", "Facebook")),
        )
        scores = Scores(bot=Score(dice.randrange(101)), fraud=Score(dice.randrange(101)))
        traffic = Traffic(dice.choice(TRAFFIC_CLASSES), ("user agent",))
        return replace_in(ADDED, geo=geo, agent=agent, traffic=traffic, scores=scores)


def replace_in(added: Enrichment, **changes: object) -> Enrichment:
    return added._replace(**changes)


async def settled(engine: AsyncEngine, number: int, traffic: Traffics) -> float:
    """Settle so many; seconds of wall."""
    ledger, took = SqlLedger(engine, person_key), 0.0
    for some, added in traffic.batches(number):
        begun = [start_of(click, n, at_ms=NOW + 1000) for n, click in enumerate(some[::STARTED])]
        began = time.monotonic()
        await ledger.settle(some, begun, [], enrichments=added)
        took += time.monotonic() - began
    return took


async def folded(engine: AsyncEngine) -> tuple[int, float, float]:
    """Fold all that waits: changes, seconds of this process's CPU and of wall."""
    rollups = SqlRollups(engine, ZONE, Tally)
    changes, cpu, wall = 0, time.process_time(), time.monotonic()
    while some := await rollups.fold(LIMIT):
        changes += some
    return changes, time.process_time() - cpu, time.monotonic() - wall


async def without_triggers(connection: AsyncConnection) -> None:
    for table in TABLES:
        for event in ("insert", "update", "delete"):
            on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
            await connection.execute(text(f"DROP TRIGGER {table}_{event}{on}"))


async def compared(urls: list[str], clicks: int) -> list[float]:
    """Wall seconds with triggers by wall seconds without, of each pair of databases."""
    ratios = []
    for with_, without in zip(urls[::2], urls[1::2], strict=True):
        async with engine_of(with_) as logged, engine_of(without) as bare:
            await transaction(bare, without_triggers)
            took = [0.0, 0.0]
            # In turns, a batch of some each: what else the machine does falls on both.
            for _ in range(clicks // 2000):
                for n, engine in enumerate((logged, bare)):
                    took[n] += await settled(engine, 2000, Traffics())
            ratios.append(took[0] / took[1])
    return ratios


@asynccontextmanager
async def engine_of(url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(url, patience=60)
    await migrate(engine)
    yield engine
    await engine.dispose()


async def whole(name: str, urls: list[str], clicks: int, compare: int) -> str:
    async with engine_of(urls[0]) as engine:
        await settled(engine, clicks, Traffics())
        changes, cpu, wall = await folded(engine)
    ratios = await compared(urls[1:], compare)
    shown = " ".join(f"{ratio:.2f}" for ratio in ratios)
    return (
        f"| {name} | {changes} | {clicks / wall:.0f} | {changes / wall:.0f} | {changes / cpu:.0f} "
        f"| {median(ratios):.2f} ({shown}) |"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--clicks", type=int, default=200_000)
    asked.add_argument("--compare", type=int, default=20_000, help="clicks settled with and without triggers")
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    given = asked.parse_args()
    print(f"{given.clicks} clicks folded, {LIMIT} changes at once; settling compared {given.rounds} times.\n")
    print("| engine | changes | clicks/s | changes/s | changes/s of CPU | settling with : without triggers |")
    print("|---|---|---|---|---|---|")
    number = 1 + 2 * given.rounds
    with tempfile.TemporaryDirectory(dir=given.dir) as root:
        urls = [f"sqlite+aiosqlite:///{root}/{n}.db" for n in range(number)]
        print(asyncio.run(whole("SQLite", urls, given.clicks, given.compare)))
    with PostgresServer() as server:
        server.start()
        urls = [server.create_database(f"bench_{n}") for n in range(number)]
        print(asyncio.run(whole("PostgreSQL", urls, given.clicks, given.compare)))


if __name__ == "__main__":
    main()
