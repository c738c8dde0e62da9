"""The worker, with the real client library against a Telegram on this machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from redis.asyncio import Redis

from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.links import SqlCatalog
from backends.sql.schema import bot_users, starts
from domain.links import Button, Greeting
from tests.bot.office import Office, token, until
from tests.daemon_fixture import BOT, OTHER_BOT, SLUG
from tests.telegram.account import Person
from tests.telegram.server import LoopbackTelegram


async def test_a_start_with_a_token_is_attributed_and_answered_once(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door, office.worker():
        clicked = await door.click("utm_campaign=Verao|120&fbclid=IwAR1")
        await telegram.press_start(ana, office.bot, f"/start {clicked}")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    (sent,) = telegram.sent
    assert (sent.chat_id, "Ana" in sent.text) == (42, True)
    row = await office.site.row(clicked)
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
        clicked = await door.click()
        await telegram.press_start(ana, office.bot, f"/start {clicked}")
        await telegram.press_start(ana, office.bot, "/start")
        await telegram.wait_for(lambda: len(telegram.sent) >= 2)

    assert len(telegram.sent) == 2
    assert sorted(start.kind for start in await office.site.rows(starts)) == ["attributed", "direct"]


async def test_a_returning_person_keeps_the_first_touch_and_moves_the_last(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door, office.worker():
        first, second = await door.click("utm_campaign=a"), await door.click("utm_campaign=b")
        for number, clicked in enumerate((first, second), 1):
            await telegram.press_start(ana, office.bot, f"/start {clicked}")
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
        clicked = await door.click()
        for number, person in enumerate((ana, bia), 1):
            await telegram.press_start(person, office.bot, f"/start {clicked}")
            await telegram.wait_for(lambda number=number: len(telegram.sent) == number)

    assert (await office.site.row(clicked)).owner_telegram_id == 42
    assert sorted(start.kind for start in await office.site.rows(starts)) == ["attributed", "taken"]


async def test_the_copy_in_redis_goes_once_sql_has_the_click_and_its_owner(
    telegram: LoopbackTelegram, ana: Person, tmp_path: Path, valkey_url: str
) -> None:
    office = await Office.prepared(tmp_path / "home", telegram, redis_url=valkey_url)
    async with office.site.running() as door, office.worker():
        clicked = await door.click()
        async with Redis.from_url(valkey_url) as redis:
            assert await redis.exists(f"trilha:click:{office.site.read(clicked).id.hex}")
            await telegram.press_start(ana, office.bot, f"/start {clicked}")
            await telegram.wait_for(lambda: len(telegram.sent) == 1)
            await until_gone(redis, f"trilha:click:{office.site.read(clicked).id.hex}")

    assert (await office.site.row(clicked)).clicked_at is not None


async def test_one_worker_is_several_bots_and_takes_up_those_that_get_a_token_later(
    office: Office, telegram: LoopbackTelegram, ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person of two bots is two people, and nobody is answered by the other bot."""
    monkeypatch.setattr("bot.main.ROSTER_SECONDS", 0.2)
    other = telegram.add_bot(token(7_000_000_002), OTHER_BOT)
    async with office.site.running() as door, office.worker() as worker:
        await office.give_token(OTHER_BOT, other)
        await until(lambda: len(worker.status()["bots"]) == 2 and worker.status()["ready"])
        for side in (office.bot, other):
            await telegram.press_start(ana, side, f"/start {await door.click()}")
        await telegram.wait_for(lambda: len(telegram.sent) == 2)

    assert {sent.bot.username for sent in telegram.sent} == {BOT, OTHER_BOT}
    assert {row.owner_bot_id for row in await office.site.rows()} == {1, 2}
    assert len(await office.site.rows(bot_users)) == 2


async def test_a_bot_whose_token_is_forgotten_is_left(
    office: Office, telegram: LoopbackTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.main.ROSTER_SECONDS", 0.2)
    async with office.worker() as worker:
        async with office.site.engine() as engine:
            await SqlBotAccounts(engine).put_token(1, None, None)
        await until(lambda: worker.status()["bots"] == {})
        assert telegram.online(office.bot) == 0


async def test_a_person_gets_the_greeting_of_the_link_in_their_language(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    bob = telegram.person(43, "Bob", language="en")
    button = Button(text="Loja", url="https://loja.example/p")
    async with office.site.engine() as engine:
        catalog = SqlCatalog(engine, office.site.clock)
        for greeting in (
            Greeting(language="pt", text="Oi {name}, de {campaign}!", buttons=(button,)),
            Greeting(language="en", text="Hi {name}!", photo_url="https://loja.example/p.jpg"),
        ):
            await catalog.put_greeting(SLUG, greeting)
    async with office.site.running() as door, office.worker():
        for person in (ana, bob):
            clicked = await door.click("utm_campaign=Ver%C3%A3o%7C120")
            await telegram.press_start(person, office.bot, f"/start {clicked}")
        await telegram.wait_for(lambda: len(telegram.sent) == 2)

    of = {sent.chat_id: sent for sent in telegram.sent}
    assert of[42].text == "Oi Ana, de Verão!"
    assert [[(b.text, b.url) for b in row] for row in of[42].buttons] == [[("Loja", button.url)]]
    assert (of[43].text, of[43].media) == ("Hi Bob!", "https://loja.example/p.jpg")


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has_and_the_rest_comes_again(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = [telegram.person(1000 + n, f"P{n}") for n in range(40)]
    worker = await office.process()
    for person in people[:25]:
        await telegram.press_start(person, office.bot, "/start")
    log = await worker.stop()
    for person in people[25:]:
        await telegram.press_start(person, office.bot, "/start")
    worker = await office.process()
    await telegram.wait_for(lambda: len(telegram.sent) >= 40, seconds=30)
    log += await worker.stop()

    assert sorted(sent.chat_id for sent in telegram.sent) == [person.id for person in people]
    assert len(await office.site.rows(starts)) == 40
    assert telegram.duplicates == 0
    assert "Traceback" not in log


async def test_nothing_about_people_is_left_in_the_files_or_the_log_of_the_worker(
    office: Office, telegram: LoopbackTelegram
) -> None:
    """The client library by itself would fill its session file with them."""
    zilda = telegram.person(5_550_001_234, "Zildamara", language="pt-br")
    async with office.site.running() as door:
        clicked = await door.click("fbclid=IwARsecret123")
        worker = await office.process()
        await telegram.press_start(zilda, office.bot, f"/start {clicked}")
        await telegram.press_start(zilda, office.bot, "minha senha é hunter2")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)
        log = await worker.stop()

    files = [path.read_bytes() for path in office.site.settings.bot_sessions.iterdir()]
    assert len(files) >= 3
    for secret in ("Zildamara", "5550001234", "hunter2", clicked, office.bot.token):
        assert secret not in log
        assert not any(secret.encode() in file for file in files), secret
    number = (5_550_001_234).to_bytes(5, "big")
    assert not any(number in file for file in files), "SQLite stores a number as its bytes"


async def until_gone(redis: Redis, key: str) -> None:
    async with asyncio.timeout(10):
        while await redis.exists(key):
            await asyncio.sleep(0.01)
