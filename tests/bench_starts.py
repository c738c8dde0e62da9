"""How long a person waits: from START at Telegram to the bot's answer there, and how much of it is the look-up.

    python -m tests.bench_starts [--rate 50] [--seconds 20] [--sql postgres]

Daemon, settling worker, bot worker, Valkey, SQL and the loopback Telegram, all on this machine, each click new.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2

from backends.build import open_stores
from chaos.servers import PostgresServer, ValkeyServer
from domain.clock import SystemClock
from domain.observations import Silent
from tests.bot.office import Office
from tests.daemon_fixture import SLUG
from tests.telegram.server import LoopbackTelegram

ENOUGH = 60.0


async def measure(args: argparse.Namespace) -> None:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        valkey = stack.enter_context(ValkeyServer())
        sql: dict[str, Any] = {}
        if args.sql == "postgres":
            server = stack.enter_context(PostgresServer())
            sql["sql_url"] = server.create_database("bench")
        telegram = await stack.enter_async_context(LoopbackTelegram(folder / "telegram"))
        office = await Office.prepared(folder / "home", telegram, redis_url=valkey.url, **sql)
        children = [await office.command(name) for name in ("serve", "work")]
        worker = await office.process()
        try:
            waits, lookups = await press_all(office, args.rate, args.rate * args.seconds)
        finally:
            await worker.stop()
            for child in children:
                await child.stop()
    print(f"{len(waits)} starts at {args.rate}/s, {args.sql}")
    print(f"{'':24}{'p50':>10}{'p90':>10}{'p99':>10}{'max':>10}")
    print(row("start to reply, ms", waits))
    print(row("look-up, ms", lookups))


async def press_all(office: Office, rate: int, number: int) -> tuple[list[float], list[float]]:
    """Seconds from START to the answer, and of looking such clicks up, as the worker does, before that."""
    telegram, read = office.telegram, office.site.minter().verify
    began: dict[int, float] = {}
    tokens = await clicked(office, number)
    lookups = await looked_up(office, [read(token).id for token in tokens])
    first = time.monotonic() + 1
    for n, token in enumerate(tokens):
        person = telegram.person(10_000 + n, f"P{n}")
        await asyncio.sleep(max(0, first + n / rate - time.monotonic()))
        began[person.id] = time.monotonic()
        await telegram.press_start(person, office.bot, f"/start {token}")
    await telegram.wait_for(lambda: len(telegram.sent) >= number, seconds=ENOUGH)
    return [sent.at - began[sent.chat_id] for sent in telegram.sent], lookups


async def clicked(office: Office, number: int) -> list[str]:
    base = f"http://{office.site.settings.public_bind}/go/{SLUG}"
    async with httpx2.AsyncClient(timeout=ENOUGH) as client:
        await answering(client, base)
        answers = [await client.get(f"{base}?fbclid=f{n}") for n in range(number)]
    return [answer.headers["location"].partition("?start=")[2] for answer in answers]


async def looked_up(office: Office, ids: list[UUID]) -> list[float]:
    given = office.site.settings
    stores = open_stores(given, SystemClock(), Silent(), name="bench", person_key=lambda _id: bytes(16))
    await stores.open()
    seconds = []
    for click_id in ids:
        before = time.perf_counter()
        assert await stores.chain.find_unsettled(click_id) is not None
        seconds.append(time.perf_counter() - before)
        await asyncio.sleep(0.001)
    await stores.close()
    return seconds


async def answering(client: httpx2.AsyncClient, base: str) -> None:
    async with asyncio.timeout(ENOUGH):
        while True:
            try:
                await client.get(base)
                return
            except httpx2.HTTPError:
                await asyncio.sleep(0.1)


def row(name: str, seconds: list[float]) -> str:
    found = sorted(seconds)
    marks = [found[min(len(found) - 1, int(share * len(found)))] * 1000 for share in (0.5, 0.9, 0.99, 1.0)]
    return f"{name:24}" + "".join(f"{mark:10.2f}" for mark in marks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--sql", choices=("sqlite", "postgres"), default="sqlite")
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
