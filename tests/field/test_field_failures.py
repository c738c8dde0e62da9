"""Failures that tracking systems like this one have had in the field. Each test is named for one, and guards against it."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backends.build import open_all_spools
from backends.codec import decode_click
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.schema import bot_users, clicks, outbox, starts
from backends.sql.tables import metadata
from bot.associate import StartRequest
from chaos.servers import ValkeyServer, free_port
from domain.attribution import Start
from domain.books import BookEntry
from domain.click import Click
from domain.clock import ManualClock, SystemClock, iso
from domain.errors import ConfigError
from domain.ids import ClickIds, uuid7_ms
from privacy.keyring import Keyring
from tests.daemon_fixture import BOT, OTHER_BOT, SLUG, Door, Site, user_agents
from tests.making import person_key

FBCLID = "IwZXh0bgNhZW0BMABhZGlkAasVQ" + "k3xZ_-9" * 20 + "_aem_7QGhicD3IfitnAZIYLLFEx"


async def test_f01_a_start_with_its_payload_is_understood_and_attributed(door: Door) -> None:
    """A command compared as a whole text would ignore every start that carries a token."""
    token = await door.click()
    asked = StartRequest.from_text(f"/start {token}", bot=BOT, telegram_id=7, update_id=1)
    assert asked is not None
    assert (await door.start(asked.token, asked.telegram_id, update_id=1))["owner"] is True


async def test_f02_long_fbclids_that_begin_alike_stay_two_clicks_with_a_token_telegram_takes(
    door: Door, site: Site
) -> None:
    """The deep link carries a token of fixed length, and no part of a fbclid is anybody's key."""
    tokens = [await door.click(f"fbclid={FBCLID}{end}") for end in "xy"]
    await site.settle()
    rows = [await site.row(token) for token in tokens]
    assert all(len(token) <= 64 for token in tokens)
    assert rows[0].fbclid_key != rows[1].fbclid_key
    assert [site.opened(row).fbclid for row in rows] == [FBCLID + "x", FBCLID + "y"]


def test_f03_no_token_holds_a_character_that_telegram_refuses(tmp_path: Path) -> None:
    """Base64 padding or `+` and `/` would make the payload illegal."""
    site = Site(tmp_path)
    asyncio.run(site.prepare())
    minter = site.minter()
    for number in range(2000):
        token = minter.mint(ClickIds().new(number), number % 0xFFFFFF, number.to_bytes(8, "big")).text
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", token)


async def test_f04_a_click_without_fbclid_is_stored_and_attributed_like_any_other(
    door: Door, site: Site
) -> None:
    """Ads lead here without Meta's click id too; their people are leads all the same."""
    token = await door.click("utm_source=tiktok")
    assert (await door.start(token))["click"]["utm"] == {"utm_source": "tiktok"}
    await site.settle()
    assert (await site.row(token)).owner_telegram_id == 7


async def test_f05_a_click_outlives_its_short_life_in_redis_and_any_number_of_readings(
    tmp_path: Path, valkey: ValkeyServer, valkey_url: str
) -> None:
    """People start hours after the click: Redis forgetting it, or somebody reading it, loses nothing."""
    site = Site(tmp_path, redis_url=valkey_url)
    await site.prepare()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        await site.settle()
        valkey.flush()
        seen = [(await door.api.get(f"/v1/clicks/{token}")).json()["utm"] for _ in range(3)]
        answer = await door.start(token)
    assert seen == [{"utm_source": "FB"}] * 3
    assert (answer["owner"], answer["click"]["utm"]) == (True, {"utm_source": "FB"})


@pytest.mark.parametrize("days", [1, 27])
async def test_f05_a_start_days_after_its_click_is_attributed_and_becomes_the_last_touch(
    tmp_path: Path, valkey: ValkeyServer, valkey_url: str, days: int
) -> None:
    """People press START when they find the chat again; the copy in Redis is long gone by then."""
    site = Site(tmp_path, redis_url=valkey_url, clock=(clock := ManualClock(now_ms=SystemClock().now_ms())))
    await site.prepare()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        clicked_at = clock.now_ms()
        await site.settle()
        valkey.flush()
        clock.advance(days * 86_400)
        answer = await door.start(token)
    assert (answer["owner"], answer["click"]["utm"]) == (True, {"utm_source": "FB"})
    [known] = await site.rows(bot_users)
    assert (known.last_click_id, known.last_click_at) == (site.read(token).id, clicked_at + days * 86_400_000)


async def test_f06_a_returning_persons_new_click_is_their_last_touch_and_the_first_stays(
    door: Door, site: Site
) -> None:
    """Not only new people are associated; coming back without an ad takes nothing away."""
    first, second = await door.click(), await door.click()
    for update_id, token in enumerate((first, second, None)):
        await door.start(token, update_id=update_id)
    [known] = await site.rows(bot_users)
    assert (known.first_click_id, known.last_click_id) == (site.read(first).id, site.read(second).id)
    assert [start.kind for start in await site.rows(starts)].count("attributed") == 2
    assert known.last_started_at == max(start.started_at for start in await site.rows(starts))


async def test_f06_somebody_known_who_clicks_again_owns_the_new_click_too(door: Door, site: Site) -> None:
    """A returning person's new click belongs to them as the first one does."""
    tokens = [await door.click() for _ in range(3)]
    assert [(await door.start(token))["owner"] for token in tokens] == [True] * 3
    await site.settle()
    assert [row.owner_telegram_id for row in await site.rows()] == [7] * 3


async def test_f07_an_empty_later_start_leaves_the_good_token_of_a_person_as_it_is(
    door: Door, site: Site
) -> None:
    """What is known of a click is set once; a start without a token is another start, not a correction."""
    token = await door.click("utm_source=FB")
    await door.start(token)
    await site.settle()
    before = await site.row(token)
    await door.start("")
    await door.start(None)
    await door.start(token)
    assert await site.row(token) == before
    assert len(await site.rows(outbox)) == 1


async def test_f08_a_click_that_was_never_stored_blocks_neither_the_redirect_nor_the_start(
    tmp_path: Path,
) -> None:
    """With every store broken the visitor is redirected; with the click lost the start is still the person's."""
    site = Site(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0", ring_size=0)
    await site.prepare()
    site.sql_away()
    site.break_spool()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
    site.sql_back()
    site.mend_spool()
    async with site.running() as door:
        answer = await door.start(token)
    assert (answer["owner"], answer["click"]) == (True, None)
    assert site.read(token).link_id == (await site.row(token)).link_id == 1


async def test_f09_opening_the_bot_without_an_ad_is_reported_as_direct(door: Door, site: Site) -> None:
    """Nobody's click is missing then, and it must not look as if one were."""
    answer = await door.start(None)
    assert (answer["direct"], answer["click"], answer["state"]) == (True, None, "settled")
    assert [row.kind for row in await site.rows(starts)] == ["direct"]


async def test_f10_a_deep_link_never_holds_the_word_for_nothing(door: Door) -> None:
    """Whatever is missing from a visit, the start parameter is a token."""
    for target in (
        f"/go/{SLUG}",
        f"/go/{SLUG}?",
        f"/go/{SLUG}?fbclid=&utm_source",
        f"/go/{SLUG}?fbclid=None",
    ):
        answer = await door.raw(f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert re.fullmatch(rf"https://t\.me/{BOT}\?start=[A-Za-z0-9_-]{{62}}", answer.location)
        assert "None" not in answer.location


@pytest.mark.parametrize("bridge", [False, True])
async def test_f10_no_bot_of_a_pool_and_no_bridge_page_gets_the_word_for_nothing(
    site: Site, bridge: bool
) -> None:
    """Whichever bot is chosen, fit or not, every start parameter of the answer is a token."""
    async with site.engine() as engine:
        catalog = SqlCatalog(engine, site.clock)
        await catalog.put_member(SLUG, OTHER_BOT)
        await catalog.edit_link(SLUG, strategy="round_robin", bridge=bridge)
    for health in ("unknown", "banned"):
        await site.execute(f"UPDATE bots SET health = '{health}'")
        await site.execute("UPDATE catalog SET version = version + 1")
        async with site.running() as door:
            for target in (
                f"/go/{SLUG}",
                f"/go/{SLUG}?fbclid=&utm_source",
                f"/go/{SLUG}?start=None&fbclid=None",
            ):
                answer = await door.get(target)
                found = re.findall(rb'start=([^"&\r\n]*)', answer.raw)
                assert len(found) == (2 if bridge else 1)
                assert len(set(found)) == 1
                assert site.read(found[0].decode()).link_id == 1
                assert b"None" not in answer.raw


async def test_f11_a_later_copy_with_less_in_it_takes_nothing_away(door: Door, site: Site) -> None:
    """A fact that is there is never overwritten, least of all with nothing."""
    token = await door.click(f"utm_source=FB&fbclid={FBCLID}", {"Referer": "https://l.facebook.com/"})
    await door.start(token)
    await site.settle()
    before, ref = await site.row(token), site.read(token)
    poorer = Click(id=ref.id, link_id=ref.link_id, node=ref.node, ad_key=ref.ad_key)
    async with site.engine() as engine:
        await SqlLedger(engine, person_key).settle([poorer, poorer], [], [])
        await SqlLedger(engine, person_key).put(poorer)
    assert await site.row(token) == before


async def test_f12_saving_a_click_does_not_wait_for_another_system_to_succeed(tmp_path: Path) -> None:
    """Redis refusing and SQL being away do not keep the click out of the spool."""
    site = Site(tmp_path, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    await site.prepare()
    site.sql_away()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        kept = (await door.api.get(f"/v1/clicks/{token}")).json()
    assert (kept["durability"], kept["settled"]) == ("synced", False)
    site.sql_back()
    await site.settle()
    assert (await site.row(token)).params == {"utm_source": "FB"}


async def test_f13_a_field_has_one_name_and_one_value_wherever_the_click_is_read(
    tmp_path: Path, valkey_url: str
) -> None:
    """From Redis, from the spool and from SQL the same object comes back; what settling adds is null before."""
    added = {"geo", "agent", "class", "evidence", "tentative", "scores"}
    site = Site(tmp_path, redis_url=valkey_url)
    await site.prepare()
    async with site.running() as door:
        token = await door.click(
            f"utm_source=FB&src=x&fbclid={FBCLID}", {"Referer": "https://l.facebook.com/"}
        )
        waiting = (await door.api.get(f"/v1/clicks/{token}")).json()
        started = (await door.start(token))["click"]
        await site.settle()
        settled = (await door.api.get(f"/v1/clicks/{token}")).json()
    same = set(waiting) - {"settled", "owner", "visible", "durability"} - added
    assert {name: waiting[name] for name in same} == {name: settled[name] for name in same}
    assert started == {name: waiting[name] for name in started}
    assert added <= started.keys() & settled.keys()


async def test_f14_under_one_kind_of_key_lies_one_kind_of_record(
    tmp_path: Path, valkey: ValkeyServer, valkey_url: str
) -> None:
    """Whoever wrote it: what lies under a click's key is a click, and a start lies under a start's."""
    site = Site(tmp_path, redis_url=valkey_url)
    await site.prepare()
    site.sql_away()
    async with site.running() as door:
        token = await door.click("utm_source=FB")
        await door.start(token)
        await door.start(None)
    kinds = {"c": {Click, BookEntry}, "s": {Start}, "r": {BookEntry}}
    seen = set()
    for spool in open_all_spools(site.settings):
        for entry in spool.entries():
            assert {type(record) for record in entry.found.records} <= kinds[entry.key[0]]
            seen.add(entry.key[0])
        spool.close()
    assert seen == set(kinds)
    from redis.asyncio import Redis

    redis = Redis.from_url(valkey_url)
    values = [await redis.get(key) for key in await redis.keys("trilha:click:*")]
    await redis.aclose()
    assert [decode_click(value).id for value in values] == [site.read(token).id]


async def test_f15_names_as_long_as_advertisers_make_them_are_taken_by_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    """No column is too narrow for a value that a click may hold."""
    site = Site(tmp_path, sql_url=postgres_url)
    await site.prepare()
    query = "&".join(
        f"utm_{name}={'Campanha|1202' * 100}" for name in ("source", "campaign", "medium", "content", "term")
    )
    headers = {
        "User-Agent": "x" * 3000,
        "Referer": "https://" + "h" * 3000,
        "Accept-Language": "pt" * 500,
        "Purpose": "prefetch" * 50,
        "Cookie": "_fbp=" + "f" * 2000,
    }
    async with site.running() as door:
        token = await door.click(f"{query}&fbclid={'f' * 3000}", headers)
        await door.start(token, 2**52 - 1)
        await site.settle()
    row = await site.row(token)
    assert {len(value) for value in row.params.values()} == {500}
    assert (len(site.opened(row).fbclid), row.owner_telegram_id) == (512, 2**52 - 1)


async def test_f16_a_locked_database_delays_no_redirect_and_loses_no_click(door: Door, site: Site) -> None:
    """Clicking touches no row that another may have locked."""
    async with site.engine() as engine, engine.connect() as connection:
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
        tokens = [await door.click(f"src={number}") for number in range(20)]
        answer = await door.start(tokens[0])
        await connection.rollback()
    assert (answer["owner"], answer["state"]) == (False, "deferred")
    await site.settle()
    assert sorted(int(row.params["src"]) for row in await site.rows()) == list(range(20))
    assert (await site.row(tokens[0])).owner_telegram_id == 7


async def test_f17_missing_tables_break_neither_redirect_nor_start_and_all_settles_after_migration(
    door: Door, site: Site
) -> None:
    """A statement that failed leaves nothing behind that fails the next one."""
    for table in reversed(metadata.sorted_tables):
        await site.execute(f"DROP TABLE {table.name}")
    tokens = [await door.click(f"src={number}") for number in range(10)]
    answers = [await door.start(token, 7) for token in tokens]
    assert {answer["state"] for answer in answers} == {"deferred"}
    await site.migrate()
    await site.settle()
    rows = await site.rows()
    assert {(row.params["src"], row.owner_telegram_id) for row in rows} == {(str(n), 7) for n in range(10)}


async def test_f18_crawlers_take_the_same_way_through_the_code_as_people(door: Door, site: Site) -> None:
    """There is no branch for crawlers that only crawlers could break."""
    for kind, agent in user_agents():
        answer = await door.get(headers={"User-Agent": agent})
        assert answer.status == 302, kind
    await site.settle()
    assert len(await site.rows()) == len(user_agents())


async def test_f19_one_telegram_id_in_two_bots_is_two_people_and_a_slug_is_one_link(
    door: Door, site: Site
) -> None:
    """Nothing of one bot's person is given to the other bot's, and no slug leads to two places."""
    token = await door.click("utm_source=FB")
    assert (await door.start(token, 7, bot=BOT))["owner"] is True
    other = await door.start(token, 7, bot=OTHER_BOT)
    assert (other["owner"], other["click"]) == (False, None)
    async with site.engine() as engine:
        with pytest.raises(ConfigError, match="taken"):
            await SqlCatalog(engine, site.clock).add_link(SLUG, bot=OTHER_BOT)
    assert len({row.bot_id for row in await site.rows(starts)}) == 2


def test_f44_a_key_without_its_padding_is_the_same_key_and_a_shortened_one_is_refused(tmp_path: Path) -> None:
    """A key that lost its end must never be taken for another key."""
    path, clock = tmp_path / "keyring.json", SystemClock()
    before = Keyring.create(path, clock).mac_key()
    stored = json.loads(path.read_text())
    stored["mac"]["keys"]["0"] = stored["mac"]["keys"]["0"].rstrip("=")
    path.write_text(json.dumps(stored))
    assert Keyring(path, clock).mac_key() == before
    stored["mac"]["keys"]["0"] = base64.b64encode(before[1][:-1]).decode()
    path.write_text(json.dumps(stored))
    with pytest.raises(ConfigError, match="damaged"):
        Keyring(path, clock)


class Standing(SystemClock):
    """A clock that stands at one instant: late evening in São Paulo, the next day in UTC."""

    def now_ms(self) -> int:
        return 1_772_332_200_123


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_f47_times_are_kept_and_shown_in_utc_wherever_the_machine_stands(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The instant of the click is one instant in the token, in SQL and in every answer."""
    url = request.getfixturevalue("postgres_url") if engine == "postgres" else None
    monkeypatch.setenv("TZ", "America/Sao_Paulo")
    time.tzset()
    try:
        site = Site(tmp_path, sql_url=url, clock=Standing())
        await site.prepare()
        async with site.running() as door:
            token = await door.click()
            await door.start(token)
            await site.settle()
            shown = (await door.api.get(f"/v1/clicks/{token}")).json()
        row = await site.row(token)
    finally:
        monkeypatch.undo()
        time.tzset()
    instant = datetime(2026, 3, 1, 2, 30, 0, 123_000, tzinfo=UTC)
    assert shown["clicked_at"] == shown["owner"]["started_at"] == "2026-03-01T02:30:00.123Z"
    assert row.clicked_at == row.started_at == uuid7_ms(row.id) == round(instant.timestamp() * 1000)
    assert iso(row.clicked_at) == shown["clicked_at"]


async def test_f52_nobody_without_a_key_can_read_mark_or_overwrite_anything(door: Door, site: Site) -> None:
    """Every path that reads or changes a click asks for the key first; the public door has none of them."""
    token = await door.click("utm_source=FB")
    await site.settle()
    before = await site.rows(clicks)
    body = {"bot": BOT, "telegram_id": 666, "token": token, "ip": "1.2.3.4"}
    for headers in ({"authorization": ""}, {"authorization": "Bearer guess"}):
        assert (await door.api.post("/v1/starts", json=body, headers=headers)).status_code == 401
        assert (await door.api.get(f"/v1/clicks/{token}", headers=headers)).status_code == 401
    assert (await door.get("/v1/starts")).status == 404
    assert (await door.get(f"/v1/clicks/{token}")).status == 404
    assert await site.rows(clicks) == before
    assert await site.rows(starts) == []
