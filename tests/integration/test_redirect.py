"""What a visitor gets, whatever works and whatever does not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from backends.catalog_cache import CatalogCache
from backends.sql.links import SqlCatalog
from chaos.servers import free_port
from domain.links import Catalog
from tests.daemon_fixture import BOT, SLUG, Door, Site, user_agents

DEEP_LINK = re.compile(rf"https://t\.me/{BOT}\?start=[A-Za-z0-9_-]{{62}}")


async def test_a_click_is_answered_302_with_a_deep_link_whose_token_verifies(door: Door, site: Site) -> None:
    answer = await door.get()
    assert answer.status == 302
    assert DEEP_LINK.fullmatch(answer.location)
    assert answer.all("cache-control") == ["no-store"]
    assert site.read(answer.token).link_id == 1
    assert answer.body == b""


async def test_two_clicks_never_get_the_same_token(door: Door) -> None:
    assert await door.click() != await door.click()


async def test_head_gets_the_same_answer_without_a_body(door: Door) -> None:
    answer = await door.get(method="HEAD")
    assert (answer.status, answer.body) == (302, b"")
    assert DEEP_LINK.fullmatch(answer.location)
    got = await door.get("/go/nothing")
    head = await door.get("/go/nothing", method="HEAD")
    assert (head.status, head.headers, head.body) == (got.status, got.headers, b"")


async def test_head_burns_nothing_and_is_kept_as_what_it_was(door: Door, site: Site) -> None:
    token = (await door.get(method="HEAD")).token
    assert (await door.start(token))["owner"] is True
    await site.settle()
    assert (await site.row(token)).method == "HEAD"


async def test_looking_a_link_up_twice_leaves_the_first_token_redeemable(door: Door) -> None:
    first = await door.click()
    await door.get(headers={"Purpose": "prefetch"})
    assert (await door.start(first))["owner"] is True


async def test_what_is_no_link_is_404(door: Door) -> None:
    for path in (
        "/go/nothing",
        "/go/",
        "/go",
        "/",
        "/GO/promo",
        "/go/PROMO",
        "/go/promo/",
        "/v1/starts",
        "/metrics",
    ):
        answer = await door.get(path)
        assert (answer.status, answer.all("location")) == (404, []), path


async def test_a_paused_link_is_410_and_its_fallback_when_it_has_one(site: Site) -> None:
    async with site.engine() as engine:
        catalog = SqlCatalog(engine, site.clock)
        await catalog.add_link("over", bot=BOT)
        await catalog.edit_link("over", paused=True)
        await catalog.add_link("moved", bot=BOT, fallback_url="https://example.com/thanks")
        await catalog.edit_link("moved", paused=True)
    async with site.running() as door:
        gone, moved = await door.get("/go/over?url=//evil"), await door.get("/go/moved?url=//evil")
    assert (gone.status, gone.all("location")) == (410, [])
    assert (moved.status, moved.location) == (302, "https://example.com/thanks")
    assert moved.all("cache-control") == gone.all("cache-control") == ["no-store"]


async def test_a_daemon_that_never_saw_the_catalog_says_503_and_to_come_back(site: Site) -> None:
    site.sql_away()
    site.settings.catalog_file.unlink()
    async with site.running() as door:
        answer = await door.get()
        ready = await door.api.get("/readyz")
    assert (answer.status, answer.all("retry-after")) == (503, ["2"])
    assert (ready.status_code, ready.json()["ready"]) == (503, False)


async def test_other_methods_are_405_and_told_which_are_allowed(door: Door) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        answer = await door.get(method=method)
        assert (answer.status, answer.all("allow")) == (405, ["GET, HEAD"]), method


async def test_people_and_crawlers_get_the_same_answer(door: Door) -> None:
    answers = [await door.get(headers={"User-Agent": agent}) for _, agent in user_agents()]
    shapes = {
        (a.status, a.location.partition("=")[0], tuple(n for n, _ in a.headers), a.body) for a in answers
    }
    assert shapes == {(302, f"https://t.me/{BOT}?start", tuple(name for name, _ in answers[0].headers), b"")}


async def test_a_daemon_starts_and_redirects_with_sql_and_redis_down(tmp_path: Path) -> None:
    site = Site(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    await site.prepare()
    site.sql_away()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        assert (await door.api.get("/readyz")).json()["ready"] is True
    site.sql_back()
    await site.settle()
    assert (await site.row(token)).params == {"utm_source": "FB"}


async def test_with_every_store_broken_the_visitor_is_redirected_and_nothing_is_called_stored(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    await site.prepare()
    site.sql_away()
    site.break_spool()
    async with site.running() as door:
        answers = [await door.get() for _ in range(5)]
        promised = await door.metric('trilha_receipts_total{durability="token_only",visible="no"}')
        metrics = (await door.api.get("/metrics")).text
    assert [answer.status for answer in answers] == [302] * 5
    assert all(site.read(answer.token) for answer in answers)
    assert promised == 5
    assert "synced" not in metrics
    assert "written" not in metrics


async def test_what_waited_in_memory_is_stored_once_a_store_works(tmp_path: Path) -> None:
    site = Site(tmp_path)
    await site.prepare()
    site.sql_away()
    site.break_spool()
    async with site.running() as door:
        token = await door.click()
        site.mend_spool()
    site.sql_back()
    await site.settle()
    assert (await site.row(token)).clicked_at is not None


async def test_after_a_total_outage_and_a_restart_the_token_alone_names_link_and_ad(tmp_path: Path) -> None:
    """Redis, disk and SQL all failing: 302, `token_only`, and then the process dies with its memory."""
    site = Site(tmp_path, ring_size=0)
    await site.prepare()
    async with site.running() as door:
        await door.click("utm_source=FB&utm_campaign=Natal")
    await site.settle()
    site.sql_away()
    shutil.rmtree(site.settings.spools)
    site.break_spool()
    async with site.running() as door:
        token = await door.click("utm_source=FB&utm_campaign=Natal")
        assert await door.metric('trilha_receipts_total{durability="token_only",visible="no"}') == 1
    site.sql_back()
    site.mend_spool()
    async with site.running() as door:
        assert (await door.api.get(f"/v1/clicks/{token}")).status_code == 404
        answer = await door.start(token)
        shown = (await door.api.get(f"/v1/clicks/{token}")).json()
    assert (answer["owner"], answer["click"]) == (True, None)
    assert (shown["known_from"], shown["link"], shown["ad"]["source"], shown["ad"]["campaign"]) == (
        "token",
        SLUG,
        "FB",
        "Natal",
    )
    assert shown["owner"]["telegram_id"] == 7


class _CountedCatalog:
    """The catalog in SQL, counting how often it is asked."""

    def __init__(self, real: SqlCatalog) -> None:
        self.real = real
        self.asked: list[str] = []

    async def version(self) -> int:
        self.asked.append("version")
        return await self.real.version()

    async def load(self) -> Catalog:
        self.asked.append("load")
        return await self.real.load()


async def test_an_edited_link_is_served_after_one_refresh_and_look_ups_never_ask_sql(
    site: Site, tmp_path: Path
) -> None:
    async with site.engine() as engine:
        catalog = SqlCatalog(engine, site.clock)
        source = _CountedCatalog(catalog)
        cache = CatalogCache(source, tmp_path / "copy.json", site.clock)
        await cache.refresh()
        await catalog.edit_link(SLUG, paused=True)
        asked = list(source.asked)
        for _ in range(100):
            link = cache.link(SLUG)
            assert link is not None
            assert link.live
        assert source.asked == asked
        await cache.refresh()
        link = cache.link(SLUG)
    assert link is not None
    assert not link.live


async def test_a_running_daemon_follows_an_edit_without_a_restart(door: Door, site: Site) -> None:
    assert (await door.get()).status == 302
    async with site.engine() as engine:
        await SqlCatalog(engine, site.clock).edit_link(SLUG, paused=True)
    statuses = set()
    for _ in range(50_000):
        statuses.add((await door.get()).status)
        if 410 in statuses:
            break
    assert statuses == {302, 410}
