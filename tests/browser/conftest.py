"""One Trilha and one Chromium for all tests of the dashboard. Neither is optional: without them the tests fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.house import House
from tests.browser.watched import DESKTOP, PATIENCE_MS, Watched

CHROMIUM = "/usr/bin/chromium"
Open = Callable[..., Watched]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Running."""
    made = House(tmp_path_factory.mktemp("house") / "home")
    try:
        made.prepare()
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a screen. A module's, not the session's: while it is open no other test could run an event loop."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_tab(house: House, chromium: Browser) -> Iterator[Open]:
    """Opens watched tabs: in none of them may anything go wrong by the end of the test."""
    opened: list[Watched] = []

    def open_one(size: tuple[int, int] = DESKTOP, user: str | None = None, **options: Any) -> Watched:
        opened.append(Watched.of(house, chromium, size, **options))
        if user is not None:
            opened[-1].sign_in(user)
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()
