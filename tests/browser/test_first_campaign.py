"""A first campaign, from a new link to a person who wants to be forgotten, as three people see it in their browsers."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Error, expect

from tests.browser.house import BOT
from tests.browser.watched import DESKTOP, PHONE, Watched

SIZES = pytest.mark.parametrize(
    ("size", "slug", "person"), [(DESKTOP, "natal", 5_512_345_678), (PHONE, "verao", 5_512_345_679)]
)
LIVE_MS = 3000
"""Within which a click and its start are on the live page."""
TRIES = 8
"""Of clicks, one of which must be seen in that time: a machine that others use too may be late with some."""


def sound(tab: Watched) -> None:
    """This page, as it is now, has no barrier and fits its window."""
    assert (tab.page.url, tab.barriers(), tab.overhang()) == (tab.page.url, [], 0)


def make_link(tab: Watched, slug: str) -> str:
    """Make a link and copy its ad URL."""
    page = tab.page
    tab.go("/links")
    page.get_by_role("link", name="New link").click()
    page.get_by_label("Slug").fill(slug)
    page.get_by_role("checkbox", name=BOT).check()
    sound(tab)
    page.get_by_role("button", name="Make the link").click()
    expect(page.get_by_role("status").first).to_contain_text("The link is made")
    sound(tab)
    page.get_by_role("button", name="Copy", exact=True).first.click()
    expect(page.get_by_role("button", name="Copied").first).to_be_visible()
    url = str(page.evaluate("() => navigator.clipboard.readText()"))
    assert url == page.locator("#ad-url").input_value()
    return re.sub(r"\{\{[^}]*\}\}", "Campanha", url)


def started(tab: Watched, slug: str) -> int:
    """How many of the newest clicks of that link were started, as the live page has it."""
    return tab.page.locator("#live-clicks tr", has_text=slug).filter(has_text="started").count()


def seen_in_time(tab: Watched, slug: str, before: int) -> bool:
    """Whether one more start of that link is seen in time; it is seen in any case."""
    rows = tab.page.locator("#live-clicks tr", has_text=slug).filter(has_text="started")
    try:
        rows.nth(before).wait_for(timeout=LIVE_MS)
    except Error:
        rows.nth(before).wait_for()
        return False
    return True


@SIZES
def test_a_link_is_made_clicked_started_seen_live_explained_and_its_person_erased(
    open_tab, house, size, slug, person
):
    owner = open_tab(size, "olga", permissions=["clipboard-read", "clipboard-write"])
    url = make_link(owner, slug)
    assert url.startswith(f"http://127.0.0.1:{house.public}/go/{slug}?utm_")
    expect(owner.page.locator("body")).to_contain_text(BOT)

    owner.go("/live")
    token, in_time = "", False
    for _ in range(TRIES):
        token, before = house.click_once_live(url), started(owner, slug)
        house.begin(token, person)
        in_time = seen_in_time(owner, slug, before)
        if in_time:
            break
    assert in_time
    sound(owner)

    officer = open_tab(size, "davi")
    explain(officer, token)
    expect(officer.page.get_by_role("listitem").filter(has_text=str(person))).not_to_have_count(0)
    sound(officer)
    erase(officer, person)
    explain(officer, token)
    expect(officer.page.locator("main")).to_contain_text(re.compile("erased"))
    expect(officer.page.locator("main .card ol")).not_to_contain_text(str(person))
    sound(officer)
    owner.go("/live")
    expect(owner.page.locator("#live-clicks tr", has_text=slug).filter(has_text="erased")).not_to_have_count(
        0
    )


def explain(tab: Watched, token: str) -> None:
    """Ask what became of a token."""
    tab.go("/explain")
    tab.page.get_by_label("What became of").fill(token)
    tab.page.get_by_role("button", name="Explain").click()
    expect(tab.page.locator("#verdict")).to_be_visible()


def erase(tab: Watched, person: int) -> None:
    """Erase a person, having seen how much it is."""
    page = tab.page
    tab.go("/privacy")
    card = page.get_by_role("region", name="Erase a person")
    card.get_by_label("Telegram id").fill(str(person))
    card.get_by_role("button", name="See what would be erased").click()
    expect(page.locator("dl.counts")).to_contain_text("Clicks")
    sound(tab)
    page.get_by_label("Type the Telegram id again").fill(str(person))
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("heading", name="Erased", level=1)).to_be_visible()
    expect(page.get_by_role("status").first).to_contain_text("Line")
    sound(tab)


def test_a_link_is_made_with_nothing_but_the_keyboard(open_tab):
    tab = open_tab(DESKTOP, "olga")
    tab.go("/links")
    page, keys = tab.page, tab.page.keyboard
    reach(tab, lambda: page.get_by_role("link", name="New link"))
    keys.press("Enter")
    expect(page.get_by_label("Slug")).to_be_visible()
    reach(tab, lambda: page.get_by_label("Slug"))
    keys.type("teclado")
    reach(tab, lambda: page.get_by_role("checkbox", name=BOT))
    if not page.get_by_role("checkbox", name=BOT).is_checked():  # the only bot there is comes ticked
        keys.press("Space")
    reach(tab, lambda: page.get_by_role("button", name="Make the link"))
    keys.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The link is made")


def reach(tab: Watched, wanted: object) -> None:
    """Tab on until that is focused, and it is seen that it is."""
    for _ in range(60):
        tab.page.keyboard.press("Tab")
        if wanted().evaluate("(it) => it === document.activeElement"):
            style = wanted().evaluate("(it) => getComputedStyle(it).outlineStyle")
            assert style != "none", "nothing shows where the focus is"
            return
    raise AssertionError("the keyboard does not reach it")
