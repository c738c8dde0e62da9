"""A whole Trilha in real processes, and a load that says what each visitor was answered. No pytest in it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from sqlalchemy import select

from backends.build import open_all_spools
from backends.sql.books import Books, read_books
from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from backends.sql.schema import clicks, outbox
from chaos.inside.switches import VARIABLE, Switches
from chaos.servers import free_port
from domain.clock import SystemClock
from privacy.api_keys import make_api_key
from privacy.keyring import Keyring
from privacy.token import Minter
from runtime.settings import Settings, load_settings

ROOT = Path(__file__).parents[1]
BOT = "journey_bot"
SLUG = "journey"
READY_SECONDS = 20.0
SETTLE_SECONDS = 180.0
POLL = 0.02


@dataclass
class System:
    """serve and work as child processes, on stores given by URL. `extra` are further TRILHA_ settings."""

    home: Path
    sql_url: str
    redis_url: str = ""
    extra: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.public, self.private = free_port(), free_port()
        self.environment = {
            "TRILHA_HOME_DIR": str(self.home),
            "TRILHA_SQL_URL": self.sql_url,
            "TRILHA_REDIS_URL": self.redis_url,
            "TRILHA_PUBLIC_BIND": f"127.0.0.1:{self.public}",
            "TRILHA_PRIVATE_BIND": f"127.0.0.1:{self.private}",
            "TRILHA_LOG_LEVEL": "warning",
            **self.extra,
        }
        self.settings: Settings = load_settings(self.environment)
        self.clock = SystemClock()

    async def prepare(self) -> None:
        """Keys, tables, a bot and a link."""
        self.home.mkdir(parents=True, exist_ok=True)
        Keyring.create(self.settings.secrets, self.clock)
        self.api_key = make_api_key(self.settings.api_keys, "journey")
        engine = make_engine(self.sql_url, patience=5)
        await migrate(engine)
        catalog = SqlCatalog(engine, self.clock)
        await catalog.add_bot(BOT)
        await catalog.add_link(SLUG, bot=BOT, pixel="1234567890")
        await engine.dispose()
        self.minter = Minter(
            Keyring(self.settings.secrets, self.clock), self.clock, node=0, attribution_days=28
        )

    @classmethod
    async def on_sqlite(cls, folder: Path, redis_url: str, **extra: str) -> System:
        """A prepared system with a SQLite file of its own; `extra` are settings without their prefix."""
        settings = {f"TRILHA_{name.upper()}": value for name, value in extra.items()}
        made = cls(folder / "home", f"sqlite+aiosqlite:///{folder / 'trilha.db'}", redis_url, extra=settings)
        await made.prepare()
        return made

    def start(self, *names: str, faults: Sequence[str] = ()) -> None:
        """Start `serve`, `work` or both; with `faults` possible in them, each off until its switch is on (chaos/inside)."""
        program = ["chaos.inside", *faults, "--"] if faults else ["cli.main"]
        for name in names or ("serve", "work"):
            log = (self.home / f"{name}.log").open("ab")
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", *program, name],
                cwd=ROOT,
                env=os.environ | self.environment | {VARIABLE: str(self.home / "switches")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            log.close()
        if "serve" in (names or ("serve",)):
            self._wait_for_port()

    @property
    def switches(self) -> Switches:
        """They turn faults on and off in the processes that were started with them."""
        return Switches(self.home / "switches")

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to one of our processes."""
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        """SIGKILL, and wait for the end."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """SIGTERM to all, and wait; SIGKILL for one that does not end."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self) -> str:
        """What both have logged."""
        return "".join(path.read_text() for path in self.home.glob("*.log"))

    def load(self, *, rate: float, seconds: float) -> Load:
        """An open-loop load on the link."""
        return Load(self.public, rate=rate, total=int(rate * seconds))

    def api(self) -> httpx2.AsyncClient:
        """A client of the private listener."""
        return httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{self.private}",
            headers={"authorization": f"Bearer {self.api_key}"},
            timeout=30,
            limits=httpx2.Limits(max_connections=32),
        )

    async def books(self) -> Books:
        """The books of everything so far."""
        engine = make_engine(self.sql_url, patience=5)
        spools = open_all_spools(self.settings)
        try:
            now = self.clock.now_ms()
            return await read_books(engine, spools, since_ms=now - 3_600_000, until_ms=now + 60_000)
        finally:
            for spool in spools:
                spool.close()
            await engine.dispose()

    async def settled_books(self, *, issued: int, clicks: int = 0) -> Books:
        """The books once nothing waits and all receipts are in; the last ones read when that takes too long.

        `issued` receipts are awaited, and `clicks` in SQL where a killed daemon took its last receipts with it.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            books = await self.books()
            # The ring brings clicks that no store took in time a little later: they are in SQL too in the end.
            arrived = books.in_sql + books.direct >= max(books.issued, clicks) and books.issued >= issued
            if (arrived and books.in_spools == 0) or time.monotonic() > deadline:
                return books
            await asyncio.sleep(POLL * 5)

    async def rows(self) -> dict[str, tuple[int, int] | None]:
        """Every click in SQL that has its payload: id -> owner."""
        engine = make_engine(self.sql_url, patience=5)
        async with engine.connect() as connection:
            wanted = select(clicks).where(clicks.c.clicked_at.is_not(None))
            found = (await connection.execute(wanted)).all()
        await engine.dispose()
        return {
            row.id.hex: (row.owner_bot_id, row.owner_telegram_id) if row.owner_telegram_id else None
            for row in found
        }

    async def outbox_clicks(self) -> list[str]:
        """The click id of each outbox row."""
        engine = make_engine(self.sql_url, patience=5)
        async with engine.connect() as connection:
            found = (await connection.execute(select(outbox.c.click_id))).scalars().all()
        await engine.dispose()
        return [click.hex for click in found]

    def click_id(self, token: str) -> str:
        """The click that a token names, as `rows` spells it."""
        return self.minter.verify(token).id.hex

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.processes["serve"].poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.public), 1).close()
                return
            except OSError:
                time.sleep(POLL)
        raise RuntimeError("serve did not come up: " + self.logs())


@dataclass
class Load:
    """Sends `total` clicks at `rate` a second, each at its own moment whatever became of those before it."""

    port: int
    rate: float
    total: int
    tokens: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    errors: int = 0
    connections: asyncio.Queue[Visitor] = field(default_factory=asyncio.Queue)

    async def run(self) -> None:
        """Send all of them and wait for all answers."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(self.total):
                await asyncio.sleep(began + number / self.rate - time.monotonic())
                group.create_task(self._click(number))
        await self._leave()

    async def burst(self, concurrency: int) -> None:
        """Send all of them with that many at once, as fast as they are answered."""
        numbers = iter(range(self.total))

        async def one() -> None:
            for number in numbers:
                await self._click(number)

        await asyncio.gather(*(one() for _ in range(concurrency)))
        await self._leave()

    async def _leave(self) -> None:
        while not self.connections.empty():
            await self.connections.get_nowait().leave()

    async def _click(self, number: int) -> None:
        visitor = self.connections.get_nowait() if not self.connections.empty() else Visitor(self.port)
        try:
            status, location = await visitor.go(_target(number))
        except (OSError, asyncio.IncompleteReadError, ValueError):
            self.errors += 1
            await visitor.leave()
            return
        self.connections.put_nowait(visitor)
        if status == "302" and "?start=" in location:
            self.tokens.append(location.rpartition("?start=")[2])
        else:
            self.others.append(status)


class Visitor:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def go(self, target: str) -> tuple[str, str]:
        """Status and Location of a GET."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(f"GET {target} HTTP/1.1\r\nhost: go.example\r\nuser-agent: journey\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status = head.split(" ", 2)[1]
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        await reader.readexactly(int(fields.get("content-length", "0")))
        return status, fields.get("location", "")

    async def leave(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            with suppress(OSError):
                await self._streams[1].wait_closed()


def _target(number: int) -> str:
    return (
        f"/go/{SLUG}?utm_source=fb&utm_campaign=Campanha%7C{number % 50}&utm_content=An%C3%BAncio%7C{number % 200}"
        f"&fbclid=IwAR{number:08d}{'x' * 60}_aem_{number:08d}"
    )


@contextmanager
def locked_sqlite(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a stuck backup or a long transaction would."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()
