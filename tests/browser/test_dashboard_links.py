"""Links, live view and settings in a browser with scripts: what they add, and what axe says of every page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright

from domain.ad_url import ad_url
from tests.daemon_fixture import SLUG, Site
from tests.panel import PASSWORD, Panel
from tests.panel_on_site import panel_of

CHROMIUM = "/usr/bin/chromium"
PATHS = (
    "/links",
    f"/links/{SLUG}",
    f"/links/{SLUG}/edit",
    "/new-link",
    "/live",
    "/settings",
    "/settings/checks",
)


@asynccontextmanager
async def signed_in(panel: Panel, **context: Any) -> AsyncIterator[Page]:
    """A tab of an owner."""
    await panel.user()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await (await browser.new_context(**context)).new_page()
        await page.goto(f"{panel.base}/sign-in")
        await page.fill("[name=name]", "Ana")
        await page.fill("[name=password]", PASSWORD)
        await page.click("main button")
        await page.wait_for_url(f"{panel.base}/")
        yield page
        await browser.close()


async def until(panel: Panel, holds: Callable[[], Any]) -> None:
    """Wait for it, while the dashboard's clock goes on by hand."""
    async with asyncio.timeout(30):
        while not await holds():
            panel.clock.advance(1)
            await asyncio.sleep(0.1)


async def test_the_live_page_shows_a_click_by_itself_can_be_paused_and_says_when_it_is_stale(
    site: Site,
) -> None:
    async with site.running() as door:
        opened = panel_of(site)
        panel = await opened.__aenter__()
        async with signed_in(panel) as page:
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            await page.goto(f"{panel.base}/live")
            clicks = page.locator("#live-clicks tbody tr")
            assert await clicks.count() == 0
            await door.click("utm_source=FB&utm_campaign=Quente")
            await site.settle()
            await until(panel, lambda: _has(clicks, 1))
            assert "Quente" in await clicks.first.inner_text()
            pause = page.locator("#live-pause")
            await pause.click()
            assert await pause.get_attribute("aria-pressed") == "true"
            await door.click("utm_source=FB&utm_campaign=Frio")
            await site.settle()
            await pause.click()
            await until(panel, lambda: _has(clicks, 2))
            stale = page.locator("#live-stale")
            assert not await stale.is_visible()
            await opened.__aexit__(None, None, None)
            await stale.wait_for(state="visible", timeout=30_000)
            assert await clicks.count() == 2
            assert not faults


async def _has(rows: Any, number: int) -> bool:
    return bool(await rows.count() == number)


async def test_the_ad_url_is_copied_whole(site: Site) -> None:
    async with (
        panel_of(site) as panel,
        signed_in(panel, permissions=["clipboard-read", "clipboard-write"]) as page,
    ):
        await page.goto(f"{panel.base}/links/{SLUG}")
        button = page.locator("[data-copy=ad-url]")
        await button.click()
        await page.locator("[data-copy=ad-url]", has_text="Copied").wait_for()
        copied = await page.evaluate("navigator.clipboard.readText()")
        assert copied == ad_url("https://go.example.com", SLUG)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_passes_axe_and_never_scrolls_sideways(site: Site, width: int, scheme: str) -> None:
    async with site.running() as door:
        for campaign in ("Quente|120210987654321098", "x" * 400):
            await door.click(f"utm_source=FB&utm_campaign={campaign}")
        await site.settle()
        view = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "locale": "pt-BR"}
        async with panel_of(site) as panel, signed_in(panel, **view) as page:
            faults: list[str] = []
            page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
            for path in PATHS:
                await page.goto(panel.base + path)
                await _is_well(page, path)
            await page.goto(f"{panel.base}/links/{SLUG}")
            await page.fill("[name=url]", f"http://t.me/x?start={'a' * 200} b|c")
            await page.locator("#check form button").click()
            await page.wait_for_url("**/check#check")
            await _is_well(page, "check")
            assert not faults


async def _is_well(page: Page, path: str) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    found = await Axe().run(page)
    assert found.violations_count == 0, (path, found.generate_report())
