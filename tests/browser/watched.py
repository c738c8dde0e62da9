"""A tab that is watched: what it asks for, what it complains of. No pytest in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, Page, expect

from tests.browser.house import PASSWORD, House

DESKTOP, PHONE = (1280, 900), (390, 844)
PATIENCE_MS = 60_000
SERIOUS = {"serious", "critical"}


@dataclass
class Watched:
    """One tab of one browser context, and all that went wrong in it."""

    house: House
    page: Page
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, house: House, browser: Browser, size: tuple[int, int], **options: Any) -> Watched:
        """A tab of that size, in English."""
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, locale="en-US", **options
        )
        context.set_default_timeout(PATIENCE_MS)
        made = cls(house, context.new_page())
        made.page.on("request", lambda request: made._asked(request.url))
        made.page.on("console", lambda message: made._said(message.type, message.text))
        made.page.on("pageerror", lambda error: made.wrong.append(f"script: {error}"))
        return made

    def go(self, path: str, status: int = 200) -> None:
        """To a page of the dashboard, that must answer so."""
        answer = self.page.goto(self.house.url + path, wait_until="load")
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}\n{self.house.logs()}"

    def forgive(self, *words: str) -> None:
        """What Chromium said of an answer or a failure that the test has asked for."""
        self.wrong = [line for line in self.wrong if not any(each in line for each in words)]

    def sign_in(self, name: str) -> None:
        """As a person does."""
        self.go("/sign-in")
        self.page.get_by_label("Name").fill(name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()

    def menu(self) -> list[str]:
        """Paths of the menu's pages."""
        entries = self.page.locator("nav").first.get_by_role("link")
        return [str(entry.get_attribute("href")) for entry in entries.all()]

    def overhang(self) -> int:
        """Pixels by which the page is wider than its window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(f"() => {script}"))

    def barriers(self) -> list[str]:
        """What axe finds that is serious or critical. The page's own policy is in force: the script comes in by the debugger."""
        tab = self.page.context.new_cdp_session(self.page)
        tab.send("Runtime.evaluate", {"expression": AXE_FILE_PATH.read_text()})
        found = tab.send(
            "Runtime.evaluate",
            {
                "expression": 'axe.run({resultTypes: ["violations"]})',
                "awaitPromise": True,
                "returnByValue": True,
            },
        )["result"]["value"]
        tab.detach()
        return [
            f"{each['id']}: {[node['target'] for node in each['nodes']]}"
            for each in found["violations"]
            if each["impact"] in SERIOUS
        ]

    def close(self) -> None:
        """Close it; nothing may have gone wrong."""
        self.page.context.close()
        assert self.wrong == []

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self.house.url:
            self.wrong.append(f"a request left for {url}")

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:  # a violation of the policy is said here too
            self.wrong.append(f"{kind}: {text}")
