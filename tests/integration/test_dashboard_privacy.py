"""Explain, privacy and quality over real HTTP and real SQL: who may look, what is shown, what is erased, what is noted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from backends.sql.erasure import SqlErasures
from domain.click import Ad, Click
from domain.clock import SystemClock
from domain.enrichment import Geo
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.daemon_fixture import captured_logs
from tests.panel import Browser, Panel
from tests.trading import Trade

ANA = 4_242_424_242
AD = Ad("FB", "Natal|1202100001", "Aberto|1202100011", "Vídeo", "Feed")


@pytest_asyncio.fixture(params=["sqlite_tables", "postgres_tables"])
async def trade(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Panel, Trade]]:
    """A dashboard whose stores are asked by the system's clock, as commands ask them, and a trade with one link."""
    panel = Panel(tmp_path / "home", request.getfixturevalue(request.param))
    async with panel.running():
        made = Trade(panel.engine, SystemClock())
        await made.open("promo")
        yield panel, made


async def bought(trade: Trade) -> tuple[Click, str]:
    """Ana clicks, starts and buys; her click and order."""
    (click,) = await trade.clicks(AD, 1, ago_ms=60_000)
    await trade.start(click, person=ANA)
    order = await trade.sell(click, ANA, 149_900_000)
    await trade.fold()
    return click, order


async def audit(panel: Panel) -> list[tuple[str, dict[str, Any]]]:
    return [(line.action, dict(line.detail)) for line in await SqlErasures(panel.engine).audit()]


def token_of(panel: Panel, click: Click) -> str:
    clock = SystemClock()
    minter = Minter(Keyring(panel.settings.secrets, clock), clock, node=0, attribution_days=28)
    return minter.mint(click.id, click.link_id, click.ad_key).text


async def test_a_real_token_a_person_and_an_order_are_explained_and_nothing_of_them_is_noted(
    trade: tuple[Panel, Trade],
) -> None:
    panel, made = trade
    click, order = await bought(made)
    browser = await panel.signed_in("Bea", "analyst")
    token = token_of(panel, click)
    with captured_logs() as logs:
        for what in (f"https://t.me/trail_test_bot?start={token}", token, str(ANA), order):
            page = await browser.send("/explain", "/explain", what=what)
            assert page.status_code == 200
            assert 'class="timeline"' in page.text, what
            assert "Purchase" in page.text, what
    looked = [detail for action, detail in await audit(panel) if action == "explain"]
    assert [detail["by"] for detail in looked] == ["token", "token", "person", "order"]
    assert {detail["user"] for detail in looked} == {*await panel.users.names()}
    for secret in (token, str(ANA), order):
        assert secret not in str(looked)
        assert secret not in logs.getvalue()


async def test_what_is_looked_for_is_posted_and_an_unknown_one_is_told(trade: tuple[Panel, Trade]) -> None:
    panel, _ = trade
    browser = await panel.signed_in()
    page = await browser.send("/explain", "/explain", what="<script>alert(1)</script>")
    assert page.status_code == 200
    assert "<script>alert(1)" not in page.text
    assert 'value="&lt;script&gt;alert(1)' in page.text
    assert 'method="post" action="/explain"' in (await browser.get("/explain?what=12345")).text
    assert 'value="12345"' not in (await browser.get("/explain?what=12345")).text


async def test_the_explanation_is_in_the_readers_language(trade: tuple[Panel, Trade]) -> None:
    panel, made = trade
    click, _ = await bought(made)
    browser = await panel.signed_in()
    browser.http.headers["accept-language"] = "pt-BR"
    page = await browser.send("/explain", "/explain", what=token_of(panel, click))
    assert "Clique" in page.text
    assert "Explicar" in page.text


async def test_the_officer_gets_a_persons_copy_as_a_file(trade: tuple[Panel, Trade]) -> None:
    panel, made = trade
    click, order = await bought(made)
    browser = await panel.signed_in("Dora", "dpo")
    answer = await browser.send("/privacy/export", "/privacy", telegram_id=str(ANA))
    found = answer.json()
    assert found["subject"] == {"telegram_id": ANA}
    assert [one["id"] for one in found["clicks"]] == [str(click.id)]
    assert order in {one["order_id"] for one in found["conversions"]}
    assert "attachment" in answer.headers["content-disposition"]
    assert str(ANA) not in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    noted = dict(await audit(panel))
    assert noted["export"]["clicks"] == 1
    assert await panel.users.names() == {noted["export by"]["user"]: "Dora"}
    assert str(ANA) not in str(noted)


async def test_erasing_takes_two_steps_and_the_same_id_twice(trade: tuple[Panel, Trade]) -> None:
    panel, made = trade
    await bought(made)
    browser = await panel.signed_in("Dora", "dpo")
    first = await browser.send("/privacy/erase", "/privacy", telegram_id=str(ANA))
    assert "This would be erased" in first.text
    assert await clicks_of(browser) == 1
    wrong = await browser.send("/privacy/erase/now", "/privacy", telegram_id=str(ANA), again="5")
    assert "The two ids are not the same" in wrong.text
    assert await clicks_of(browser) == 1
    done = await browser.send("/privacy/erase/now", "/privacy", telegram_id=str(ANA), again=f" {ANA} ")
    assert "Erased. Line" in done.text
    assert await clicks_of(browser) == 0
    again = await browser.send("/privacy/erase", "/privacy", telegram_id=str(ANA))
    assert "has anything of this person" in again.text
    noted = dict(await audit(panel))
    assert noted["erase"]["clicks"] == 1
    assert await panel.users.names() == {noted["erase by"]["user"]: "Dora"}


async def clicks_of(browser: Browser) -> int:
    answer = await browser.send("/privacy/export", "/privacy", telegram_id=str(ANA))
    return len([one for one in answer.json()["clicks"] if one["erased_at"] is None])


@pytest.mark.parametrize("path", ["/privacy/export", "/privacy/erase", "/privacy/erase/now"])
async def test_an_analyst_may_neither_see_nor_take_nor_erase(trade: tuple[Panel, Trade], path: str) -> None:
    panel, made = trade
    await bought(made)
    browser = await panel.signed_in("Bea", "analyst")
    assert (await browser.get("/privacy")).status_code == 403
    answer = await browser.send(path, "/explain", telegram_id=str(ANA), again=str(ANA))
    assert answer.status_code == 403
    assert not [action for action, _ in await audit(panel) if action.startswith(("export", "erase"))]


async def test_the_page_has_the_calendar_what_is_due_and_the_audit(trade: tuple[Panel, Trade]) -> None:
    panel, made = trade
    await made.clicks(AD, 2, ago_ms=500 * 86_400_000)
    browser = await panel.signed_in("Dora", "dpo")
    await browser.send("/privacy/export", "/privacy", telegram_id="99")
    page = (await browser.get("/privacy")).text
    assert "7 days (TRILHA_SEALED_DAYS)" in page
    assert "This waits for the worker" in page
    assert "export by" in page
    [dora] = await panel.users.names()
    assert f"user {dora} (Dora)" in page
    bad = await browser.send("/privacy/export", "/privacy", telegram_id="1e5")
    assert "That is no Telegram id" in bad.text
    assert "1e5" not in bad.text


async def test_places_that_are_not_known_say_why_and_how_to_know_them(trade: tuple[Panel, Trade]) -> None:
    panel, made = trade
    browser = await panel.signed_in()
    await made.clicks(AD, 3, geo=Geo())
    await made.fold()
    panel.clock.advance((made.clock.now_ms() - panel.clock.now_ms()) / 1000)
    page = (await browser.get("/quality?period=30d")).text
    assert "trilha geoip fetch" in page
    await made.clicks(AD, 1)
    await made.fold()
    page = (await browser.get("/quality?period=30d")).text
    assert "trilha geoip fetch" not in page
    assert "São Paulo" in page
    assert "Every visitor gets the same redirect" in page
