"""Explaining sales over real sockets, real stores and as a command."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from analytics.explain.texts import TEXTS
from backends.sql.erasure import SqlErasures
from tests.daemon_fixture import BOT, SLUG, Door, Site, captured_logs
from tests.delivery.business import ANA, BIA, CLIENT, FBCLID, PIXEL, ROOT, in_business
from tests.delivery.shop import AGENT, token_of

UNKNOWN_TOKEN = "A" * 62


async def told(door: Door, question: str, status: int = 200) -> Any:
    answer = await door.api.get(f"/v1/explain{question}")
    assert answer.status_code == status, answer.text
    return answer.json()


def kinds(explained: Any) -> list[str]:
    return [step["kind"] for story in explained["stories"] for step in story["steps"]]


@pytest.mark.parametrize("engine", [None, "postgres_tables"])
async def test_the_whole_way_of_a_sale_is_told_by_token_by_person_and_by_order(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str | None
) -> None:
    """With the real ledger, outbox and relay of both engines; and nothing personal beyond the Telegram id in it."""
    where = {} if engine is None else {"sql_url": request.getfixturevalue(engine)}
    async with in_business(tmp_path, **where) as shop, shop.site.running() as door:
        token = await shop.came(door)
        await door.start(token, BIA)
        await shop.sold(door, order_id="A-17", email="ana@padaria.com.br")
        await shop.turn()
        by_token = await told(door, f"/{token}")
        by_person = await told(door, f"?telegram_id={ANA}&bot={BOT}")
        by_order = await told(door, "?order=A-17")
        of_taken = await told(door, f"?telegram_id={BIA}")
    for found in (by_token, by_person, by_order):
        assert found["headline"].startswith(f"The sale A-17 was sent to Meta pixel {PIXEL} at ")
        assert (found["verdict"], found["known"], found["certain"]) == ("done", True, True)
    assert kinds(by_token) == [
        *("click", "link", "store", "class", "start", "attribution", "start.taken"),
        *("conversion", "delivery.sent") * 3,
    ]
    assert [story["title"] for story in by_order["stories"]] == [f"Order A-17 in @{BOT}"]
    assert "START by somebody" not in by_order["headline"]
    assert of_taken["headline"] == TEXTS["head.taken"][0]
    text = json.dumps([by_token, by_person, by_order, of_taken])
    for never in (token, CLIENT, AGENT, FBCLID, token_of(PIXEL), "ana@padaria.com.br"):
        assert never not in text


async def test_the_answers_of_explain_are_in_the_operators_language(door: Door) -> None:
    await door.click()
    found = await told(door, "?order=A-17&language=pt-BR")
    assert found["language"] == "pt"
    assert found["headline"] == "Nenhuma conversão com o id de pedido A-17 foi informada."


@pytest.mark.parametrize(
    ("question", "status", "code"),
    [
        ("", 422, "invalid_query"),
        ("?order=A&telegram_id=7", 422, "invalid_query"),
        ("?telegram_id=0", 422, "invalid_query"),
        ("?telegram_id=%D9%A7", 422, "invalid_query"),
        (f"?telegram_id={2**60}", 422, "invalid_query"),
        ("?telegram_id=" + "9" * 5000, 422, "invalid_query"),
        ("?order=" + "A" * 101, 422, "invalid_query"),
        ("?order=%00", 422, "invalid_query"),
        ("?order=A&language=xx", 422, "invalid_query"),
        ("?telegram_id=7&bot=nobody_bot", 422, "unknown_bot"),
        ("/x", 422, "invalid_token"),
        (f"/{UNKNOWN_TOKEN}", 422, "invalid_token"),
    ],
)
async def test_what_cannot_be_asked_so_is_refused_by_name(
    door: Door, question: str, status: int, code: str
) -> None:
    assert (await told(door, question, status))["error"] == code


async def test_explain_needs_the_key(door: Door) -> None:
    for path in ("/v1/explain/x", "/v1/explain?order=A-17"):
        answer = await door.api.get(path, headers={"authorization": "Bearer trk_wrong"})
        assert answer.status_code == 401


async def test_a_refused_token_is_not_told_what_is_wrong_with_it_over_http_and_is_in_no_log(
    door: Door,
) -> None:
    with captured_logs() as page:
        answers = {json.dumps(await told(door, f"/{text}", 422)) for text in ("x", UNKNOWN_TOKEN, "B" * 62)}
    assert answers == {json.dumps({"error": "invalid_token", "detail": "the token is not ours, or too old"})}
    assert UNKNOWN_TOKEN not in page.getvalue()


async def test_with_sql_away_click_and_start_are_told_from_the_spool_and_the_rest_as_not_known(
    site: Site,
) -> None:
    """Never "no click" and never "no start" while the ledger cannot be asked; afterwards all is settled."""
    site.sql_away()
    async with site.running() as door:
        token = await door.click("utm_source=FB&utm_term=x")
        assert (await door.start(token, ANA))["state"] == "deferred"
        found = await told(door, f"/{token}")
        nobody = await told(door, "?order=A-17")
    assert found["headline"].startswith("The start is kept in a spool since")
    assert (found["verdict"], found["certain"]) == ("waiting", False)
    assert "start.deferred" in kinds(found)
    assert "ad: utm_source FB · utm_term x" in str(found)
    assert nobody["headline"].startswith("It cannot be told now: SQL cannot be asked")
    assert (nobody["known"], nobody["certain"]) == (False, False)
    site.sql_back()
    await site.settle()
    async with site.running() as door:
        found = await told(door, f"/{token}")
    assert found["headline"].startswith("The click led to a start")
    assert found["certain"] is True


async def test_somebody_erased_is_told_as_erased_by_person_and_by_token(tmp_path: Path) -> None:
    async with in_business(tmp_path) as shop, shop.site.running() as door:
        token = await shop.came(door)
        await shop.sold(door, order_id="A-17")
        await shop.turn()
        now = shop.clock.now_ms()
        await SqlErasures(shop.engine).erase(ANA, person_key=shop.keyring.person_key(ANA), at_ms=now)
        by_token, by_person = await told(door, f"/{token}"), await told(door, f"?telegram_id={ANA}")
        by_order = await told(door, "?order=A-17")
    assert by_person["headline"] == by_token["headline"] == TEXTS["head.erased"][0]
    assert kinds(by_person) == ["erased"]
    assert str(ANA) not in json.dumps([by_token, by_order])
    assert not by_order["known"]


async def run(site: Site, *words: str, said: str = "") -> tuple[int | None, str, str]:
    """`trilha explain` as a process of its own."""
    given = {"TRILHA_HOME_DIR": str(site.settings.home_dir), "TRILHA_SQL_URL": str(site.settings.sql_url)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "explain", *words),
        cwd=ROOT,
        env=given | {"PATH": "/usr/bin:/bin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(said.encode())
    return process.returncode, out.decode(), err.decode()


async def test_the_command_exits_by_what_is_known_and_never_prints_the_token(site: Site) -> None:
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        await door.start(token, ANA)
        code, out, err = await run(site, "-", said=f"{token}\n")
        assert (code, err) == (0, "")
        assert out.splitlines()[0].startswith("– The click led to a start")
        assert token not in out
        assert f"Click on {SLUG}" in out
        refused, out, _ = await run(site, token[:-1] + ("A" if token[-1] != "A" else "Q"))
        assert refused == 1
        assert out.startswith("✗ ")
        none, out, _ = await run(site, "--order", "A-17", "--json")
        assert none == 1
        assert json.loads(out)["headline"] == "No conversion with the order id A-17 was reported."
        wrong, _, err = await run(site, "--order", "A-17", "--telegram-id", "7")
        assert (wrong, err.startswith("trilha: give exactly one of")) == (2, True)
    site.sql_away()
    away, out, _ = await run(site, "--telegram-id", "-", "--language", "pt", said="7\n")
    assert away == 3
    assert out.splitlines()[0].startswith("· Não é possível dizer agora")
