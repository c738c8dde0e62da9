"""What a relay does in a second on one core: `python -m tests.bench_relay --events 30000 --lanes 3`.

Events with sealed originals, from an outbox on SQLite below --dir, or on PostgreSQL, to a loopback Meta in another process.
A share of --bad of them is refused. CPU is this process's, in all its threads. `--isolation` prints instead how long events
take beside a pixel that does not answer, and without it. `--profile` prints where the CPU goes.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from chaos.servers import PostgresServer
from tests.delivery.isolation import measured, table
from tests.delivery.shop import Shop, opened, token_of

PIXELS = [f"77700000000000{n}" for n in range(10)]


class Elsewhere:
    """A loopback Meta in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url

    def add_pixel(self, pixel: str, token: str) -> None:
        self.ask("pixels", {"pixel": pixel, "token": token})

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/_fake/{path}", data) as answer:
            return json.load(answer)


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    command = [sys.executable, "-m", "tests.meta", "--ids-only"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Elsewhere(process.stdout.readline().split()[1])
        finally:
            process.terminate()


async def fill(shop: Shop, meta: Elsewhere, events: int, lanes: int, bad: float) -> None:
    for pixel in PIXELS[:lanes]:
        meta.add_pixel(pixel, token_of(pixel))
        await shop.open_pixel(pixel)
        ids = await shop.queued(events // lanes, pixel)
        if bad:
            wrong = [str(each) for each in ids[:: round(1 / bad)]]
            meta.ask("faults", {"fault": "poison", "event_ids": wrong})


async def run(shop: Shop, lanes: int) -> tuple[float, float, Counter[str]]:
    """Wall and CPU seconds until nothing is pending, and what became of the events."""
    pixels, states = PIXELS[:lanes], Counter({"pending": 1})
    wall, cpu = time.monotonic(), time.process_time()
    while shop.heard.outcomes["sent"] + shop.heard.outcomes["rejected"] == 0 or await shop.outbox.due(
        shop.clock.now_ms()
    ):
        await shop.relay.pass_()
        await shop.relay.settled()
    took = time.monotonic() - wall, time.process_time() - cpu
    states = Counter()
    for pixel in pixels:
        states += await shop.states(pixel)
    return *took, states


async def bench(given: argparse.Namespace, sql_url: str | None) -> None:
    with elsewhere() as meta, tempfile.TemporaryDirectory(dir=given.dir) as home:
        async with opened(Path(home), meta, sql_url=sql_url) as shop:
            await fill(shop, meta, given.events, given.lanes, given.bad)
            with profiled() if given.profile else nullcontext():
                wall, cpu, states = await run(shop, given.lanes)
            calls = sum(shop.heard.answers.values())
            print(f"{given.events} events, {given.lanes} lanes, {given.bad:.1%} bad: {dict(states)}")
            print(
                f"  {given.events / wall:.0f} events/s, {given.events / cpu:.0f} per second of CPU, {calls} calls"
            )


@contextmanager
def profiled() -> Iterator[None]:
    """Of this thread: SQLite and the digests of other threads are not in it."""
    profile = cProfile.Profile()
    profile.enable()
    yield
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(25)


async def isolation(given: argparse.Namespace, sql_url: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=given.dir) as home:
        print(table(await measured(Path(home), sql_url=sql_url, pairs=5, ticks=40)))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--events", type=int, default=30_000)
    asked.add_argument("--lanes", type=int, default=3, choices=range(1, len(PIXELS) + 1))
    asked.add_argument("--bad", type=float, default=0.0)
    asked.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()))
    asked.add_argument("--postgres", action="store_true")
    asked.add_argument("--isolation", action="store_true")
    asked.add_argument("--profile", action="store_true")
    given = asked.parse_args()
    work = isolation if given.isolation else bench
    if not given.postgres:
        asyncio.run(work(given, None))
        return
    with PostgresServer() as server:
        asyncio.run(work(given, server.create_database("bench")))


if __name__ == "__main__":
    main()
