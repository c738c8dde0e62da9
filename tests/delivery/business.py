"""A whole installation that reports to the loopback Meta: daemon, API, settling, relay and commands, on one SQLite file.

Its clock is the machine's, moved by tests that would have to wait otherwise; Meta goes by the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.pixels import SqlPixels
from backends.sql.schema import outbox
from backends.sql.webhooks import SqlWebhooks
from daemon.worker import work
from delivery.destinations import StoredDestinations
from delivery.meta.client import MetaClient
from delivery.relay import Relay
from delivery.safe_http import SafeHttp
from domain.conversions import LEAD, PURCHASE
from domain.observations import Silent
from domain.webhooks import Webhook
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, PixelTokens
from privacy.webhook_secrets import WebhookSecrets
from tests.daemon_fixture import BOT, SLUG, Door, Site
from tests.delivery.shop import AGENT, ShiftedClock, token_of
from tests.meta.server import FakeMeta

ROOT = Path(__file__).parents[2]
PIXEL, OTHER_PIXEL = "1234567890", "9876543210"
CLIENT = "177.10.0.9"
BASE = "https://go.example.com"
FBCLID = "IwZXh0bgNhZW0BMABhZGlkAasVQk3xZ_-9_aem_7QGhicD3IfitnAZIYLLFEx"
QUERY = f"utm_source=FB&fbclid={FBCLID}"
ANA, BIA = 77_889_900, 77_889_901
EVENTS = ("PageView", "ViewContent", "Purchase")
HOUR, DAY = 3600.0, 86_400.0
CALL_SECONDS = 5.0
SOON = 30.0
_KEPT = ("home_dir", "sql_url", "meta_url", "public_url", "attribution", "profile")


def visitor(fbp: str | None = None, **headers: str) -> dict[str, str]:
    """The headers of somebody's phone behind the trusted proxy that we are."""
    cookies = {"Cookie": f"_fbp={fbp}"} if fbp else {}
    return {"User-Agent": AGENT, "X-Forwarded-For": CLIENT} | cookies | headers


class Business:
    """The installation. The link SLUG has the pixel PIXEL, which has a token, and reports page views too."""

    def __init__(self, site: Site, meta: FakeMeta, clock: ShiftedClock, engine: AsyncEngine) -> None:
        self.site, self.meta, self.clock, self.engine = site, meta, clock, engine
        self.keyring = Keyring(site.settings.secrets, clock)
        self.catalog = SqlCatalog(engine, clock)
        self._client = MetaClient(meta.url, seconds=CALL_SECONDS)
        self.relay = self.new_relay(engine)
        self.orders = 0

    # ------------------------------------------------------------ what the operator does

    async def open_pixel(self, pixel: str) -> None:
        """A pixel of Meta's, with the token that opens it."""
        self.meta.add_pixel(pixel, token_of(pixel))
        sealed = PixelTokens(self.keyring).seal(pixel, Credentials(token=token_of(pixel)))
        await SqlPixels(self.engine).put(pixel, sealed, at_ms=self.clock.now_ms())

    async def add_webhook(self, port: int, name: str = "crm") -> None:
        """Conversions are posted to that port of this machine too."""
        secret = WebhookSecrets(self.keyring).seal("0123456789abcdefghijklmnopqrstuvwxyz", name)
        made = Webhook(name=name, url=f"http://127.0.0.1:{port}/", secret=secret, created_at_ms=0)
        await SqlWebhooks(self.engine).put(made)

    async def trilha(self, *words: str, said: str = "", code: int | None = 0) -> str:
        """What that command prints; `code` None: whatever it exits with. It goes by the machine's clock."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli.main", *words),
            cwd=ROOT,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(said.encode())
        assert code in (None, process.returncode), (words, out, err)
        return out.decode()

    async def trilha_json(self, *words: str, code: int | None = 0) -> Any:
        return json.loads(await self.trilha(*words, "--json", code=code))

    @property
    def environment(self) -> dict[str, str]:
        """Of commands and processes of this installation."""
        given = {f"TRILHA_{name.upper()}": str(getattr(self.site.settings, name)) for name in _KEPT}
        return os.environ | given

    # ------------------------------------------------------------ what people and bots do

    async def clicked(self, door: Door, slug: str = SLUG, *, query: str = QUERY, **how: Any) -> str:
        """Somebody's click; its token. how: as `visitor` has it."""
        answer = await door.get(f"/go/{slug}?{query}", visitor(**how))
        assert answer.status == 302, answer.raw
        return answer.token

    async def came(self, door: Door, person: int = ANA, slug: str = SLUG, **how: Any) -> str:
        """Somebody's click and START; the click's token."""
        token = await self.clicked(door, slug, **how)
        assert (await door.start(token, person))["owner"] is True
        return token

    async def sold(self, door: Door, **body: Any) -> Any:
        """A sale reported by the API, of Ana unless the body says whose, under an order id of its own."""
        self.orders += 1
        sale: dict[str, Any] = {"bot": BOT, "event": PURCHASE, "order_id": f"A-{self.orders}"}
        sale |= {"value": "97.00", "currency": "BRL"}
        if not body.keys() & {"token", "telegram_id", "click_id"}:
            sale["telegram_id"] = ANA
        return await self.reported(door, **(sale | body))

    async def lead(self, door: Door, **body: Any) -> Any:
        return await self.reported(door, **({"bot": BOT, "event": LEAD} | body))

    async def reported(self, door: Door, **body: Any) -> Any:
        answer = await door.api.post("/v1/conversions", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    # ------------------------------------------------------------ what `trilha work` does

    def new_relay(self, engine: AsyncEngine, box: SqlOutbox | None = None) -> Relay:
        """As another process has it."""
        given = self.site.settings
        destinations = StoredDestinations(
            pixels=SqlPixels(engine),
            webhooks=SqlWebhooks(engine),
            meta=self._client,
            posts=SafeHttp(allowed=given.webhook_hosts),
            keyring=self.keyring,
            clock=self.clock,
            base_url=given.base_url,
            honour_gpc=given.honour_gpc,
        )
        return Relay(
            outbox=box or SqlOutbox(engine),
            destinations=destinations,
            clock=self.clock,
            observer=Silent(),
            touch=given.attribution,
            sleep=_at_once,
        )

    async def turn(self, seconds: float = 0.0) -> None:
        """So much later: settle what is spooled, and bring to its destination what is due."""
        self.clock.advance(seconds)
        await self.site.settle()
        await self.relay.pass_()
        await self.relay.settled()

    async def turns(self, seconds: float, *, every: float) -> None:
        for _ in range(round(seconds / every)):
            await self.turn(every)

    async def until_quiet(self, every: float = 60.0, *, passes: int = 30) -> None:
        """Turns, each so much later, until nothing waits."""
        for _ in range(passes):
            await self.turn()
            if not (await self.states())["pending"]:
                return
            self.clock.advance(every)
        raise AssertionError("something still waits")

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """`trilha work` itself, in this process."""
        stop = asyncio.Event()
        working = asyncio.create_task(work(self.site.settings, self.clock, stop))
        try:
            yield
        finally:
            stop.set()
            await working

    # ------------------------------------------------------------ what came of it

    async def rows(self, event: str | None = None) -> list[Any]:
        return [row for row in await self.site.rows(outbox) if event in (None, row.event)]

    async def states(self, event: str | None = None) -> Counter[str]:
        return Counter(row.state for row in await self.rows(event))

    async def until(self, holds: Callable[[list[Any]], bool]) -> list[Any]:
        """The rows, once it holds for them."""
        async with asyncio.timeout(SOON):
            while not holds(rows := await self.rows()):
                await asyncio.sleep(0.05)
        return rows

    def sent(self, event: str, pixel: str = PIXEL) -> list[dict[str, Any]]:
        """What Meta has accepted of that name."""
        return [body for (of, name, _), body in self.meta.accepted.items() if (of, name) == (pixel, event)]

    def one(self, event: str, pixel: str = PIXEL) -> dict[str, Any]:
        (found,) = self.sent(event, pixel)
        return found

    def users(self, events: tuple[str, ...] = EVENTS) -> list[dict[str, Any]]:
        """Who they were, of one event each."""
        return [self.one(event)["user_data"] for event in events]


async def _at_once(_seconds: float) -> None:
    """What would be waited between quick attempts."""


@asynccontextmanager
async def in_business(home: Path, *, ago: float = 0.0, **changes: Any) -> AsyncIterator[Business]:
    """An installation whose clock is so many seconds behind at first. Nothing runs."""
    clock = ShiftedClock()
    clock.advance(-ago)
    async with FakeMeta(now=lambda: clock.now_ms() / 1000) as meta:
        given = {"meta_url": meta.url, "public_url": BASE, "trusted_proxies": ["127.0.0.0/8"]} | changes
        site = Site(home, clock=clock, **given)
        await site.prepare()
        async with site.engine() as engine:
            made = Business(site, meta, clock, engine)
            await made.open_pixel(PIXEL)
            await made.catalog.edit_link(SLUG, events_off=())
            try:
                yield made
            finally:
                await made._client.close()
        assert not meta.leaks
        assert not meta.oddities
