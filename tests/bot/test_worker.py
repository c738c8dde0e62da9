"""The worker, with the real client library against a Telegram on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from backends.sql.schema import bot_users, starts
from tests.bot.office import Office
from tests.telegram.account import Person
from tests.telegram.server import LoopbackTelegram


async def test_a_start_with_a_token_is_attributed_and_answered_once(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door, office.worker():
        token = await door.click("utm_campaign=Verao|120&fbclid=IwAR1")
        await telegram.press_start(ana, office.bot, f"/start {token}")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    (sent,) = telegram.sent
    assert (sent.chat_id, "Ana" in sent.text) == (42, True)
    row = await office.site.row(token)
    assert (row.owner_telegram_id, row.owner_bot_id) == (42, 1)
    (start,) = await office.site.rows(starts)
    assert (start.kind, start.reply) == ("attributed", "sent")
    (person,) = await office.site.rows(bot_users)
    assert person.first_click_id == person.last_click_id == row.id


async def test_a_start_without_a_token_is_direct_and_greeted(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.worker():
        await telegram.press_start(ana, office.bot, "/start")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    (start,) = await office.site.rows(starts)
    assert (start.kind, start.reply) == ("direct", "sent")


@pytest.mark.parametrize("payload", ["GARBAGE", "ref_12345", "None__px_None", "A" * 62, "é ção"])
async def test_a_payload_that_is_no_token_of_ours_is_a_direct_start(
    office: Office, telegram: LoopbackTelegram, ana: Person, payload: str
) -> None:
    async with office.worker():
        await telegram.press_start(ana, office.bot, f"/start {payload}")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    (start,) = await office.site.rows(starts)
    assert (start.kind, start.click_id) == ("direct", None)


async def test_groups_edits_and_other_messages_are_left_alone(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.worker():
        hello = await telegram.press_start(ana, office.bot, "oi, tudo bem?")
        await telegram.press_in_group(ana, office.bot, 900, "/start abc")
        await telegram.edit(hello, "/start")
        await telegram.press_start(ana, office.bot, "/start")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    assert [sent.chat_id for sent in telegram.sent] == [42]
    assert len(await office.site.rows(starts)) == 1


async def test_the_same_update_pushed_again_is_one_start_and_one_answer(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door, office.worker():
        telegram.repeat_updates(3)
        token = await door.click()
        await telegram.press_start(ana, office.bot, f"/start {token}")
        await telegram.press_start(ana, office.bot, "/start")
        await telegram.wait_for(lambda: len(telegram.sent) >= 2)

    assert len(telegram.sent) == 2
    assert sorted(start.kind for start in await office.site.rows(starts)) == ["attributed", "direct"]


async def test_a_returning_person_keeps_the_first_touch_and_moves_the_last(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door, office.worker():
        first, second = await door.click("utm_campaign=a"), await door.click("utm_campaign=b")
        for number, token in enumerate((first, second), 1):
            await telegram.press_start(ana, office.bot, f"/start {token}")
            await telegram.wait_for(lambda number=number: len(telegram.sent) == number)

    (person,) = await office.site.rows(bot_users)
    assert person.first_click_id == office.site.read(first).id
    assert person.last_click_id == office.site.read(second).id
    assert {row.owner_telegram_id for row in await office.site.rows()} == {42}


async def test_a_token_that_another_person_owns_is_greeted_and_stays_theirs(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    bia = telegram.person(43, "Bia")
    async with office.site.running() as door, office.worker():
        token = await door.click()
        for number, person in enumerate((ana, bia), 1):
            await telegram.press_start(person, office.bot, f"/start {token}")
            await telegram.wait_for(lambda number=number: len(telegram.sent) == number)

    assert (await office.site.row(token)).owner_telegram_id == 42
    assert sorted(start.kind for start in await office.site.rows(starts)) == ["attributed", "taken"]


async def test_the_copy_in_redis_goes_once_sql_has_the_click_and_its_owner(
    telegram: LoopbackTelegram, ana: Person, tmp_path: Path, valkey_url: str
) -> None:
    office = await Office.prepared(tmp_path / "home", telegram, redis_url=valkey_url)
    async with office.site.running() as door, office.worker():
        token = await door.click()
        async with Redis.from_url(valkey_url) as redis:
            assert await redis.exists(f"trilha:click:{office.site.read(token).id.hex}")
            await telegram.press_start(ana, office.bot, f"/start {token}")
            await telegram.wait_for(lambda: len(telegram.sent) == 1)
            await until_gone(redis, f"trilha:click:{office.site.read(token).id.hex}")

    assert (await office.site.row(token)).clicked_at is not None


async def until_gone(redis: Redis, key: str) -> None:
    async with asyncio.timeout(10):
        while await redis.exists(key):
            await asyncio.sleep(0.01)
