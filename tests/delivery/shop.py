"""An operator's home with pixels, and a relay between its outbox on SQLite and the loopback Meta: nothing is stood in for.

Its clock is the machine's, moved forward by tests that would have to wait otherwise.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from backends.sql.outbox import SqlOutbox
from backends.sql.pixels import SqlPixels
from backends.sql.schema import clicks as clicks_table
from backends.sql.schema import outbox
from backends.sql.webhooks import SqlWebhooks
from delivery.destinations import StoredDestinations
from delivery.meta.client import MetaClient
from delivery.relay import Relay
from delivery.safe_http import SafeHttp
from domain.click import Click
from domain.clock import SystemClock
from domain.conversions import START_EVENT, LaneStatus, click_event_id, meta_lane
from domain.links import Link
from privacy.keyring import Keyring, current_period
from privacy.pixel_tokens import Credentials, PixelTokens
from privacy.seal import Original, Sealer
from tests.contracts.test_ledger import ADDED
from tests.delivery.desk import Counting
from tests.making import PATIENT, bare_click, new_id, person_key, start_of

PIXEL, OTHER = "1234567890123456", "6543210987654321"
BASE = "https://go.example.com"
CALL_SECONDS = 5.0
AGENT = "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"
_people = itertools.count(1000)


class ShiftedClock:
    """The machine's clock, moved forward."""

    def __init__(self) -> None:
        self._clock, self._seconds = SystemClock(), 0.0

    def now_ms(self) -> int:
        return self._clock.now_ms() + round(self._seconds * 1000)

    def monotonic(self) -> float:
        return self._clock.monotonic() + self._seconds

    def advance(self, seconds: float) -> None:
        self._seconds += seconds


def token_of(pixel: str, number: int = 1) -> str:
    return f"EAAtest{pixel}ZCnumber{number}ZD"


class Shop:
    """The home; `relay` is the one that tests let work."""

    def __init__(
        self, engine: AsyncEngine, keyring: Keyring, clock: ShiftedClock, meta_url: str, seconds: float
    ) -> None:
        self.engine, self.keyring, self.clock = engine, keyring, clock
        self.outbox = SqlOutbox(engine)
        self.pixels = SqlPixels(engine)
        self.client = MetaClient(meta_url, seconds=seconds)
        self.links: dict[str, Link] = {}
        self.heard = Counting()
        self.relay = self.new_relay()
        self._sealer = Sealer(keyring)

    def new_relay(self) -> Relay:
        """As another process has it."""
        destinations = StoredDestinations(
            pixels=self.pixels,
            webhooks=SqlWebhooks(self.engine),
            meta=self.client,
            posts=SafeHttp(),
            keyring=self.keyring,
            clock=self.clock,
            base_url=BASE,
            honour_gpc=False,
        )
        return Relay(
            outbox=self.outbox,
            destinations=destinations,
            clock=self.clock,
            observer=self.heard,
            touch="last",
            sleep=_at_once,
        )

    async def open_pixel(self, pixel: str = PIXEL, *, token: str | None = None) -> None:
        """A pixel with a token, and a link that reports to it."""
        await self.renew(pixel, token or token_of(pixel))
        catalog = SqlCatalog(self.engine, self.clock)
        slug = f"link-{pixel}"
        self.links[pixel] = await catalog.add_link(slug, bot="shop_bot", pixel=pixel)

    async def renew(self, pixel: str, token: str) -> None:
        """As `trilha pixel token` does."""
        sealed = PixelTokens(self.keyring).seal(pixel, Credentials(token=token))
        await self.pixels.put(pixel, sealed, at_ms=self.clock.now_ms())

    async def started(self, number: int = 1, pixel: str = PIXEL) -> list[UUID]:
        """Clicks of now, each of somebody who has pressed START: the ids of what is owed for them."""
        now = self.clock.now_ms()
        clicks = self._clicks(number, pixel)
        starts = [start_of(click, next(_people), at_ms=now) for click in clicks]
        added = {click.id: ADDED for click in clicks}
        await SqlLedger(self.engine, person_key).settle(clicks, starts, [], (), added)
        return [click_event_id(click.id, START_EVENT) for click in clicks]

    async def queued(self, number: int, pixel: str = PIXEL) -> list[UUID]:
        """As `started`, for thousands: the rows that starts leave behind, without the time that each start takes."""
        clicks, link_id, now = self._clicks(number, pixel), self.links[pixel].id, self.clock.now_ms()
        added = {click.id: ADDED for click in clicks}
        for at in range(0, number, 2000):
            part = clicks[at : at + 2000]
            await SqlLedger(self.engine, person_key).settle(
                part, [], [], (), {click.id: added[click.id] for click in part}
            )
        owned = (
            update(clicks_table)
            .where(clicks_table.c.id == bindparam("this"))
            .values(owner_bot_id=1, owner_telegram_id=bindparam("person"), started_at=now)
        )
        row = {"lane": meta_lane(pixel), "event": START_EVENT, "state": "pending", "link_id": link_id}
        row |= {"event_at": now, "next_at": now}
        ids = [click_event_id(click.id, START_EVENT) for click in clicks]
        async with self.engine.begin() as connection:
            await connection.execute(owned, [{"this": click.id, "person": next(_people)} for click in clicks])
            await connection.execute(
                outbox.insert(),
                [
                    row | {"event_id": each, "click_id": click.id}
                    for each, click in zip(ids, clicks, strict=True)
                ],
            )
        return ids

    async def turn(self, seconds: float = 0.0) -> None:
        """So much later: one pass, and all that it sets to work."""
        self.clock.advance(seconds)
        await self.relay.pass_()
        await self.relay.settled()

    async def until_quiet(self, seconds: float = 600.0, *, passes: int = 60) -> None:
        """Passes, each so much later, until nothing is pending."""
        for _ in range(passes):
            await self.turn()
            if "pending" not in await self.states(PIXEL):
                return
            self.clock.advance(seconds)
        raise AssertionError("something is still pending")

    async def rows(self, pixel: str = PIXEL) -> list[Any]:
        async with self.engine.connect() as connection:
            wanted = select(outbox).where(outbox.c.lane == meta_lane(pixel)).order_by(outbox.c.event_id)
            return list((await connection.execute(wanted)).all())

    async def states(self, pixel: str = PIXEL) -> Counter[str]:
        return Counter(row.state for row in await self.rows(pixel))

    async def status(self, pixel: str = PIXEL) -> LaneStatus:
        [found] = [status for status in await self.outbox.lanes() if status.lane == meta_lane(pixel)]
        return found

    def _clicks(self, number: int, pixel: str) -> list[Click]:
        now = self.clock.now_ms()
        return [self._click(self.links[pixel].id, now) for _ in range(number)]

    def _click(self, link_id: int, now: int) -> Click:
        click_id = new_id(now - 1000)
        original = Original(
            ip="2804:14d::1",
            user_agent=AGENT,
            fbclid="IwAR2F4dbP0l7Mn1",
            fbc=f"fb.1.{now - 1000}.IwAR2F4dbP0l7Mn1",
            fbp=f"fb.1.{now - 5000}.1098115397",
        )
        sealed = self._sealer.seal(original, click_id, current_period(self.clock))
        return bare_click(id=click_id, link_id=link_id, sealed=sealed)


async def _at_once(_seconds: float) -> None:
    """What would be waited between quick attempts."""


@asynccontextmanager
async def opened(
    home: Path, meta: Any, *, sql_url: str | None = None, seconds: float = CALL_SECONDS
) -> AsyncIterator[Shop]:
    """A home with a pixel of Meta's. seconds: what a call may take."""
    clock = ShiftedClock()
    engine = make_engine(sql_url or f"sqlite+aiosqlite:///{home / 'trilha.db'}", patience=PATIENT)
    await migrate(engine)
    await SqlCatalog(engine, clock).add_bot("shop_bot")
    shop = Shop(engine, Keyring.create(home / "keyring.json", clock), clock, meta.url, seconds)
    meta.add_pixel(PIXEL, token_of(PIXEL))
    await shop.open_pixel()
    try:
        yield shop
    finally:
        await shop.client.close()
        await engine.dispose()
