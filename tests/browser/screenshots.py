"""The pictures of the documentation: `python -m tests.browser.screenshots [FOLDER]`. A dashboard with 90 made-up days behind it."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.house import BOT, HOST, House
from tests.browser.watched import DESKTOP, PHONE, Watched
from tests.system import ROOT

CLICKS = "60000"
LINK = "natal"
PICTURES = (
    ("overview", "/", DESKTOP, "light"),
    ("phone", "/", PHONE, "dark"),
    ("ads", "/ads?period=30d", DESKTOP, "light"),
    ("live", "/live", DESKTOP, "light"),
)
COLOURS = 160
"""Of the palette."""
AD = "utm_source=FB&utm_campaign=Natal|120210987654321098&utm_content=Video+3|120211987654321098&fbclid=IwAR0example_aem_1"


def main() -> int:
    """Make them all anew."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    with tempfile.TemporaryDirectory() as place:
        house = House(Path(place) / "home")
        house.prepare(with_bot=False)
        house.run("load", "history", "--clicks", CLICKS, "--links", "12", "--ads", "150")
        try:
            house.start("serve", "work", "dashboard")
            _take(house, folder, _sold(house))
        finally:
            house.stop()
    return 0


def _sold(house: House) -> str:
    """A click of now that led to a sale, as the last of what happened; its token. By then all of it is in the rollups."""
    house.run("bot-account", "add", BOT)
    house.run("link", "add", LINK, "--bot", BOT)
    token = house.click_once_live(f"http://{HOST}/go/{LINK}?{AD}")
    house.begin(token, 7001)
    house.run(
        *("conversion", "Purchase", "--bot", BOT, "--token", token, "--order-id", "A-17"),
        *("--value", "97.00", "--currency", "BRL"),
    )
    pause = threading.Event()
    while house.json("rollups", "status")["waiting"]:
        pause.wait(1)
    house.until_said("A-17", "explain", token)
    return token


def _take(house: House, folder: Path, token: str) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, path, size, scheme in PICTURES:
            tab = Watched.of(house, browser, size, color_scheme=scheme)
            tab.sign_in("olga")
            tab.go(path)
            _keep(tab, folder / f"dashboard-{name}.png")
        tab = Watched.of(house, browser, (DESKTOP[0], 1200))
        tab.sign_in("olga")
        tab.go("/explain")
        tab.page.get_by_label("What became of").fill(token)
        tab.page.get_by_role("button", name="Explain").click()
        tab.page.locator("#verdict").wait_for()
        _keep(tab, folder / "dashboard-explain.png")
        browser.close()


def _keep(tab: Watched, file: Path) -> None:
    tab.page.screenshot(path=file, full_page=False, animations="disabled")
    tab.close()
    _shrink(file)
    print(f"{file}: {file.stat().st_size // 1024} kB")


def _shrink(file: Path) -> None:
    """To a palette: a page has few colours."""
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
