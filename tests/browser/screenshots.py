"""The pictures of the documentation: `python -m tests.browser.screenshots [FOLDER]`. A dashboard with 90 made-up days behind it."""

from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.house import House
from tests.browser.watched import DESKTOP, PHONE, Watched
from tests.system import ROOT

CLICKS = "60000"
PICTURES = (
    ("overview", "/", DESKTOP, "light"),
    ("overview-phone", "/", PHONE, "dark"),
    ("ads", "/ads?period=30d", DESKTOP, "light"),
    ("quality", "/quality?period=30d", DESKTOP, "light"),
    ("live", "/live", DESKTOP, "light"),
)
COLOURS = 64


def main() -> int:
    """Make them all anew."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs"
    with tempfile.TemporaryDirectory() as place:
        house = House(Path(place) / "home")
        house.prepare(with_bot=False)
        house.run("load", "history", "--clicks", CLICKS, "--links", "12", "--ads", "150")
        try:
            house.start("serve", "work", "dashboard")
            _counted(house)
            _take(house, folder)
        finally:
            house.stop()
    return 0


def _counted(house: House) -> None:
    """Once all of it is in the rollups."""
    pause = threading.Event()
    while house.json("rollups", "status")["waiting"]:
        pause.wait(1)


def _take(house: House, folder: Path) -> None:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, path, size, scheme in PICTURES:
            tab = Watched.of(house, browser, size, color_scheme=scheme)
            tab.sign_in("olga")
            tab.go(path)
            file = folder / f"dashboard-{name}.png"
            tab.page.screenshot(path=file, full_page=False, animations="disabled")
            tab.close()
            _shrink(file)
            print(f"{file}: {file.stat().st_size // 1024} kB")
        browser.close()


def _shrink(file: Path) -> None:
    """To a palette: a page has few colours."""
    with Image.open(file) as picture:
        small = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    small.save(file, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
