"""Signing in to the dashboard, over real HTTP and real SQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import select

from backends.sql.operator_schema import sessions
from backends.sql.retention import SqlRetention
from backends.sql.schema import audit
from privacy.passwords import Passwords
from tests.panel import PASSWORD, Panel, token_of

HOUR, DAY = 3600, 86_400


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


def cookies(answer: httpx2.Response) -> dict[str, str]:
    """Each Set-Cookie by its name."""
    found = answer.headers.get_list("set-cookie")
    return {line.partition("=")[0]: line for line in found}


async def test_whoever_has_not_signed_in_is_sent_to_the_form_and_then_to_the_page_they_wanted(
    panel: Panel,
) -> None:
    user = await panel.user()
    browser = panel.browser()
    away = await browser.get("/?period=30d")
    assert (away.status_code, away.headers["location"]) == (303, "/sign-in?next=/%3Fperiod%3D30d")
    answer = await browser.sign_in("ana", onward="/?period=30d")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?period=30d")
    assert (await browser.get("/")).status_code == 200
    assert ("sign-in", {"user": user.id}) in await audited(panel)


async def test_a_session_is_a_secret_whose_digest_alone_is_in_sql(panel: Panel) -> None:
    await panel.user()
    browser = panel.browser()
    line = cookies(await browser.sign_in("Ana"))["trilha_session"]
    secret = line.partition("=")[2].partition(";")[0]
    assert len(secret) == 43
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(line.split("; "))
    assert "Secure" not in line
    assert "Domain" not in line
    async with panel.engine.connect() as connection:
        (row,) = (await connection.execute(select(sessions))).all()
    assert len(row.digest) == 32
    assert secret.encode() not in bytes(row.digest)


async def test_a_wrong_password_and_an_unknown_name_get_the_same_answer(small: Panel) -> None:
    user = await small.user()
    wrong = await small.browser().sign_in("Ana", "wrong password!!")
    unknown = await small.browser().sign_in("Bob", "wrong password!!")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace(token_of(wrong.text), "") == unknown.text.replace(token_of(unknown.text), "")
    noted = [detail for action, detail in await audited(small) if action == "sign-in failed"]
    assert noted == [{"user": user.id}, {"user": None}]


async def test_an_unknown_name_costs_a_hash_too(small: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the time would tell which names there are."""
    await small.user()
    checked = []
    before = Passwords._verify

    def counting(self: Passwords, password: str, hashed: str | None) -> bool:
        checked.append(hashed is None)
        return before(self, password, hashed)

    monkeypatch.setattr(Passwords, "_verify", counting)
    await small.browser().sign_in("Bob", "wrong password!!")
    await small.browser().sign_in("Ana", "wrong password!!")
    assert checked == [True, False]


async def test_what_was_typed_for_a_name_is_in_no_audit(small: Panel) -> None:
    """People type their password into the wrong field."""
    await small.browser().sign_in("my-secret-password", "x")
    assert "my-secret" not in str(await audited(small))


async def test_after_five_tries_a_name_has_to_wait_even_with_the_right_password(small: Panel) -> None:
    await small.user()
    for _ in range(5):
        assert (await small.browser().sign_in("Ana", "wrong password!!")).status_code == 401
    waiting = await small.browser().sign_in("ANA")
    assert (waiting.status_code, waiting.headers["retry-after"]) == (429, "2")
    small.clock.advance(2.1)
    assert (await small.browser().sign_in("Ana")).status_code == 303
    assert (await small.browser().sign_in("Ana", "wrong password!!")).status_code == 401


async def test_tries_that_are_made_at_once_are_counted_before_they_are_checked(small: Panel) -> None:
    await small.user()
    tries = [small.browser().sign_in("Ana", "wrong password!!") for _ in range(12)]
    codes = sorted(answer.status_code for answer in await asyncio.gather(*tries))
    assert codes == [401] * 5 + [429] * 7


async def test_an_address_that_tries_many_names_has_to_wait(small: Panel) -> None:
    for name in "abcde":
        assert (await small.browser().sign_in(name, "wrong password!!")).status_code == 401
    assert (await small.browser().sign_in("f", "wrong password!!")).status_code == 429


async def test_the_form_is_bound_to_its_browser(small: Panel) -> None:
    """Another site cannot sign somebody in as whom it likes."""
    await small.user()
    token = await small.browser().token("/sign-in")
    fields = {"name": "Ana", "password": PASSWORD, "csrf": token}
    foreign = small.browser()
    await foreign.get("/sign-in")
    for browser in (small.browser(), foreign):
        answer = await browser.post("/sign-in", fields)
        assert answer.status_code == 400
        assert "trilha_session" not in cookies(answer)


async def test_a_session_ends_12_hours_after_the_last_page_and_7_days_after_the_sign_in(panel: Panel) -> None:
    browser = await panel.signed_in()
    panel.clock.advance(11 * HOUR)
    assert (await browser.get("/")).status_code == 200
    panel.clock.advance(11 * HOUR)
    assert (await browser.get("/")).status_code == 200
    panel.clock.advance(12 * HOUR)
    assert (await browser.get("/")).status_code == 303

    await browser.sign_in("Ana")
    for _ in range(16):
        panel.clock.advance(10 * HOUR)
        assert (await browser.get("/")).status_code == 200
    panel.clock.advance(8 * HOUR)
    assert (await browser.get("/")).status_code == 303
    assert await SqlRetention(panel.engine).delete_sessions(panel.clock.now_ms()) == 1


async def test_signing_in_again_ends_the_session_before_and_gives_a_new_secret(small: Panel) -> None:
    await small.user()
    browser = small.browser()
    first = cookies(await browser.sign_in("Ana"))["trilha_session"]
    old = browser.http.cookies["trilha_session"]
    page = await small.browser().get("/sign-in")
    fields = {"csrf": token_of(page.text), "name": "Ana", "password": PASSWORD}
    browser.http.cookies.set("trilha_form", page.cookies["trilha_form"], domain="127.0.0.1")
    second = cookies(await browser.post("/sign-in", fields))["trilha_session"]
    assert first != second
    thief = small.browser()
    thief.http.cookies.set("trilha_session", old)
    assert (await thief.get("/")).status_code == 303


async def test_a_session_cookie_that_was_put_there_before_is_not_taken_over(small: Panel) -> None:
    """No fixation: the secret is made at the sign-in."""
    await small.user()
    browser = small.browser()
    browser.http.cookies.set("trilha_session", "A" * 43)
    answer = await browser.sign_in("Ana")
    assert "A" * 43 not in cookies(answer)["trilha_session"]


async def test_signing_out_ends_the_session_and_not_only_the_cookie(small: Panel) -> None:
    browser = await small.signed_in()
    secret = browser.http.cookies["trilha_session"]
    answer = await browser.send("/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in cookies(answer)["trilha_session"]
    browser.http.cookies.set("trilha_session", secret)
    assert (await browser.get("/")).status_code == 303


async def test_signing_out_needs_the_form_of_the_session(small: Panel) -> None:
    browser = await small.signed_in()
    assert (await browser.post("/sign-out")).status_code == 400
    assert (await browser.get("/sign-out")).status_code == 405
    assert (await browser.get("/")).status_code == 200


async def test_another_password_ends_every_session_of_the_user_and_of_nobody_else(panel: Panel) -> None:
    ana, ana_too, bob = await panel.signed_in(), panel.browser(), await panel.signed_in("Bob", "analyst")
    await ana_too.sign_in("Ana")
    await panel.users.set_password("Ana", await Passwords().hash("another password"))
    assert [(await each.get("/")).status_code for each in (ana, ana_too, bob)] == [303, 303, 200]
    assert (await ana.sign_in("Ana")).status_code == 401
    assert (await ana.sign_in("Ana", "another password")).status_code == 303


async def test_a_user_who_is_removed_is_out_at_once(panel: Panel) -> None:
    await panel.user("Olga")
    bob = await panel.signed_in("Bob", "analyst")
    await panel.users.remove("bob")
    assert (await bob.get("/")).status_code == 303
    assert (await bob.sign_in("Bob")).status_code == 401


@pytest.mark.parametrize(
    "onward",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "evil",
        "",
    ],
)
async def test_after_the_sign_in_nobody_is_sent_to_another_site(small: Panel, onward: str) -> None:
    await small.user()
    browser = small.browser()
    assert (await browser.sign_in("Ana", onward=onward)).headers["location"] == "/"
    again = await browser.http.get("/sign-in", params={"next": onward})
    assert again.headers["location"] == "/"


async def test_behind_a_trusted_proxy_with_tls_cookies_are_secure_and_of_this_host_alone(
    sqlite_tables: str, tmp_path: Path
) -> None:
    extra = {"TRILHA_TRUSTED_PROXIES": "127.0.0.1/32", "TRILHA_DASHBOARD_URL": "https://trilha.example.com"}
    async with Panel(tmp_path / "home", sqlite_tables, extra).running() as panel:
        await panel.user()
        page = await panel.browser().get(
            "/sign-in", **{"X-Forwarded-Proto": "https", "Host": "trilha.example.com"}
        )
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        line = cookies(page)["__Host-trilha-form"]
        assert {"Secure", "HttpOnly", "Path=/"} <= set(line.split("; "))
        secret = line.partition("=")[2].partition(";")[0]
        answer = await panel.browser().post(
            "/sign-in",
            {"csrf": token_of(page.text), "name": "Ana", "password": PASSWORD},
            **{
                "X-Forwarded-Proto": "https",
                "Host": "trilha.example.com",
                "Origin": "https://trilha.example.com",
                "Cookie": f"__Host-trilha-form={secret}",
            },
        )
        assert answer.status_code == 303
        assert "Secure" in cookies(answer)["__Host-trilha-session"]


async def test_a_stranger_cannot_say_that_the_connection_is_tls(small: Panel) -> None:
    page = await small.browser().get("/sign-in", **{"X-Forwarded-Proto": "https"})
    assert "trilha_form" in cookies(page)
    assert "strict-transport-security" not in page.headers


async def test_behind_a_trusted_proxy_tries_count_for_the_address_that_it_names(
    sqlite_tables: str, tmp_path: Path
) -> None:
    extra = {"TRILHA_TRUSTED_PROXIES": "127.0.0.1/32"}
    async with Panel(tmp_path / "home", sqlite_tables, extra).running() as panel:
        far, near = (panel.browser(**{"X-Forwarded-For": at}) for at in ("192.0.2.1", "192.0.2.2"))
        for name in "abcde":
            await far.sign_in(name, "wrong password!!")
        assert (await far.sign_in("f", "wrong password!!")).status_code == 429
        assert (await near.sign_in("g", "wrong password!!")).status_code == 401
