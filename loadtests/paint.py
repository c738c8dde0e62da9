"""Full paint of the dashboard's pages in a real browser: until the load event, or the largest paint if that is later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from loadtests.pages import Account, PageTimes
from loadtests.plan import CannotRun, Say

CHROMIUM = "/usr/bin/chromium"
MISSING = "playwright is not installed; --paint needs it, and a Chromium: pip install playwright"
_LARGEST = """() => new Promise((done) => {
  const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
  new PerformanceObserver((list) => done(Math.max(load, ...list.getEntries().map((each) => each.startTime))))
    .observe({type: "largest-contentful-paint", buffered: true});
  setTimeout(() => done(load), 1000);
})"""


def with_paint(
    base: str, account: Account, pages: Sequence[PageTimes], times: int, query: str, say: Say, chromium: str
) -> list[PageTimes]:
    """The same pages with their paints. The first load of all fills the cache, and does not count. CannotRun: no browser."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        raise CannotRun(MISSING) from None
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            try:
                tab = browser.new_page()
                _sign_in(tab, base, account)
                return [
                    replace(page, paint=_paints(tab, f"{base}{page.path}{_asked(query)}", times, say))
                    if page.is_page
                    else page
                    for page in pages
                ]
            finally:
                browser.close()
    except Error as error:
        raise CannotRun(f"the browser failed: {error.message.splitlines()[0]}") from None


def _sign_in(tab: Any, base: str, account: Account) -> None:
    tab.goto(f"{base}/sign-in", wait_until="load")
    tab.fill("input[name=name]", account.name)
    tab.fill("input[name=password]", account.password)
    tab.press("input[name=password]", "Enter")
    tab.wait_for_url(lambda url: "/sign-in" not in url)


def _paints(tab: Any, url: str, times: int, say: Say) -> list[float]:
    found = []
    for _ in range(times):
        tab.goto(url, wait_until="load")
        found.append(float(tab.evaluate(_LARGEST)))
    say(f"{url}: painted in {min(found):.0f} to {max(found):.0f} ms")
    return found


def _asked(query: str) -> str:
    return f"?{query}" if query else ""
