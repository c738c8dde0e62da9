"""Every page of the dashboard in a browser: it can be read, reached by the keyboard, and stays on its own origin."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.house import PASSWORD
from tests.browser.watched import DESKTOP, PHONE

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


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
    tab.wrong = [
        line for line in tab.wrong if "status of 4" not in line
    ]  # the refusal itself, as Chromium reports it
    tab.sign_in("ana")
    kept = page.context.cookies()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    page.context.add_cookies([{k: v for k, v in each.items() if k != "partitionKey"} for each in kept])
    tab.go("/")
    expect(page).to_have_url(re.compile("/sign-in"))  # the session is over, not only forgotten


@SIZES
@SCHEMES
@pytest.mark.parametrize("user", ["olga", "davi"])
def test_every_page_of_the_menu_has_no_barrier_and_fits_its_window(open_tab, size, scheme, user):
    tab = open_tab(size, user, color_scheme=scheme)
    found = {}
    for path in tab.menu():
        tab.go(path)
        found[path] = (tab.barriers(), tab.overhang())
    assert found == dict.fromkeys(found, ([], 0))
    assert len(found) > 2


@SCHEMES
def test_the_sign_in_page_has_no_barrier(open_tab, scheme):
    tab = open_tab(PHONE, color_scheme=scheme)
    tab.go("/sign-in")
    assert (tab.barriers(), tab.overhang()) == ([], 0)


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
