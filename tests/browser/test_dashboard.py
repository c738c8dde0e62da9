"""Every page of the dashboard in a browser: it can be read, reached by the keyboard, and stays on its own origin."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.house import BOT, PASSWORD
from tests.browser.watched import DESKTOP, PHONE

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])
SLUG = "paginas"
BENEATH = (
    f"/links/{SLUG}", f"/links/{SLUG}/edit", "/new-link", "/settings/checks", "/export", "/account",
    "/ads?period=30d", "/quality?period=30d",
)  # fmt: skip
HOSTILE = ("x" * 400, "Quente|120210987654321098")


@pytest.fixture(scope="module")
def clicked(house) -> None:
    """A link with clicks of ads whose names are long, and no start."""
    house.run("link", "add", SLUG, "--bot", BOT)
    for campaign in HOSTILE:
        house.click_once_live(f"http://of.it/go/{SLUG}?utm_source=FB&utm_campaign={campaign}")
    house.until_said("Quente", "report", "--period", "today", "--link", SLUG)


@SIZES
def test_a_wrong_password_is_refused_and_a_right_one_lets_in_until_sign_out(open_tab, size):
    tab = open_tab(size)
    tab.go("/")
    page = tab.page
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD[:-1])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("wrong")
    tab.forgive("status of 401")  # the refusal itself, as Chromium reports it
    tab.sign_in("ana")
    kept = page.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.context.add_cookies([{k: v for k, v in each.items() if k != "partitionKey"} for each in kept])
    tab.go("/")
    expect(page).to_have_url(re.compile("/sign-in"))  # the session is over, not only forgotten


@SCHEMES
@pytest.mark.parametrize(("size", "language"), [(DESKTOP, "en"), (PHONE, "pt")], ids=["desktop", "phone"])
@pytest.mark.usefixtures("clicked")
def test_every_page_has_no_barrier_and_fits_its_window(open_tab, size, language, scheme):
    tab = open_tab(size, "olga", color_scheme=scheme)
    if language == "pt":
        tab.page.get_by_role("button", name="Português").click()
        expect(tab.page.locator("html")).to_have_attribute("lang", "pt-BR")
    found = {}
    for path in (*tab.menu(), *BENEATH):
        tab.go(path)
        found[path] = (tab.barriers(), tab.overhang())
    assert found == dict.fromkeys(found, ([], 0))
    assert len(found) > len(BENEATH) + 2


@SCHEMES
def test_pages_of_nobody_and_of_errors_have_no_barrier(open_tab, scheme):
    tab = open_tab(PHONE, color_scheme=scheme)
    tab.go("/sign-in")
    assert (tab.barriers(), tab.overhang()) == ([], 0)
    tab.sign_in("ana")
    for path, status, title in (
        ("/nowhere", 404, "There is no such page"),
        ("/privacy", 403, "This page is not for your role"),
    ):
        tab.go(path, status)
        tab.forgive(f"status of {status}")
        expect(tab.page.get_by_role("heading", level=1)).to_have_text(title)
        assert (tab.barriers(), tab.overhang()) == ([], 0)


def test_the_menu_has_the_pages_of_the_role(open_tab):
    seen = {user: set(open_tab(DESKTOP, user).menu()) for user in ("olga", "ana", "davi")}
    assert seen["olga"] - seen["ana"] == {"/privacy"}
    assert "/privacy" in seen["davi"]


def test_every_page_is_whole_without_scripts(open_tab):
    tab = open_tab(DESKTOP, "olga", java_script_enabled=False)
    for path in tab.menu():
        tab.go(path)
        expect(tab.page.get_by_role("heading", level=1)).to_be_visible()


def test_the_language_of_the_pages_can_be_changed_and_stays(open_tab):
    tab = open_tab(DESKTOP, "ana")
    tab.page.get_by_role("button", name="Português").click()
    expect(tab.page.locator("html")).to_have_attribute("lang", "pt-BR")
    expect(tab.page.get_by_role("button", name="Sair")).to_be_visible()
    tab.page.reload()
    expect(tab.page.locator("html")).to_have_attribute("lang", "pt-BR")


def test_signing_in_takes_nothing_but_the_keyboard(open_tab):
    tab = open_tab(DESKTOP)
    tab.go("/sign-in")
    keys = tab.page.keyboard
    expect(tab.page.get_by_label("Name")).to_be_focused()
    keys.type("ana")
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(tab.page.get_by_role("button", name="Sign out")).to_be_visible()


def test_whoever_changes_their_password_stays_here_and_is_out_elsewhere(open_tab, house):
    house.user("bia", "analyst")
    here, elsewhere = open_tab(PHONE, "bia"), open_tab(DESKTOP, "bia")
    page, another = here.page, "another few random words"
    page.get_by_role("link", name="bia").click()
    expect(page.locator("main")).to_contain_text("Signed in elsewhere too: 1")
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill(another)
    page.get_by_label("The new one again").fill(another)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status").first).to_contain_text("The password is changed")
    expect(page.locator("main")).to_contain_text("You are signed in here only")
    elsewhere.go("/")
    expect(elsewhere.page).to_have_url(re.compile("/sign-in"))


@pytest.mark.usefixtures("clicked")
def test_the_live_page_can_be_paused_and_says_when_the_dashboard_is_away(open_tab, house):
    """What it shows by itself is in test_first_campaign."""
    tab = open_tab(DESKTOP, "ana")
    tab.go("/live")
    page, url = tab.page, f"http://of.it/go/{SLUG}?utm_source=FB&utm_campaign=Frio"
    new = page.locator("#live-clicks tr", has_text="Frio")
    page.locator("#live-pause").click()
    expect(page.locator("#live-pause")).to_have_attribute("aria-pressed", "true")
    house.click(url)
    shown = open_tab(DESKTOP, "davi")
    shown.go("/live")
    expect(shown.page.locator("#live-clicks tr", has_text="Frio")).to_have_count(1)
    expect(new).to_have_count(0)
    page.locator("#live-pause").click()
    expect(new).to_have_count(1)
    stale = page.locator("#live-stale")
    expect(stale).not_to_be_visible()
    shown.go("/sign-in")  # away from the page that asks by itself
    house.stop("dashboard")
    expect(stale).to_be_visible()
    expect(new).to_have_count(1)
    house.start("dashboard")
    tab.go("/")  # nothing asks by itself any more, and all that Chromium had to say is here
    tab.forgive("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
