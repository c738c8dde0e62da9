"""A home with many pixels, each with its own link and token, and what is owed for each; its relay is a process to be killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.pixels import SqlPixels
from backends.sql.schema import clicks, outbox
from cli.clicks import catalog_in, minter_of
from cli.common import stores_of
from delivery.report import Report, ReportRequest
from domain.click import Click
from domain.conversions import (
    PURCHASE,
    START_EVENT,
    LaneStatus,
    click_event_id,
    meta_lane,
    order_event_id,
    pixel_of,
)
from domain.observations import Silent
from privacy.keyring import Keyring, current_period
from privacy.pixel_tokens import Credentials, PixelTokens
from privacy.seal import Original, Sealer
from privacy.token import Minter
from runtime.settings import child_environment
from tests.contracts.test_ledger import ADDED
from tests.daemon_fixture import BOT, Site
from tests.delivery.shop import AGENT, token_of
from tests.making import bare_click, new_id, start_of
from tests.meta import FakeMeta

Key = tuple[str, str, str]
"""Pixel, event name, event id: as Meta tells events apart."""
BOT_ID = 1
RENEWED = 2


class Trade:
    """What is sold. `owed` has every conversion that was written down; `bad` those that Meta will refuse."""

    def __init__(self, site: Site, engine: AsyncEngine, meta: FakeMeta, seed: int) -> None:
        self.site, self.engine, self.meta = site, engine, meta
        self.outbox = SqlOutbox(engine)
        self.owed: set[Key] = set()
        self.bad: dict[Key, str] = {}
        self.keyring = Keyring(site.settings.secrets, site.clock)
        self._links: dict[str, int] = {}
        self._ledger = SqlLedger(engine, self.keyring.person_key)
        self._sealer = Sealer(self.keyring)
        self._people, self._orders = itertools.count(1000), itertools.count(1)
        self._random = random.Random(seed)

    async def open_pixels(self, pixels: Iterable[str]) -> None:
        """Each with a token, at Meta too, and a link that reports to it."""
        catalog, held = SqlCatalog(self.engine, self.site.clock), SqlPixels(self.engine)
        for pixel in pixels:
            credentials = Credentials(token=token_of(pixel))
            self.meta.add_pixel(pixel, credentials.token)
            sealed = PixelTokens(self.keyring).seal(pixel, credentials)
            await held.put(pixel, sealed, at_ms=self.site.clock.now_ms())
            self._links[pixel] = (await catalog.add_link(f"link-{pixel}", bot=BOT, pixel=pixel)).id

    async def renew(self, pixel: str) -> None:
        """Another token, at Meta and by the operator's command."""
        self.meta.renew(pixel, token_of(pixel, RENEWED))
        file = self.site.home / f"token-{pixel}"
        file.write_text(token_of(pixel, RENEWED))
        file.chmod(0o600)
        command = [sys.executable, "-m", "cli.main", "pixel", "token", pixel, "--token-file", str(file)]
        quiet, given = subprocess.DEVNULL, self.environment()
        await asyncio.to_thread(subprocess.run, command, env=given, stdout=quiet, check=True, timeout=30)

    async def starts(self, numbers: Mapping[str, int], *, hours: float = 0.0) -> None:
        """So many people of each pixel who pressed START so long ago, and whose clicks are settled now: the ledger completes
        their rows, and owes.
        """
        at_ms = self.site.clock.now_ms() - round(hours * 3_600_000)
        made = [click for pixel, number in numbers.items() for click in self._clicks(pixel, number, at_ms)]
        async with self.engine.begin() as connection:
            await connection.execute(clicks.insert(), [self._started(click, at_ms) for click in made])
        await self._ledger.settle(made, [], [], (), {click.id: ADDED for click in made})

    async def sales(self, pixels: Iterable[str]) -> None:
        """Of each pixel somebody who presses START and then buys: reported by click, by token, or by their Telegram id."""
        now = self.site.clock.now_ms()
        made = {pixel: self._clicks(pixel, 1, now)[0] for pixel in pixels}
        people = {click.id: next(self._people) for click in made.values()}
        begun = [start_of(click, people[click.id], at_ms=now) for click in made.values()]
        await self._ledger.settle(list(made.values()), begun, [], (), dict.fromkeys(people, ADDED))
        async with self._report() as (report, minter):
            for pixel, click in made.items():
                order = f"order-{next(self._orders)}"
                self._owe(pixel, PURCHASE, [order_event_id(BOT_ID, PURCHASE, order)])
                token = minter.mint(click.id, click.link_id, click.ad_key).text
                whose: tuple[dict[str, Any], ...] = (
                    {"click_id": click.id},
                    {"token": token},
                    {"telegram_id": people[click.id]},
                )
                await report.report(_sale(order, self._random.choice(whose)))

    def poison_again(self) -> None:
        """After faults were cleared."""
        for (_, _, event_id), code in self.bad.items():
            self._poison(event_id, code)

    async def count(self, *conditions: Any) -> int:
        """Rows of the outbox for which these hold."""
        async with self.engine.connect() as connection:
            wanted = select(func.count()).select_from(outbox).where(*conditions)
            return int((await connection.execute(wanted)).scalar_one())

    async def waiting(self) -> set[Key]:
        """What is pending, in whose lane."""
        wanted = select(outbox.c.lane, outbox.c.event, outbox.c.event_id).where(outbox.c.state == "pending")
        async with self.engine.connect() as connection:
            return {
                (pixel_of(row.lane) or "", row.event, str(row.event_id))
                for row in (await connection.execute(wanted)).all()
            }

    async def rows(self) -> list[Any]:
        async with self.engine.connect() as connection:
            return list((await connection.execute(select(outbox))).all())

    async def lanes(self, pixels: Iterable[str]) -> list[LaneStatus]:
        names = {meta_lane(pixel) for pixel in pixels}
        return [status for status in await self.outbox.lanes() if status.lane in names]

    def environment(self) -> dict[str, str]:
        """What a command of this home is started with."""
        given = self.site.settings
        return child_environment(**{name: str(getattr(given, name)) for name in given.model_fields_set})

    # ------------------------------------------------------------ making

    def _owe(self, pixel: str, event: str, ids: Iterable[UUID]) -> None:
        """One in a hundred will be refused: decided, and known to Meta, before SQL has it."""
        for each in ids:
            key = (pixel, event, str(each))
            self.owed.add(key)
            if self._random.random() < 0.01:
                self.bad[key] = self._random.choice(["100/2804007", "105"])
                self._poison(key[2], self.bad[key])

    def _poison(self, event_id: str, code: str) -> None:
        main, _, sub = code.partition("/")
        self.meta.faults.poison(
            [event_id], code=int(main), subcode=int(sub) if sub else None, says=f"refused {code}"
        )

    def _clicks(self, pixel: str, number: int, at_ms: int) -> list[Click]:
        """Not in SQL yet; what will be owed for their starts is known."""
        made = [self._click(self._links[pixel], at_ms) for _ in range(number)]
        self._owe(pixel, START_EVENT, (click_event_id(click.id, START_EVENT) for click in made))
        return made

    def _click(self, link_id: int, at_ms: int) -> Click:
        click_id = new_id(at_ms - 1000)
        fbclid = f"IwAR{click_id.hex}"
        original = Original(
            ip="2804:14d::1",
            user_agent=AGENT,
            fbclid=fbclid,
            fbc=f"fb.1.{at_ms - 1000}.{fbclid}",
            fbp=f"fb.1.{at_ms - 5000}.1098115397",
        )
        sealed = self._sealer.seal(original, click_id, current_period(self.site.clock))
        return bare_click(id=click_id, link_id=link_id, sealed=sealed)

    def _started(self, click: Click, at_ms: int) -> dict[str, Any]:
        """What SQL has of a start whose click has not come yet."""
        row = {"id": click.id, "link_id": click.link_id, "node": click.node, "ad_key": click.ad_key}
        owner = {"owner_bot_id": BOT_ID, "owner_telegram_id": next(self._people), "started_at": at_ms}
        return row | owner | {"spooled": False}

    @asynccontextmanager
    async def _report(self) -> AsyncIterator[tuple[Report, Minter]]:
        given = self.site.settings
        async with stores_of(given) as stores:
            minter = minter_of(given)
            yield (
                Report(
                    minter=minter,
                    names=await catalog_in(stores, given),
                    unsettled=stores.chain,
                    ledger=stores.ledger,
                    spool=stores.disk,
                    external_id=self.keyring.external_id,
                    phone_country=given.phone_country,
                    clock=self.site.clock,
                    observer=Silent(),
                ),
                minter,
            )


def _sale(order: str, whose: Mapping[str, Any]) -> ReportRequest:
    return ReportRequest(bot=BOT, event=PURCHASE, order_id=order, value="97.00", currency="BRL", **whose)


class RelayProcess:
    """The relay in a process of its own, started again after each kill. `log` has the lines of all its lives."""

    def __init__(self, trade: Trade, *, lease: float) -> None:
        self._environment = trade.environment()
        self._command = [sys.executable, "-m", "tests.delivery.relay_process", "--lease", str(lease)]
        self._file = trade.site.home / "relay.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0

    def start(self) -> None:
        with self._file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, in the middle of whatever it does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self.kills += 1

    async def stop(self) -> int:
        """SIGTERM, waited for; its exit code. Nothing when it does not run."""
        if self._process is None:
            return 0
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 30)

    def log(self, event: str) -> list[dict[str, Any]]:
        """The lines of that event, in their order."""
        lines = (line for line in self._file.read_text().splitlines() if line.startswith("{"))
        return [line for line in map(json.loads, lines) if line["event"] == event]

    @property
    def stumbles(self) -> list[str]:
        """Lines that are no log of ours, or that speak of a fault in the program."""
        lines = self._file.read_text().splitlines()
        return [line for line in lines if not line.startswith("{") or "stumbled" in line or "Trace" in line]


@asynccontextmanager
async def trading(
    home: Path, pixels: Iterable[str], *, seed: int, sql_url: str | None = None
) -> AsyncIterator[Trade]:
    """A prepared home, and a loopback Meta that knows its pixels."""
    async with FakeMeta(seed=seed) as meta:
        site = Site(home, meta_url=meta.url, sql_url=sql_url)
        await site.prepare()
        async with site.engine() as engine:
            trade = Trade(site, engine, meta, seed)
            await trade.open_pixels(pixels)
            yield trade
