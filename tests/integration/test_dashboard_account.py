"""One's own account at the dashboard: another password, and an end to one's other sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select

from backends.sql.schema import audit
from domain.users import ROLES
from tests.panel import PASSWORD, Browser, Panel

ANOTHER = "another few random words"


@pytest_asyncio.fixture(params=["sqlite_tables", "postgres_tables"])
async def panel(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Panel]:
    async with Panel(tmp_path / "home", request.getfixturevalue(request.param)).running() as running:
        yield running


@pytest_asyncio.fixture
async def small(sqlite_tables: str, tmp_path: Path) -> AsyncIterator[Panel]:
    async with Panel(tmp_path / "home", sqlite_tables).running() as running:
        yield running


async def audited(panel: Panel) -> list[tuple[str, dict]]:
    async with panel.engine.connect() as connection:
        rows = await connection.execute(select(audit.c.action, audit.c.detail).order_by(audit.c.id))
        return [(row.action, row.detail) for row in rows]


async def elsewhere(panel: Panel, name: str) -> Browser:
    """Another browser of that user."""
    browser = panel.browser()
    assert (await browser.sign_in(name)).status_code == 303
    return browser


async def change(browser: Browser, password: str = PASSWORD, new: str = ANOTHER, again: str = ANOTHER):
    return await browser.send("/account/password", "/account", password=password, new=new, again=again)


async def statuses(*browsers: Browser) -> list[int]:
    return [(await each.get("/account")).status_code for each in browsers]


@pytest.mark.parametrize("role", ROLES)
async def test_everybody_changes_their_password_stays_signed_in_and_is_out_elsewhere(panel, role) -> None:
    bob = await panel.signed_in("Bob", role)
    other, olga = await elsewhere(panel, "Bob"), await panel.signed_in("Olga")
    before = bob.http.cookies["trilha_session"]
    answer = await change(bob)
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    assert "The password is changed" in (await bob.get("/account")).text
    assert bob.http.cookies["trilha_session"] != before
    assert await statuses(bob, other, olga) == [200, 303, 200]
    assert (await other.sign_in("Bob")).status_code == 401
    assert (await other.sign_in("Bob", ANOTHER)).status_code == 303
    assert ("own password", {"user": 1}) in await audited(panel)


async def test_everybody_ends_their_other_sessions_and_nobody_elses(panel: Panel) -> None:
    bob = await panel.signed_in("Bob", "analyst")
    assert "You are signed in here only." in (await bob.get("/account")).text
    others, olga = [await elsewhere(panel, "bob") for _ in range(2)], await panel.signed_in("Olga")
    assert "Signed in elsewhere too: 2" in (await bob.get("/account")).text
    assert (await bob.send("/account/sessions", "/account")).status_code == 303
    assert await statuses(bob, *others, olga) == [200, 303, 303, 200]
    assert ("own sessions ended", {"user": 1, "sessions": 2}) in await audited(panel)


async def test_sessions_that_have_ended_by_themselves_are_not_counted(small: Panel) -> None:
    await small.signed_in("Bob", "analyst")
    small.clock.advance(12 * 3600 + 1)
    assert "You are signed in here only." in (await (await elsewhere(small, "Bob")).get("/account")).text


@pytest.mark.parametrize(
    ("password", "new", "again", "words"),
    [
        (PASSWORD[:-1], ANOTHER, ANOTHER, "The present password is wrong"),
        ("", ANOTHER, ANOTHER, "The present password is wrong"),
        (PASSWORD, ANOTHER, ANOTHER[:-1], "are not the same"),
        (PASSWORD, "short", "short", "A password has 12 to 1024 characters"),
        (PASSWORD, "x" * 1025, "x" * 1025, "A password has 12 to 1024 characters"),
    ],
)
async def test_nothing_is_changed_by_a_form_that_is_wrong(small, password, new, again, words) -> None:
    bob = await small.signed_in("Bob", "analyst")
    other = await elsewhere(small, "Bob")
    answer = await change(bob, password, new, again)
    assert answer.status_code == 422
    assert words in answer.text
    assert await statuses(bob, other, await elsewhere(small, "Bob")) == [200, 200, 200]


async def test_a_stolen_session_guesses_the_password_no_faster_than_the_sign_in(small: Panel) -> None:
    bob = await small.signed_in("Bob", "analyst")
    guesses = [(await change(bob, f"guess number {n}")).status_code for n in range(6)]
    assert guesses == [422] * 5 + [429]
    assert (await change(bob)).status_code == 429
    small.clock.advance(3)
    assert (await change(bob)).status_code == 303


async def test_a_form_without_its_token_changes_nothing(small: Panel) -> None:
    bob = await small.signed_in("Bob", "analyst")
    other = await elsewhere(small, "Bob")
    for path in ("/account/password", "/account/sessions"):
        fields = {"password": PASSWORD, "new": ANOTHER, "again": ANOTHER}
        assert (await bob.post(path, fields)).status_code == 400
    assert await statuses(bob, other, small.browser()) == [200, 200, 303]
