"""The soak: an open-loop load for minutes, a random fault every few seconds, and the accounts afterwards.

    python -m tests.soak --minutes 30 --rate 300 --every 20 [--postgres] [--seed N] [--json]

Faults are on Redis, on SQL and on the worker; never two at once. Exits 1 when a redirect was not a 302, an acknowledged
click is missing, a click has two owners, or the books do not balance. The seed is printed; it decides order and length.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from chaos.servers import PostgresServer, ValkeyServer
from loadtests.openloop import OpenLoop, Outcome
from tests.system import BOT, SLUG, System

REQUEST = (
    f"GET /go/{SLUG}?utm_source=FB&utm_campaign=Soak%7C1202&utm_medium=cpc&fbclid=IwAR0soak_aem_1 HTTP/1.1\r\n"
    "host: go.example.com\r\nuser-agent: Mozilla/5.0 (Linux; Android 14) Instagram 338.0\r\n"
    "accept-language: pt-BR\r\n\r\n"
).encode()
LONGEST_FAULT = 8.0
LOCK_SECONDS = 60.0
PEOPLE = 3


@dataclass
class Verdict:
    """What came of it. Seconds, clicks, milliseconds."""

    seed: int
    seconds: float
    answered: int = 0
    not_302: int = 0
    errors: int = 0
    acknowledged_lost: int = 0
    double_owner: int = 0
    starts: int = 0
    balanced: bool = False
    faults_of_books: list[str] = field(default_factory=list)
    durability: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    memory_mib: list[float] = field(default_factory=list)
    spool_mib: list[float] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """True when nothing was lost, doubled or unanswered."""
        return self.balanced and not (
            self.not_302 or self.errors or self.acknowledged_lost or self.double_owner
        )


class Soak:
    """One run on a system of its own."""

    def __init__(
        self, system: System, valkey: ValkeyServer, postgres: PostgresServer | None, seed: int
    ) -> None:
        self._system = system
        self._valkey = valkey
        self._postgres = postgres
        self._random = random.Random(seed)
        self.verdict = Verdict(seed=seed, seconds=0.0)
        self.told: dict[str, set[int]] = {}

    async def run(self, *, seconds: float, rate: float, every: float) -> Verdict:
        """Load, faults and starts side by side; then settle, and count."""
        load = OpenLoop("127.0.0.1", self._system.public, REQUEST, rate, seconds, collect_tokens=True)
        loading = asyncio.create_task(load.run())
        beside = [
            asyncio.create_task(work)
            for work in (self._break_things(every), self._sample(), self._start_people(load))
        ]
        # Whatever ends before the load does has failed: better said now than after half an hour.
        await asyncio.wait({loading, *beside}, return_when=asyncio.FIRST_COMPLETED)
        if not loading.done():
            loading.cancel()
        for task in beside:
            task.cancel()
        for result in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        outcome = await loading
        await self._mend()
        await self._count(outcome, seconds)
        return self.verdict

    async def _break_things(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            name = self._random.choice(sorted(self._kinds()))
            seconds = self._random.uniform(1.0, LONGEST_FAULT)
            print(f"soak: {name} for {seconds:.1f} s", file=sys.stderr, flush=True)
            self.verdict.faults[name] = self.verdict.faults.get(name, 0) + 1
            async with self._kinds()[name]():
                await asyncio.sleep(seconds)

    def _kinds(self) -> dict[str, Callable[[], AbstractAsyncContextManager[None]]]:
        common = {
            "redis killed": lambda: _killed(self._valkey),
            "redis frozen": lambda: _frozen(self._valkey),
            "redis flushed": self._flushed,
            "redis refuses writes": self._refusing,
            "worker killed": self._without_worker,
            "worker frozen": self._frozen_worker,
        }
        if self._postgres is None:
            return common | {"sql locked": self._locked}
        server = self._postgres
        return common | {"sql killed": lambda: _killed(server), "sql frozen": lambda: _frozen(server)}

    @asynccontextmanager
    async def _flushed(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._valkey.flush)
        yield

    @asynccontextmanager
    async def _refusing(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._valkey.command, "CONFIG SET maxmemory 1")
        yield
        await asyncio.to_thread(self._valkey.command, "CONFIG SET maxmemory 0")

    @asynccontextmanager
    async def _without_worker(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self._system.kill, "work")
        yield
        self._system.start("work")

    @asynccontextmanager
    async def _frozen_worker(self) -> AsyncIterator[None]:
        self._system.signal("work", signal.SIGSTOP)
        yield
        self._system.signal("work", signal.SIGCONT)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """As a stuck backup would. In a thread: waiting for the lock must not hold up the visitors."""
        path = self._system.sql_url.partition(":///")[2]
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        await asyncio.to_thread(_lock, connection)
        yield
        await asyncio.to_thread(connection.execute, "ROLLBACK")
        connection.close()

    async def _start_people(self, load: OpenLoop) -> None:
        """Now and then three people press START with the same, fresh token."""
        async with self._system.api() as api:
            while True:
                await asyncio.sleep(0.5)
                token = load.latest_token
                if token is not None:
                    await asyncio.gather(
                        *(self._start(api, token, person) for person in range(1, PEOPLE + 1))
                    )

    async def _start(self, api: Any, token: str, person: int) -> None:
        answer = await api.post("/v1/starts", json={"token": token, "bot": BOT, "telegram_id": person})
        self.verdict.starts += 1
        if answer.status_code == 200 and answer.json()["owner"]:
            self.told.setdefault(token, set()).add(person)

    async def _sample(self) -> None:
        process = psutil.Process(self._system.processes["serve"].pid)
        while True:
            self.verdict.memory_mib.append(round(process.memory_info().rss / 1048576, 1))
            self.verdict.spool_mib.append(round(_size(self._system.settings.spools) / 1048576, 2))
            await asyncio.sleep(5)

    async def _mend(self) -> None:
        for server in (self._valkey, self._postgres):
            if server is not None:
                server.thaw()
                await asyncio.to_thread(server.start)
        self._valkey.command("CONFIG SET maxmemory 0")
        work = self._system.processes["work"]
        if work.poll() is None:
            work.send_signal(signal.SIGCONT)
        else:
            self._system.start("work")

    async def _count(self, outcome: Outcome, seconds: float) -> None:
        verdict = self.verdict
        verdict.seconds, verdict.answered, verdict.errors = seconds, outcome.answered, outcome.errors
        verdict.not_302 = outcome.answered - outcome.statuses[302]
        books = await self._system.settled_books(issued=outcome.answered)
        rows = await self._system.rows()
        verdict.balanced, verdict.faults_of_books = books.balanced, books.faults
        verdict.durability = {
            "synced": books.synced,
            "written": books.written,
            "token_only": books.token_only,
        }
        missing = {self._system.click_id(token) for token in outcome.tokens} - set(rows)
        verdict.acknowledged_lost = max(0, len(missing) - books.token_only)
        verdict.double_owner = sum(
            self._is_doubled(token, people, rows) for token, people in self.told.items()
        )
        ordered = sorted(outcome.latencies)
        for name, share in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999)):
            setattr(verdict, name, round(ordered[int(len(ordered) * share)] * 1000, 2))
        verdict.max_ms = round(ordered[-1] * 1000, 2)
        verdict.spool_mib.append(round(_size(self._system.settings.spools) / 1048576, 2))

    def _is_doubled(self, token: str, people: set[int], rows: dict[str, tuple[int, int] | None]) -> bool:
        owner = rows.get(self._system.click_id(token))
        return len(people) > 1 or (owner is not None and people != {owner[1]})


@asynccontextmanager
async def _killed(server: ValkeyServer | PostgresServer) -> AsyncIterator[None]:
    await asyncio.to_thread(server.kill)
    yield
    await asyncio.to_thread(server.start)


@asynccontextmanager
async def _frozen(server: ValkeyServer | PostgresServer) -> AsyncIterator[None]:
    server.freeze()
    yield
    server.thaw()


def _lock(connection: sqlite3.Connection) -> None:
    """SQLite's own waiting would starve beside a worker that writes all the time."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.0005)
        else:
            return


def _size(folder: Path) -> int:
    sizes = Counter[str]()
    for path in folder.rglob("*"):
        try:
            sizes["bytes"] += path.stat().st_size
        except FileNotFoundError:
            continue
    return sizes["bytes"]


async def soak(given: argparse.Namespace) -> Verdict:
    """Servers, system, run."""
    with tempfile.TemporaryDirectory(prefix="trilha-soak-") as folder, ValkeyServer() as valkey:
        if not given.postgres:
            return await _on(Path(folder), valkey, None, given)
        with PostgresServer() as postgres:
            return await _on(Path(folder), valkey, postgres, given)


async def _on(
    folder: Path, valkey: ValkeyServer, postgres: PostgresServer | None, given: argparse.Namespace
) -> Verdict:
    sql = postgres.create_database("soak") if postgres else f"sqlite+aiosqlite:///{folder / 'trilha.db'}"
    system = System(folder / "home", sql, valkey.url)
    await system.prepare()
    system.start()
    try:
        run = Soak(system, valkey, postgres, given.seed)
        return await run.run(seconds=given.minutes * 60, rate=given.rate, every=given.every)
    finally:
        system.stop()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=300, help="clicks a second")
    parser.add_argument("--every", type=float, default=20, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--postgres", action="store_true", help="SQL is PostgreSQL instead of SQLite")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    print(f"soak: seed {given.seed}", file=sys.stderr, flush=True)
    verdict = asyncio.run(soak(given))
    values = asdict(verdict) | {"passed": verdict.passed}
    print(
        json.dumps(values)
        if given.json
        else "\n".join(f"{name:18} {value}" for name, value in values.items())
    )
    sys.exit(0 if verdict.passed else 1)


if __name__ == "__main__":
    main()
