"""What holds for every page of the dashboard: headers, roles, forms, languages, errors. Over real HTTP and real SQL."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
import pytest_asyncio
from starlette.responses import Response

from analytics.web import app as app_module
from analytics.web.app import PAGES
from analytics.web.guard import HEADERS, LARGEST_BODY
from analytics.web.page import Ask, Missing, Page
from backends.sql.links import SqlCatalog
from backends.sql.rollup_schema import rollup_ads, rollup_days, rollup_hours
from backends.sql.schema import ads, bots
from domain.errors import ConfigError, StoreUnavailable
from domain.rollups import day_of, hour_of
from tests.panel import Panel

WEB = Path(app_module.__file__).parent
NASTY = "<script>alert(1)</script>"


async def _echo(ask: Ask) -> Response:
    await ask.audit("tried", what=(await ask.form())["what"])
    return ask.go("/", "base.show")


async def _fails(_ask: Ask) -> Response:
    raise RuntimeError("secret 203.0.113.9")


async def _missing(_ask: Ask) -> Response:
    raise Missing


async def _unavailable(_ask: Ask) -> Response:
    raise StoreUnavailable("secret dsn")


async def _wrong(_ask: Ask) -> Response:
    raise ConfigError("the slug <b> is taken")


TRIALS = (
    Page(path="/trial", handler=_echo, methods=("POST",)),
    Page(path="/trial/owner", handler=_missing, roles=("owner",)),
    Page(path="/trial/fails", handler=_fails),
    Page(path="/trial/missing", handler=_missing),
    Page(path="/trial/unavailable", handler=_unavailable),
    Page(path="/trial/wrong", handler=_wrong),
)


@pytest_asyncio.fixture
async def panel(sqlite_tables: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Panel]:
    monkeypatch.setattr(app_module, "PAGES", (*PAGES, *TRIALS))
    async with Panel(tmp_path / "home", sqlite_tables).running() as running:
        yield running


async def with_a_click(panel: Panel) -> None:
    """A link whose name, and an ad whose parameters, are markup; a click of both."""
    catalog = SqlCatalog(panel.engine, panel.clock)
    await catalog.add_bot("trail_test_bot")
    link = await catalog.add_link("promo", bot="trail_test_bot", name=NASTY)
    zone, now = ZoneInfo(panel.settings.timezone), panel.clock.now_ms()
    counts = {"link_id": link.id, "trait": "", "value": "", "clicks": 9, "starts": 3}
    ad = {"link_id": link.id, "ad_key": b"12345678"}
    async with panel.engine.begin() as connection:
        await connection.execute(rollup_hours.insert(), counts | {"hour": hour_of(now, zone)})
        await connection.execute(rollup_days.insert(), counts | {"day": day_of(now, zone)})
        await connection.execute(rollup_ads.insert(), counts | ad | {"day": day_of(now, zone)})
        await connection.execute(
            ads.insert(),
            ad
            | dict.fromkeys(
                ("source", "campaign", "medium", "content", "term"), f'"><img src=x onerror=1>{NASTY}'
            ),
        )


def check(answer: httpx2.Response) -> None:
    """The headers of every answer, and nothing in it that the policy would stop."""
    for name, value in HEADERS.items():
        assert answer.headers[name] == value, (answer.url, name)
    if answer.headers["content-type"].startswith("text/html"):
        assert answer.headers["cache-control"] == "no-store"
        assert not [
            tag
            for tag in re.findall(r"<script\b[^>]*>", answer.text)
            if "src=" not in tag and 'type="application/json"' not in tag
        ]
        assert not re.search(
            r"<style|\sstyle=|\son[a-z]+=|javascript:", re.sub(r'="[^"]*"|>[^<]*<', "", answer.text)
        )
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", answer.text)
        assert re.search(r'<html lang="(en|pt-BR)">', answer.text)


def plain_paths() -> list[str]:
    """Pages that can be opened by their address alone."""
    return [page.path for page in PAGES if "{" not in page.path and "GET" in page.methods]


@pytest.mark.parametrize("language", ["en", "pt"])
@pytest.mark.parametrize("clicks", [False, True])
async def test_every_page_can_be_opened_keeps_to_its_policy_and_escapes_what_it_shows(
    panel: Panel, language: str, clicks: bool
) -> None:
    browser = await panel.signed_in()
    browser.http.headers["accept-language"] = language
    if clicks:
        await with_a_click(panel)
    for path in plain_paths():
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        check(answer)
        assert NASTY not in answer.text, path
        assert "<img src=x" not in answer.text, path


async def test_pages_answer_any_query_without_an_error(panel: Panel) -> None:
    """A bad period is said, and the last seven days are shown."""
    browser = await panel.signed_in()
    await with_a_click(panel)
    for path in plain_paths():
        for query in (
            "?period=nonsense",
            "?from=2026-02-31&to=x",
            "?period=30d",
            "?from=2026-01-05&to=2026-01-01",
            "?page=-1&q=%00%ff%3Cscript%3E",
        ):
            answer = await browser.get(path + query)
            assert answer.status_code in {200, 400, 404}, (path, query)
            check(answer)


async def test_no_page_is_shown_to_whoever_has_not_signed_in(panel: Panel) -> None:
    for page in PAGES:
        path = re.sub(r"{[^}]*}", "promo", page.path)
        for method in page.methods:
            answer = await panel.browser().http.request(method, path)
            assert answer.status_code == 303, path
            assert answer.headers["location"].startswith("/sign-in")
            check_headers = {name: answer.headers[name] for name in HEADERS}
            assert check_headers == dict(HEADERS)


async def test_no_form_is_taken_without_its_token_whoever_posts_it(panel: Panel) -> None:
    browser = await panel.signed_in()
    for page in (*PAGES, *TRIALS):
        if "POST" in page.methods:
            answer = await browser.post(re.sub(r"{[^}]*}", "promo", page.path), {"what": "x"})
            assert answer.status_code == 400, page.path
            check(answer)


async def test_a_form_is_taken_once_its_token_is_the_sessions_and_says_what_was_done(panel: Panel) -> None:
    browser = await panel.signed_in()
    answer = await browser.send("/trial", what="x")
    assert answer.status_code == 303
    page = await browser.get("/")
    assert '<p class="notice good" role="status">Show</p>' in page.text
    assert '<p class="notice good"' not in (await browser.get("/")).text


async def test_the_token_of_another_session_is_refused(panel: Panel) -> None:
    ana, bob = await panel.signed_in(), await panel.signed_in("Bob", "analyst")
    assert (await ana.post("/trial", {"csrf": await bob.token(), "what": "x"})).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_a_form_that_the_browser_says_is_another_sites_is_refused_even_with_the_token(
    panel: Panel, headers: dict[str, str]
) -> None:
    browser = await panel.signed_in()
    token = await browser.token()
    assert (await browser.post("/trial", {"csrf": token, "what": "x"}, **headers)).status_code == 400
    ours = {"Origin": panel.base, "Sec-Fetch-Site": "same-origin"}
    assert (await browser.post("/trial", {"csrf": token, "what": "x"}, **ours)).status_code == 303


async def test_a_body_is_64_kib_at_most(panel: Panel) -> None:
    browser = await panel.signed_in()
    large = await browser.post("/trial", {"csrf": await browser.token(), "what": "x" * LARGEST_BODY})
    assert large.status_code == 413
    check(large)


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_only_forms_are_read(panel: Panel, kind: str) -> None:
    browser = await panel.signed_in()
    token = await browser.token()
    answer = await browser.http.post("/trial", content=f"csrf={token}&what=x", headers={"content-type": kind})
    assert answer.status_code == 400


async def test_a_role_that_may_not_see_a_page_is_told_so(panel: Panel) -> None:
    owner, analyst = await panel.signed_in(), await panel.signed_in("Bob", "analyst")
    assert (await owner.get("/trial/owner")).status_code == 404
    refused = await analyst.get("/trial/owner")
    assert refused.status_code == 403
    assert "not for your role" in refused.text
    check(refused)


async def test_another_role_counts_from_the_next_request_on(panel: Panel) -> None:
    await panel.user("Olga")
    browser = await panel.signed_in("Bob", "analyst")
    await panel.users.set_role("Bob", "owner")
    assert (await browser.get("/trial/owner")).status_code == 404


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/trial/fails", 500, "Something went wrong"),
        ("/trial/missing", 404, "There is no such page"),
        ("/trial/unavailable", 503, "SQL cannot be reached"),
        ("/trial/wrong", 400, "the slug &lt;b&gt; is taken"),
        ("/nowhere", 404, "There is no such page"),
    ],
)
async def test_an_error_is_a_page_that_says_what_to_do_and_nothing_from_inside(
    panel: Panel, path: str, status: int, words: str
) -> None:
    answer = await (await panel.signed_in()).get(path)
    assert answer.status_code == status
    assert words in answer.text
    assert "secret" not in answer.text
    check(answer)


async def test_a_page_that_there_is_not_has_the_menu_of_whoever_has_signed_in(panel: Panel) -> None:
    assert 'href="/links"' in (await (await panel.signed_in()).get("/nowhere")).text
    assert 'href="/links"' not in (await panel.browser().get("/nowhere")).text


async def test_the_log_says_where_a_page_failed_and_nothing_of_what_the_error_says(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(
        app_module, "_log", SimpleNamespace(error=lambda _event, **values: said.append(values))
    )
    await (await panel.signed_in()).get("/trial/fails")
    assert [re.sub(r":\d+", "", line) for line in said[0]["trace"]][-2:] == [
        "test_dashboard_pages.py _fails",
        "RuntimeError",
    ]
    assert "secret" not in str(said)


async def test_a_word_of_a_bots_health_that_is_not_known_is_shown_as_it_is(panel: Panel) -> None:
    """A newer version's worker may write it."""
    catalog = SqlCatalog(panel.engine, panel.clock)
    await catalog.add_bot("trail_test_bot")
    await catalog.add_link("promo", bot="trail_test_bot", name="Promo")
    async with panel.engine.begin() as connection:
        await connection.execute(bots.update().values(health="frozen"))
    browser = await panel.signed_in()
    for path in ("/", "/links", "/links/promo", "/links/promo/edit", "/live"):
        answer = await browser.get(path)
        assert (answer.status_code, path) == (200, path)
        assert "frozen" in answer.text, path


async def test_every_answer_has_the_headers_whatever_it_is(panel: Panel) -> None:
    for path in (
        "/sign-in",
        "/nowhere",
        "/healthz",
        "/static/app.css",
        "/static/nothing.js",
        "/static/..%2fapp.py",
        "/sign-out",
    ):
        check(await panel.browser().get(path))


@pytest.mark.parametrize("host", ["", "localhost@evil.example"])
async def test_what_is_no_name_at_all_is_no_request(panel: Panel, host: str) -> None:
    assert (await panel.browser().get("/sign-in", Host=host)).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "trilha.example.com"])
async def test_a_name_that_is_not_ours_is_refused(panel: Panel, host: str) -> None:
    """A page elsewhere whose name was pointed here gets nothing (DNS rebinding)."""
    answer = await panel.browser().get("/sign-in", Host=host)
    assert answer.status_code == 421
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "LOCALHOST:8082", "[::1]:8082"])
async def test_this_machines_names_are_ours(panel: Panel, host: str) -> None:
    assert (await panel.browser().get("/sign-in", Host=host)).status_code == 200


async def test_the_language_is_the_browsers_until_the_reader_chooses(panel: Panel) -> None:
    browser = panel.browser()
    assert '<html lang="en">' in (await browser.get("/sign-in")).text
    assert (
        '<html lang="pt-BR">'
        in (await browser.get("/sign-in", **{"Accept-Language": "fr, pt-BR;q=0.8, en;q=0.2"})).text
    )
    chosen = await browser.post("/language", {"language": "pt", "next": "/sign-in"})
    assert chosen.headers["location"] == "/sign-in"
    assert '<html lang="pt-BR">' in (await browser.get("/sign-in")).text
    assert (await browser.post("/language", {"language": "de"})).status_code == 400
    assert (await browser.post("/language", {"language": "en", "next": "//evil.example"})).headers[
        "location"
    ] == "/"


async def test_files_may_be_kept_for_good_under_the_address_that_says_what_they_hold(panel: Panel) -> None:
    browser = panel.browser()
    page = await browser.get("/sign-in")
    found = re.findall(r'"(/static/[^"]+)"', page.text)
    assert len(found) == 6
    for path in found:
        answer = await browser.get(path)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert (await browser.get(path.partition("?")[0])).headers["cache-control"] == "no-cache"


async def test_the_overview_shows_clicks_and_the_data_of_its_charts(panel: Panel) -> None:
    await with_a_click(panel)
    page = (await (await panel.signed_in()).get("/")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    blocks = [
        json.loads(text)
        for text in re.findall(r'<script type="application/json" id="[a-z]+-data">(.*?)</script>', page)
    ]
    assert [len(block["x"]) for block in blocks] == [24, 30]
    assert sum(value or 0 for value in blocks[0]["series"][0]["values"]) == 9
    assert blocks[1]["series"][1]["values"][-1] == 3


async def test_with_sql_gone_pages_say_so(tmp_path: Path, sqlite_tables: str) -> None:
    """Tables that are not there stand for a SQL that fails."""
    async with Panel(tmp_path / "home", f"sqlite+aiosqlite:///{tmp_path}/none.db").running() as panel:
        browser = panel.browser()
        browser.http.cookies.set("trilha_session", "A" * 43)
        answer = await browser.get("/")
        assert answer.status_code == 503
        assert "SQL cannot be reached" in answer.text
        check(answer)


async def test_a_port_that_is_taken_is_an_error_that_names_the_setting(panel: Panel) -> None:
    from cli.dashboard import serve_dashboard

    with pytest.raises(ConfigError, match="TRILHA_DASHBOARD_BIND"):
        await serve_dashboard(panel.settings, panel.clock, asyncio.Event())


def test_no_template_has_inline_script_or_style_and_no_asset_an_address_elsewhere() -> None:
    for template in (WEB / "templates").glob("*.html"):
        text = template.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:|\|\s*safe", text), template
        assert all(
            "src=" in tag or "application/json" in tag for tag in re.findall(r"<script[^>]*>", text)
        ), template
    for file in (WEB / "static").iterdir():
        text = re.sub(
            r"http://www\.w3\.org/2000/svg|/\*! https://github\.com/leeoniya/uPlot", "", file.read_text()
        )
        assert file.suffix == ".LICENSE" or not re.search(r"https?://|//[a-z]+\.[a-z]|@import|url\(", text), (
            file
        )


def test_every_text_that_templates_and_pages_name_is_there() -> None:
    from analytics.web.texts import load_texts

    texts = load_texts()
    for file in (*(WEB / "templates").glob("*.html"), *WEB.rglob("*.py")):
        for key in re.findall(r"""\bt\(["']([a-z_.0-9]+)["'][,)]""", file.read_text()):
            assert key in texts, (file.name, key)
