"""The dashboard's pages of links, the live view and the settings: over real HTTP, real SQL, a real daemon."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import select

from backends.sql.migrate import newest
from backends.sql.schema import audit
from domain.ad_url import ad_url
from privacy.api_keys import api_key_names
from tests.daemon_fixture import BOT, OTHER_BOT, SLUG, Site
from tests.panel import Browser, Panel
from tests.panel_on_site import panel_of

NEW = {
    "slug": "verao",
    "name": "Verão",
    "bot": BOT,
    f"weight.{BOT}": "3",
    "strategy": "weighted",
    "pixel": "1234567890",
    "fallback_url": "https://example.com/fim",
    "events_off": "PageView Lead",
}


@pytest_asyncio.fixture
async def panel(site: Site) -> AsyncIterator[Panel]:
    async with panel_of(site) as running:
        yield running


@pytest_asyncio.fixture
async def owner(panel: Panel) -> Browser:
    return await panel.signed_in()


async def audited(panel: Panel) -> list[tuple[str, dict[str, str]]]:
    """What the audit has, but for who signed in."""
    async with panel.engine.connect() as connection:
        rows = await connection.execute(select(audit).order_by(audit.c.id))
        return [(row.action, row.detail) for row in rows if row.action != "sign-in"]


def said(page: httpx2.Response) -> str:
    """Its text, as a reader sees it."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text)))


async def test_a_link_is_made_shown_changed_paused_and_resumed_and_each_is_audited(
    panel: Panel, owner: Browser
) -> None:
    made = await owner.send("/new-link", "/new-link", **NEW)
    assert (made.status_code, made.headers["location"]) == (303, "/links/verao")
    page = await owner.get("/links/verao")
    assert ad_url("https://go.example.com", "verao") in html.unescape(page.text)
    for words in ("Verão", f"@{BOT}", "https://example.com/fim", "every event but Lead, PageView"):
        assert words in said(page)
    changed = await owner.send(
        "/links/verao/edit",
        "/links/verao/edit",
        **(NEW | {"bot": OTHER_BOT, "events_off": "", "bridge": "on"}),
    )
    assert changed.status_code == 303
    page = said(await owner.get("/links/verao"))
    assert (
        f"@{OTHER_BOT}" in page,
        f"@{BOT}" in page,
        "every event but" in page,
        "a page with a button" in page,
    ) == (
        True,
        False,
        False,
        True,
    )
    for paused, state in (("1", "paused"), ("0", "live")):
        answer = await owner.send("/links/verao/pause", "/links/verao", paused=paused, back="list")
        assert (answer.status_code, answer.headers["location"]) == (303, "/links")
        assert state in said(await owner.get("/links/verao"))
    assert await audited(panel) == [
        ("link add", {"user": 1, "link": "verao"}),
        ("link change", {"user": 1, "link": "verao"}),
        ("link pause", {"user": 1, "link": "verao"}),
        ("link resume", {"user": 1, "link": "verao"}),
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"slug": "com espaço"}, "not a slug"),
        ({"slug": SLUG}, "is taken"),
        ({"fallback_url": "ftp://example.com"}, "not a fallback URL"),
        ({"pixel": "abc"}, "not a Meta pixel id"),
        ({f"weight.{BOT}": "0"}, "not a weight"),
        ({f"weight.{BOT}": "viele"}, "not a weight"),
        ({"strategy": "random"}, "not a strategy"),
        ({"events_off": "Page/View"}, "not an event"),
        ({"bot": "nobody_bot"}, "no bot @nobody_bot"),
        ({"bot": ""}, "not a bot username"),
        ({"new_bot": "x"}, "not a bot username"),
    ],
)
async def test_wrong_input_is_said_at_the_form_which_keeps_what_was_typed(
    panel: Panel, owner: Browser, wrong: dict[str, str], words: str
) -> None:
    answer = await owner.send("/new-link", "/new-link", **(NEW | wrong))
    assert answer.status_code == 422
    assert words in said(answer)
    for name, value in (NEW | wrong).items():
        if name not in {"bot", "strategy"} and not (name.startswith("weight") and "bot" in wrong):
            assert f'name="{name}" value="{html.escape(value)}"' in answer.text, name
    assert "verao" not in said(await owner.get("/links"))
    assert not await audited(panel)


async def test_without_a_bot_no_link_is_made(owner: Browser) -> None:
    answer = await owner.send("/new-link", "/new-link", **{key: NEW[key] for key in NEW if key != "bot"})
    assert (answer.status_code, "a link needs a bot" in said(answer)) == (422, True)


async def test_a_new_bot_is_registered_on_the_way(panel: Panel, owner: Browser) -> None:
    await owner.send("/new-link", "/new-link", **(NEW | {"new_bot": "@Third_Bot"}))
    page = said(await owner.get("/links/verao"))
    assert f"@{BOT}" in page
    assert "@Third_Bot" in page
    assert [action for action, _ in await audited(panel)] == ["bot add", "link add"]


@pytest.mark.parametrize("role", ["analyst", "dpo"])
async def test_who_is_no_owner_reads_and_may_change_nothing(panel: Panel, role: str) -> None:
    reader = await panel.signed_in("Bia", role)
    token = await reader.token("/links")
    for path in ("/links", f"/links/{SLUG}", "/live", "/settings"):
        page = await reader.get(path)
        assert page.status_code == 200
        for form in re.findall(r'method="post" action="([^"#]+)', page.text):
            assert form in {"/sign-out", "/language", f"/links/{SLUG}/check"}, form
    assert (await reader.get("/new-link")).status_code == 403
    for path in (
        "/new-link", f"/links/{SLUG}/edit", f"/links/{SLUG}/pause", "/settings/keys", "/settings/keys/revoke",
        "/settings/users", "/settings/users/role", "/settings/users/password", "/settings/users/remove",
    ):  # fmt: skip
        answer = await reader.post(path, {"csrf": token, "paused": "1", "name": "Bia", "role": "owner"})
        assert answer.status_code == 403, path
    assert not await audited(panel)
    assert "live" in said(await reader.get(f"/links/{SLUG}"))


async def test_a_form_without_its_token_changes_nothing(panel: Panel, owner: Browser) -> None:
    for path in ("/new-link", f"/links/{SLUG}/pause", "/settings/keys", "/settings/users/remove"):
        answer = await owner.post(path, NEW | {"paused": "1", "name": "Ana", "csrf": "0" * 64})
        assert answer.status_code == 400, path
    assert not await audited(panel)


async def test_a_link_that_there_is_not_is_missing(owner: Browser) -> None:
    token = await owner.token("/links")
    for path in ("/links/nothing", "/links/nothing/edit", "/links/nothing/qr.svg"):
        assert (await owner.get(path)).status_code == 404
    assert (await owner.post("/links/nothing/pause", {"csrf": token})).status_code == 404


async def test_the_qr_code_is_a_picture_of_the_plain_url(owner: Browser) -> None:
    import segno

    answer = await owner.get(f"/links/{SLUG}/qr.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    drawn = re.search(r' d="([^"]+)"[^>]*>?</?', answer.text) or re.search(r' d="([^"]+)"', answer.text)
    assert drawn
    expected = segno.make(f"https://go.example.com/go/{SLUG}", error="m").svg_inline(border=4)
    assert re.findall(r' d="([^"]+)"', expected)[-1] in answer.text
    assert "style=" not in answer.text


@pytest.mark.parametrize(
    ("language", "words"), [("en", "There is more than one ?"), ("pt", "Há mais de um ?")]
)
async def test_a_pasted_url_is_checked_in_the_readers_language(
    owner: Browser, language: str, words: str
) -> None:
    owner.http.headers["accept-language"] = language
    pasted = f"https://go.example.com/go/{SLUG}?utm_source=FB?utm_campaign={{{{campaign.id}}}}&utm_content={{{{ad.id}}}}"
    answer = await owner.send(f"/links/{SLUG}/check", f"/links/{SLUG}", url=pasted)
    assert answer.status_code == 200
    text = html.unescape(answer.text)
    assert words in text
    assert text.count(pasted) == 1
    assert pasted.replace("?utm_campaign", "&utm_campaign") in text


async def test_markup_that_is_pasted_or_typed_stays_text(owner: Browser) -> None:
    nasty = "<script>alert(1)</script>"
    await owner.send("/new-link", "/new-link", **(NEW | {"name": nasty}))
    answer = await owner.send("/links/verao/check", "/links/verao", url=nasty + "?utm_source=" + nasty)
    for page in (answer, await owner.get("/links/verao"), await owner.get("/links")):
        assert nasty not in page.text
        assert html.escape(nasty) in page.text


async def test_a_click_through_the_daemon_is_on_the_live_page_and_then_its_start(site: Site) -> None:
    async with panel_of(site) as panel, site.running() as door:
        owner = await panel.signed_in()
        assert "No clicks yet" in said(await owner.get("/live"))
        token = await door.click("utm_source=FB&utm_campaign=Quente&utm_content=AD+1&fbclid=IwAR0secret")
        await site.settle()
        page = await _live(owner, panel, "Quente")
        assert "FB · Quente · AD 1" in said(page)
        assert "not yet" in said(page)
        assert "IwAR0secret" not in page.text
        assert "redirects (serve)" in said(page)
        assert re.search(r"disk\s+ok", said(page))
        await door.start(token)
        page = await _live(owner, panel, ">started<")
        assert "7" not in re.findall(r"telegram[^<]*", page.text)
    # The daemon is gone.
    async with panel_of(site) as panel:
        browser = panel.browser()
        await browser.sign_in("Ana")
        assert "does not answer" in said(await browser.get("/live"))


async def _live(browser: Browser, panel: Panel, words: str) -> httpx2.Response:
    """The live page once it says that; the dashboard's clock goes on by hand."""
    async with asyncio.timeout(20):
        while words not in (page := await browser.get("/live")).text:
            panel.clock.advance(2)
            await asyncio.sleep(0.05)
    return page


async def test_without_sql_the_live_page_still_says_what_it_can(site: Site) -> None:
    async with panel_of(site) as panel:
        owner = await panel.signed_in()
        await owner.get("/live")
        panel.clock.advance(2)
        await site.execute("ALTER TABLE accounting RENAME TO away")
        page = await owner.get("/live")
        assert page.status_code == 200
        assert "SQL cannot be reached" in said(page)
        assert "Waiting in the spools" in said(page)


async def test_a_key_made_on_the_page_opens_the_api_until_it_is_revoked(site: Site) -> None:
    async with panel_of(site) as panel, site.running() as door:
        owner = await panel.signed_in()
        made = await owner.send("/settings/keys", "/settings", name="loja")
        (key,) = re.findall(r"trk_[A-Za-z0-9_-]{43}", made.text)
        assert made.status_code == 200
        assert key not in (await owner.get("/settings")).text
        assert await _answers(door.api, key, 404) == 404
        revoked = await owner.send("/settings/keys/revoke", "/settings", name="loja")
        assert revoked.status_code == 303
        assert await _answers(door.api, key, 401) == 401
        assert api_key_names(site.settings.api_keys) == ["tests"]
        actions = [(action, detail["key"]) for action, detail in await audited(panel)]
        assert actions == [("api key make", "loja"), ("api key revoke", "loja")]
        assert key not in str(await audited(panel))


async def _answers(api: httpx2.AsyncClient, key: str, status: int) -> int:
    """What /v1 answers to that key, once the daemon has seen the file."""
    async with asyncio.timeout(20):
        while True:
            answer = await api.get("/v1/nothing", headers={"authorization": f"Bearer {key}"})
            answer = await api.get("/v1/openapi.json", headers={"authorization": f"Bearer {key}"})
            found = 404 if answer.status_code == 200 else answer.status_code
            if found == status:
                return found
            await asyncio.sleep(0.1)


async def test_a_keys_bad_name_is_said_and_kept(owner: Browser) -> None:
    answer = await owner.send("/settings/keys", "/settings", name="a b")
    assert (answer.status_code, "a key's name is" in said(answer), 'value="a b"' in answer.text) == (
        422,
        True,
        True,
    )


async def test_users_are_added_given_roles_and_passwords_and_removed(panel: Panel, owner: Browser) -> None:
    password = "a long enough password"
    added = await owner.send("/settings/users", "/settings", name="Bia", role="analyst", password=password)
    assert added.status_code == 303
    bia = panel.browser()
    assert (await bia.sign_in("Bia", password)).status_code == 303
    assert (await bia.get("/new-link")).status_code == 403
    await owner.send("/settings/users/role", "/settings", name="Bia", role="owner")
    assert (await bia.get("/new-link")).status_code == 200
    await owner.send("/settings/users/password", "/settings", name="Bia", password=password + "!")
    assert (await bia.get("/new-link")).status_code == 303
    assert (await bia.sign_in("Bia", password + "!")).status_code == 303
    await owner.send("/settings/users/remove", "/settings", name="Bia")
    assert (await bia.get("/links")).status_code == 303
    assert [action for action, _ in await audited(panel)] == [
        "user add",
        "user role",
        "user password",
        "user remove",
    ]
    about = [detail["whom"] for _, detail in await audited(panel)]
    assert len({*about}) == 1
    assert "Bia" not in str(await audited(panel))
    assert password not in str(await audited(panel))


async def test_the_last_owner_stays_and_short_passwords_are_refused(owner: Browser) -> None:
    for path, fields, words in (
        ("/settings/users/remove", {"name": "Ana"}, "last owner"),
        ("/settings/users/role", {"name": "Ana", "role": "analyst"}, "last owner"),
        ("/settings/users/role", {"name": "Ana", "role": "king"}, "not a role"),
        ("/settings/users", {"name": "Bia", "role": "analyst", "password": "short"}, "a password has"),
    ):
        answer = await owner.send(path, "/settings", **fields)
        assert (answer.status_code, words in said(answer)) == (422, True), path


async def test_settings_in_force_are_shown_without_what_is_secret(site: Site) -> None:
    extra = {
        "TRILHA_REDIS_URL": "redis://user:hunter2hunter2@127.0.0.1:1/0",
        "TRILHA_TRUSTED_PROXIES": "10.0.0.0/8",
    }
    async with Panel(site.settings.home_dir, site.settings.sql, extra).running() as panel:
        owner = await panel.signed_in()
        page = await owner.get("/settings")
        assert "hunter2" not in page.text
        for words in ("TRILHA_REDIS_URL", "10.0.0.0/8", "TRILHA_SEALED_DAYS", "sqlite 3", newest()):
            assert words in page.text, words
        checks = await owner.get("/settings/checks")
        assert checks.status_code == 200
        assert "key ring" in said(checks)
        assert "hunter2" not in checks.text
