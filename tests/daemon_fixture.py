"""A real daemon in this process, on real sockets: prepared, run, asked, settled, read back."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import structlog
from sqlalchemy import Table, delete, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.build import open_spool
from backends.catalog_cache import CatalogCache
from backends.spool import spools_under
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from backends.sql.schema import clicks
from backends.sql.scoring import SqlScoring
from chaos.servers import HOST, free_port
from daemon.enrich.build import make_enricher
from daemon.enrich.geo import GeoIp
from daemon.main import serve
from daemon.scoring import Scoring
from daemon.settle import Settler
from domain.attribution import ClickRef
from domain.clock import Clock, SystemClock
from privacy.api_keys import make_api_key
from privacy.keyring import Keyring
from privacy.redact import redact_event
from privacy.seal import Original, Sealer
from privacy.token import Minter
from runtime.logs import set_up_logs
from runtime.settings import Bind, Settings

BOT = "trail_test_bot"
OTHER_BOT = "other_test_bot"
SLUG = "promo"
PATIENCE = 10.0
ANSWER_SECONDS = 20.0
DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer as it came over the wire. `status` 0: the connection was closed without one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> Answer:
        if not raw:
            return cls(0, (), b"", raw)
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        return cls(int(first.split()[1]), headers, body, raw)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    @property
    def location(self) -> str:
        """The one Location."""
        (found,) = self.all("location")
        return found

    @property
    def token(self) -> str:
        """What the deep link carries."""
        return self.location.partition("?start=")[2]


async def exchange(port: int, data: bytes, *, source: str = HOST) -> Answer:
    """Send bytes, read all that comes until the server closes."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(source, 0))

    async def send() -> None:
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()

    sending = asyncio.create_task(send())
    raw = b""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            with suppress(ConnectionError):
                while chunk := await reader.read(65536):
                    raw += chunk
    finally:
        sending.cancel()
        writer.close()
        with suppress(ConnectionError, asyncio.CancelledError):
            await sending
        with suppress(ConnectionError):
            await writer.wait_closed()
    return Answer.of(raw)


def request_bytes(
    target: str | bytes, headers: dict[str, str] | list[tuple[str, str]] | None = None, method: str = "GET"
) -> bytes:
    """A request with exactly these headers, a Host and `Connection: close`."""
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or ())
    path = target if isinstance(target, bytes) else target.encode()
    lines = [b"%s %s HTTP/1.1" % (method.encode(), path), b"Host: go.example.com"]
    lines += [f"{name}: {value}".encode() for name, value in pairs]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])


class Door:
    """A running daemon, from outside."""

    def __init__(self, site: Site, api: httpx2.AsyncClient, stop: asyncio.Event) -> None:
        self.site = site
        self.api = api
        self.stop = stop
        self.port = site.settings.public_bind.port

    async def raw(self, data: bytes, *, source: str = HOST) -> Answer:
        return await exchange(self.port, data, source=source)

    async def get(
        self,
        target: str | bytes = f"/go/{SLUG}",
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        *,
        method: str = "GET",
        source: str = HOST,
    ) -> Answer:
        return await self.raw(request_bytes(target, headers, method), source=source)

    async def click(self, query: str = "", headers: dict[str, str] | None = None) -> str:
        """A click on the link that must be redirected; its token."""
        answer = await self.get(f"/go/{SLUG}" + (f"?{query}" if query else ""), headers)
        assert answer.status == 302, answer.raw
        return answer.token

    async def start(self, token: str | None, telegram_id: int = 7, bot: str = BOT, **more: Any) -> Any:
        """A start that must be answered 200; the JSON object."""
        body = {"bot": bot, "telegram_id": telegram_id, "token": token, **more}
        answer = await self.api.post("/v1/starts", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def metric(self, line: str) -> float:
        """The value of a metric, named with its labels as Prometheus prints them; 0 when it is not there."""
        page = (await self.api.get("/metrics")).text
        found = [row.rpartition(" ")[2] for row in page.splitlines() if row.rpartition(" ")[0] == line]
        return float(found[0]) if found else 0.0


class Site:
    """A prepared home: key ring, API key, tables, two bots and a link. `sql_away` and `sql_back` are an outage."""

    def __init__(
        self, home: Path, *, sql_url: str | None = None, clock: Clock | None = None, **changes: Any
    ) -> None:
        self.home = home
        self.clock = clock or SystemClock()
        self._sql = home / "sql"
        given: dict[str, Any] = {
            "home_dir": home / "var",
            "public_bind": Bind(host=HOST, port=free_port()),
            "private_bind": Bind(host=HOST, port=free_port()),
            "sql_url": sql_url or f"sqlite+aiosqlite:///{self._sql / 'trilha.db'}",
            # A slow disk of the machine under test is not what these tests are about.
            "deadline_ms": 5000,
        }
        self.settings = Settings(**(given | changes))
        self.key = ""

    async def prepare(self) -> None:
        self._sql.mkdir(parents=True)
        async with self.engine() as engine:
            await migrate(engine)
            catalog = SqlCatalog(engine, self.clock)
            await catalog.add_bot(BOT)
            await catalog.add_bot(OTHER_BOT)
            await catalog.add_link(SLUG, bot=BOT, pixel="1234567890")
            cache = CatalogCache(catalog, self.settings.catalog_file, self.clock)
            await cache.refresh()
        Keyring.create(self.settings.secrets, self.clock)
        self.key = make_api_key(self.settings.api_keys, "tests")

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[AsyncEngine]:
        engine = make_engine(self.settings.sql, patience=PATIENCE)
        try:
            yield engine
        finally:
            await engine.dispose()

    def sql_away(self) -> None:
        """From now on a new connection finds no database. For daemons not started yet."""
        self._sql.rename(self.home / "away")

    def sql_back(self) -> None:
        (self.home / "away").rename(self._sql)

    def break_spool(self) -> None:
        """The folder of the spools is a file: nothing can be spooled. For daemons not started yet."""
        self.settings.spools.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings.spools.write_bytes(b"")

    def mend_spool(self) -> None:
        self.settings.spools.unlink()

    async def execute(self, statement: str) -> None:
        async with self.engine() as engine, engine.begin() as connection:
            await connection.execute(text(statement))

    async def migrate(self) -> None:
        """Make the tables again, after they were dropped."""
        await self.execute("DROP TABLE IF EXISTS alembic_version")
        async with self.engine() as engine:
            await migrate(engine)

    async def settle(self) -> int:
        """Move everything that is spooled into SQL, as the worker does."""
        async with self.engine() as engine:
            ring = Keyring(self.settings.secrets, self.clock)
            enricher = make_enricher(self.settings, ring, GeoIp(self.settings.geoip))
            settler = Settler(
                folders=lambda: spools_under(self.settings.spools),
                open_spool=lambda folder: open_spool(self.settings, folder),
                ledger=SqlLedger(engine, ring.person_key),
                enrich=enricher.settled,
                clock=self.clock,
                batch=self.settings.settle_batch,
            )
            try:
                moved = await settler.drain()
                await Scoring(SqlScoring(engine), enricher.of, self.clock).due()
                return moved
            finally:
                await settler.close()

    async def rows(self, table: Table = clicks) -> list[Any]:
        async with self.engine() as engine, engine.connect() as connection:
            return list((await connection.execute(select(table))).all())

    async def clear(self, table: Table = clicks) -> None:
        async with self.engine() as engine, engine.begin() as connection:
            await connection.execute(delete(table))

    async def row(self, token: str) -> Any:
        """The one row of a token's click."""
        (found,) = [row for row in await self.rows() if row.id == self.read(token).id]
        return found

    def minter(self) -> Minter:
        ring = Keyring(self.settings.secrets, self.clock)
        return Minter(ring, self.clock, node=0, attribution_days=self.settings.attribution_days)

    def read(self, token: str) -> ClickRef:
        """What a token says, verified."""
        return self.minter().verify(token)

    def opened(self, row: Any) -> Original:
        """What a row's sealed blob holds."""
        original = Sealer(Keyring(self.settings.secrets, self.clock)).open(row.sealed, row.id)
        assert original is not None
        return original

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Door]:
        """The daemon, answering; stopped in order afterwards."""
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(self.settings, self.clock, stop))
        base = f"http://{self.settings.private_bind}"
        headers = {"authorization": f"Bearer {self.key}"}
        try:
            async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=ANSWER_SECONDS) as api:
                await _answering(api, serving)
                yield Door(self, api, stop)
        finally:
            stop.set()
            await serving


async def _answering(api: httpx2.AsyncClient, serving: asyncio.Task[None]) -> None:
    """`serve` listens in its first step, so a request sent after it is answered as soon as the daemon answers any."""
    await asyncio.sleep(0)
    asking = asyncio.create_task(_healthz(api))
    await asyncio.wait({asking, serving}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        asking.cancel()
        await serving
    await asking


async def _healthz(api: httpx2.AsyncClient) -> None:
    assert (await api.get("/healthz")).status_code == 200


@contextmanager
def captured_logs(level: str = "debug") -> Iterator[io.StringIO]:
    """Everything that the product and its libraries log, as it leaves the process: after the redaction."""
    root = logging.getLogger()
    handlers, before, last = root.handlers, root.level, logging.lastResort
    ours = {name: logging.getLogger(name) for name in ("httpx2", "httpcore2", "asyncio")}
    levels = {name: logger.level for name, logger in ours.items()}
    for logger in ours.values():  # the client of these tests is no part of the product
        logger.setLevel("WARNING")
    set_up_logs(level, redact_event)
    page = io.StringIO()
    (handler,) = root.handlers
    handler.setStream(page)  # type: ignore[attr-defined]
    try:
        yield page
    finally:
        root.handlers, root.level, logging.lastResort = handlers, before, last
        for name, logger in ours.items():
            logger.setLevel(levels[name])
        structlog.reset_defaults()


def user_agents() -> list[tuple[str, str]]:
    """(kind, user agent) of real visitors, crawlers and tools."""
    lines = (DATA / "user_agents.txt").read_text().splitlines()
    return [(kind, agent) for kind, _, agent in (line.partition("\t") for line in lines if line)]


def ad_queries() -> list[str]:
    """Query strings as ads send them."""
    return (DATA / "ad_queries.txt").read_text().splitlines()


@contextmanager
def running_beside(site: Site, prepare: Callable[[], Awaitable[None]] | None = None) -> Iterator[Door]:
    """A daemon on a loop of its own, for tests that are no coroutines; `prepare` is awaited before it runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = site.running()

    async def begin() -> Door:
        await site.prepare()
        if prepare is not None:
            await prepare()
        return await running.__aenter__()

    def finish() -> None:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result()

    with ExitStack() as stack:
        stack.callback(loop.close)
        stack.callback(thread.join)
        stack.callback(lambda: loop.call_soon_threadsafe(loop.stop))
        door = asyncio.run_coroutine_threadsafe(begin(), loop).result()
        stack.callback(finish)
        yield door
