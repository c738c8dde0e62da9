"""Pools and bridge pages over real HTTP, from a catalog that is edited while daemons run."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

import pytest

from backends.sql.links import SqlCatalog
from chaos.servers import free_port
from domain.links import Button, Greeting
from tests.daemon_fixture import BOT, OTHER_BOT, SLUG, Answer, Door, Site, user_agents

BOTS = (BOT, OTHER_BOT)
BRIDGE_HEADERS = ["content-type", "content-security-policy", "content-length", "cache-control", "referrer-policy", "x-content-type-options", "connection"]  # fmt: skip


def bot_of(answer: Answer) -> str:
    """Whom an answer leads to."""
    assert answer.status == 302, answer.raw
    return answer.location.removeprefix("https://t.me/").partition("?")[0]


def page_tokens(answer: Answer) -> set[str]:
    """The start parameters of a bridge page."""
    return set(re.findall(r'start=([^"&]*)"', answer.body.decode()))


async def edited(site: Site, **changes: object) -> None:
    async with site.engine() as engine:
        await SqlCatalog(engine, site.clock).edit_link(SLUG, **changes)  # type: ignore[arg-type]


async def pooled(site: Site, **changes: object) -> None:
    """Both bots share the link."""
    async with site.engine() as engine:
        await SqlCatalog(engine, site.clock).put_member(SLUG, OTHER_BOT)
    await edited(site, **changes)


async def unfit(site: Site, *bots: str) -> None:
    """A worker has seen that nobody reaches those bots."""
    for name in bots:
        await site.execute(f"UPDATE bots SET health = 'banned' WHERE username = '{name}'")
    await site.execute("UPDATE catalog SET version = version + 1")


async def until(door: Door, wanted: set[str]) -> None:
    """Ask until an answer's bot is one of those: the daemon follows the catalog every second."""
    for _ in range(50_000):
        if bot_of(await door.get()) in wanted:
            return
    raise AssertionError(wanted)


async def refreshed(door: Door) -> None:
    """Wait until the daemon has asked SQL for the catalog's version once more."""
    before = now = (await door.api.get("/readyz")).json()["catalog_checked_at"]
    while now == before:
        await asyncio.sleep(0.05)
        now = (await door.api.get("/readyz")).json()["catalog_checked_at"]


async def test_round_robin_deals_the_visitors_in_turn(site: Site) -> None:
    await pooled(site, strategy="round_robin")
    async with site.running() as door:
        found = [bot_of(await door.get()) for _ in range(6)]
    assert found in ([*BOTS] * 3, [*reversed(BOTS)] * 3)


async def test_two_daemons_share_the_visitors_of_a_link_by_weight_without_asking_each_other(
    tmp_path: Path,
) -> None:
    """Shares hold over the daemons together: 300 clicks, the expected number give or take five standard deviations."""
    site = Site(tmp_path)
    await site.prepare()
    async with site.engine() as engine:
        await SqlCatalog(engine, site.clock).put_member(SLUG, OTHER_BOT, weight=3)
    changes = {
        name: getattr(site.settings, name).model_copy(update={"port": free_port()})
        for name in ("public_bind", "private_bind")
    }
    other = Site(tmp_path, **changes)
    other.key = site.key
    async with site.running() as one, other.running() as two:
        answers = await asyncio.gather(*(door.get() for door in (one, two) for _ in range(150)))
    found = Counter(map(bot_of, answers))
    assert set(found) == set(BOTS)
    assert abs(found[OTHER_BOT] - 225) < 5 * (300 * 0.75 * 0.25) ** 0.5


@pytest.mark.parametrize("strategy", ["weighted", "round_robin", "priority"])
async def test_a_running_daemon_stops_sending_people_to_a_bot_that_is_banned(
    site: Site, strategy: str
) -> None:
    await pooled(site, strategy=strategy)
    async with site.running() as door:
        await until(door, {BOT})
        await unfit(site, BOT)
        await refreshed(door)
        await refreshed(door)  # the first may have begun before the change
        found = {bot_of(await door.get()) for _ in range(40)}
        flagged = await door.metric('trilha_redirects_total{outcome="redirected_unfit"}')
    assert (found, flagged) == ({OTHER_BOT}, 0)


async def test_with_every_bot_banned_people_are_redirected_all_the_same_and_the_operator_sees_it(
    site: Site,
) -> None:
    await pooled(site)
    await unfit(site, *BOTS)
    async with site.running() as door:
        answers = [await door.get() for _ in range(5)]
        flagged = await door.metric('trilha_redirects_total{outcome="redirected_unfit"}')
    assert ({bot_of(answer) for answer in answers}, flagged) == ({BOT}, 5)
    assert all(site.read(answer.token).link_id == 1 for answer in answers)


async def test_a_pool_and_its_health_outlive_a_restart_without_sql(tmp_path: Path) -> None:
    """The copy on disk has them."""
    site = Site(tmp_path)
    await site.prepare()
    await pooled(site, strategy="round_robin", bridge=False)
    await unfit(site, BOT)
    async with site.running() as door:
        await until(door, {OTHER_BOT})
    site.sql_away()
    async with site.running() as door:
        assert {bot_of(await door.get()) for _ in range(10)} == {OTHER_BOT}


async def test_a_click_by_any_bot_of_a_pool_is_won_there(site: Site) -> None:
    await pooled(site, strategy="round_robin")
    async with site.running() as door:
        answers = [await door.get() for _ in range(2)]
        owners = [await door.start(answer.token, 7, bot_of(answer)) for answer in answers]
    assert [owner["owner"] for owner in owners] == [True, True]


# ---------------------------------------------------------------- the bridge page


async def test_a_bridge_is_a_page_with_one_token_in_both_its_links(site: Site) -> None:
    await edited(site, bridge=True)
    async with site.running() as door:
        answer = await door.get(f"/go/{SLUG}?utm_source=FB")
        (token,) = page_tokens(answer)
        assert (await door.start(token))["owner"] is True
        bridged = await door.metric('trilha_redirects_total{outcome="bridged"}')
    await site.settle()
    page = answer.body.decode()
    assert (answer.status, answer.all("content-type"), bridged) == (200, ["text/html; charset=utf-8"], 1)
    assert re.findall('href="([^"]+)"', page) == [
        f"tg://resolve?domain={BOT}&amp;start={token}",
        f"https://t.me/{BOT}?start={token}",
    ]
    assert (await site.row(token)).params == {"utm_source": "FB"}


async def test_a_bridge_answers_with_strict_headers_and_head_without_a_body(site: Site) -> None:
    await edited(site, bridge=True)
    async with site.running() as door:
        got, head = await door.get(), await door.get(method="HEAD")
    assert [name for name, _ in got.headers] == BRIDGE_HEADERS
    assert got.all("content-security-policy")[0].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in got.all("content-security-policy")[0]
    assert (got.all("cache-control"), got.all("referrer-policy")) == (["no-store"], ["no-referrer"])
    assert got.all("x-content-type-options") == ["nosniff"]
    assert (head.status, head.headers, head.body) == (200, got.headers, b"")
    assert got.all("content-length") == [str(len(got.body))]
    assert len(got.body) < 6 * 1024


async def test_people_and_crawlers_get_the_same_page(site: Site) -> None:
    await edited(site, bridge=True)
    async with site.running() as door:
        answers = [await door.get(headers={"User-Agent": agent}) for _, agent in user_agents()]
    pages = {re.sub(rb"start=[\w-]{62}", b"", answer.body) for answer in answers}
    assert (len(pages), {answer.headers for answer in answers}) == (1, {answers[0].headers})


async def test_nothing_of_the_visit_or_of_the_operators_words_is_on_the_page(site: Site) -> None:
    """A name, a greeting or a parameter with HTML in it cannot write into a page that has none of them."""
    hostile = "<script>alert(1)</script>"
    async with site.engine() as engine:
        catalog = SqlCatalog(engine, site.clock)
        await catalog.edit_link(SLUG, name=hostile, bridge=True)
        button = Button(text=hostile, url="https://example.com/<script>")
        await catalog.put_greeting(SLUG, Greeting(language="pt", text=hostile, buttons=(button,)))
    async with site.running() as door:
        await door.get()
        query = "?utm_source=%3Cscript%3Ealert(1)%3C/script%3E&start=%22%3E%3Cscript%3E&fbclid=%3Cscript%3E"
        answers = [
            await door.get(
                f"/go/{SLUG}{query}", headers={"Referer": f"https://x/{hostile}", "User-Agent": hostile}
            ),
            await door.get(f"/go/{SLUG}"),
        ]
    pages = {re.sub(rb"start=[\w-]{62}", b"", answer.body) for answer in answers}
    assert len(pages) == 1
    assert pages.pop().count(b"<script>") == 1
    assert hostile.encode() not in answers[0].raw


async def test_with_every_store_broken_the_page_comes_all_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    await site.prepare()
    await pooled(site, bridge=True)
    async with site.running() as door:
        await door.get()
    site.sql_away()
    site.settings.spools.rename(tmp_path / "gone")
    site.break_spool()
    async with site.running() as door:
        answer = await door.get()
        assert await door.metric('trilha_receipts_total{durability="token_only",visible="no"}') == 1
    (token,) = page_tokens(answer)
    assert (answer.status, site.read(token).link_id) == (200, 1)


async def test_a_paused_bridge_is_gone(site: Site) -> None:
    await edited(site, bridge=True, paused=True)
    async with site.running() as door:
        answer = await door.get()
    assert (answer.status, page_tokens(answer)) == (410, set())
