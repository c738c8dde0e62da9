"""`trilha work` delivers beside settling: from a click in the spool to Meta, and neither is in the other's way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from backends.sql.pixels import SqlPixels
from backends.sql.schema import outbox
from daemon.worker import work
from delivery.relay import Relay
from privacy.keyring import Keyring
from privacy.pixel_tokens import Credentials, PixelTokens
from tests.daemon_fixture import SLUG, Site, captured_logs
from tests.meta.server import FakeMeta

PIXEL = "1234567890"  # of the site's link
TOKEN = "EAAtestZCOnlyZBnoRealTokenAtAll0123456789ZDZD"
SOON = 20.0
AGENT = "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36"


async def made(home: Path, meta: FakeMeta, *, token: bool) -> Site:
    site = Site(home, meta_url=meta.url)
    await site.prepare()
    meta.add_pixel(PIXEL, TOKEN)
    if token:
        async with site.engine() as engine:
            sealed = PixelTokens(Keyring(site.settings.secrets, site.clock)).seal(
                PIXEL, Credentials(token=TOKEN)
            )
            await SqlPixels(engine).put(PIXEL, sealed, at_ms=site.clock.now_ms())
    return site


async def one_start(site: Site) -> None:
    async with site.running() as door:
        await door.start(await door.click("fbclid=IwAR2F4dbP0l7Mn1", {"User-Agent": AGENT}))


async def until(site: Site, count: int) -> list[Any]:
    """The rows of the outbox, once there are so many."""
    async with asyncio.timeout(SOON):
        while len(rows := await site.rows(outbox)) < count:
            await asyncio.sleep(0.05)
    return rows


async def test_a_click_in_the_spool_is_settled_and_its_start_reaches_meta(
    meta: FakeMeta, tmp_path: Path
) -> None:
    site, stop = await made(tmp_path, meta, token=True), asyncio.Event()
    await one_start(site)
    working = asyncio.create_task(work(site.settings, site.clock, stop))
    await meta.wait_for(lambda: meta.accepted, seconds=SOON)
    stop.set()
    await working
    [event] = meta.accepted.values()
    assert event["event_name"] == "ViewContent"
    assert event["event_source_url"].endswith(f"/go/{SLUG}")
    assert event["user_data"]["client_user_agent"] == AGENT
    assert {row.state for row in await site.rows(outbox) if row.lane == f"meta/{PIXEL}"} == {"sent"}
    assert not meta.leaks


async def test_a_worker_whose_pixel_has_no_token_says_so_once_and_settles_on(
    meta: FakeMeta, tmp_path: Path
) -> None:
    site, stop = await made(tmp_path, meta, token=False), asyncio.Event()
    await one_start(site)
    with captured_logs("info") as page:
        working = asyncio.create_task(work(site.settings, site.clock, stop))
        async with asyncio.timeout(SOON):
            while "a lane is held" not in page.getvalue():
                await asyncio.sleep(0.05)
        await asyncio.sleep(1.5)  # several passes of the relay
        stop.set()
        await working
    assert page.getvalue().count("no access token") == 1
    assert not meta.calls
    assert [row.state for row in await until(site, 1) if row.lane == f"meta/{PIXEL}"] == ["pending"]


async def test_a_relay_that_stumbles_at_every_step_does_not_stop_settling(
    meta: FakeMeta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stumble(_self: Relay) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Relay, "pass_", stumble)
    site, stop = await made(tmp_path, meta, token=True), asyncio.Event()
    with captured_logs("info") as page:
        working = asyncio.create_task(work(site.settings, site.clock, stop))
        await one_start(site)
        await until(site, 1)
        stop.set()
        await working
    assert "delivery stumbled" in page.getvalue()
    [click] = await site.rows()
    assert click.clicked_at is not None
