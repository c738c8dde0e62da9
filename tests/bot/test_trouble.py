"""What Telegram does to a worker, and what the stores do: no start is lost, none is answered twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from backends.sql.links import SqlCatalog
from backends.sql.schema import bot_users, starts
from bot.state_file import StateFile
from domain.accounts import UpdateState
from domain.errors import ConfigError
from tests.bot.office import Office, token, until
from tests.daemon_fixture import BOT, SLUG
from tests.telegram.account import Person
from tests.telegram.server import LoopbackTelegram


async def press(office: Office, people: list[Person], text: str = "/start") -> None:
    for person in people:
        await office.telegram.press_start(person, office.bot, text)


def crowd(telegram: LoopbackTelegram, number: int) -> list[Person]:
    return [telegram.person(1000 + n, f"P{n}") for n in range(number)]


async def answered_once(office: Office, people: list[Person]) -> None:
    """Everybody has one start and one answer."""
    await office.telegram.wait_for(lambda: len(office.telegram.sent) >= len(people), seconds=60)
    await until_all_known(office, len(people))
    assert sorted(sent.chat_id for sent in office.telegram.sent) == sorted(p.id for p in people)


async def until_all_known(office: Office, number: int) -> None:
    async with asyncio.timeout(60):
        while len(await office.site.rows(starts)) < number:
            await asyncio.sleep(0.05)
    assert len(await office.site.rows(starts)) == number


async def test_a_flood_wait_is_obeyed_and_the_answer_comes_late_and_once(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 5)
    async with office.worker():
        telegram.flood(office.bot, 2, times=1)
        await press(office, people[:1])
        await until_all_known(office, 1)
        assert telegram.sent == []
        await press(office, people[1:])
        await answered_once(office, people)


async def test_a_flood_wait_at_the_log_in_is_obeyed(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    telegram.flood_logins(office.bot, 3, times=1)
    async with office.worker():
        await press(office, [ana])
        await answered_once(office, [ana])
    logins = [call for call in telegram.calls if call.name == "auth.ImportBotAuthorization"]
    assert len(logins) == 2
    assert logins[1].at - logins[0].at >= 3


async def test_trouble_of_telegrams_own_makes_an_answer_late_and_not_lost(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 2)
    async with office.worker():
        telegram.trouble(office.bot, times=3)
        await press(office, people)
        await answered_once(office, people)
    assert {start.reply for start in await office.site.rows(starts)} == {"sent"}


async def test_an_answer_whose_receipt_is_lost_is_not_sent_twice(
    office: Office, telegram: LoopbackTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.mtproto.client.CALL_SECONDS", 0.5)
    people = crowd(telegram, 3)
    async with office.worker():
        telegram.lose_answers(2)
        await press(office, people)
        await answered_once(office, people)
        await until(lambda: telegram.duplicates == 2)


async def test_a_connection_that_drops_again_and_again_loses_no_start(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 12)
    async with office.worker():
        for group in (people[:4], people[4:8], people[8:]):
            await press(office, group[:2])
            telegram.drop()
            await press(office, group[2:])
        await answered_once(office, people)


async def test_updates_that_were_never_pushed_are_asked_for(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 6)
    async with office.worker():
        telegram.hold_pushes()
        await press(office, people[:3])
        telegram.release_pushes()
        await press(office, people[3:])
        await answered_once(office, people)


async def test_silence_is_not_believed(office: Office, telegram: LoopbackTelegram) -> None:
    """The server pushes nothing any more, and nothing comes that would show the gap."""
    people = crowd(telegram, 2)
    async with office.worker():
        telegram.hold_pushes()
        await press(office, people)
        await answered_once(office, people)


async def test_a_frozen_telegram_is_left_and_found_again(
    office: Office, telegram: LoopbackTelegram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.mtproto.client.OPEN_SECONDS", 2.0)
    people = crowd(telegram, 4)
    async with office.worker() as worker:
        telegram.freeze()
        await press(office, people)
        await until(lambda: not worker.status()["ready"])
        telegram.thaw()
        await answered_once(office, people)


async def test_a_count_that_is_ahead_of_telegrams_is_given_up_for_telegrams(
    office: Office, telegram: LoopbackTelegram
) -> None:
    folder = office.site.settings.bot_sessions
    folder.mkdir(mode=0o700, parents=True)
    StateFile(folder / f"{BOT.lower()}.state").write(office.bot.id, UpdateState(pts=500, qts=0, date=1))
    people = crowd(telegram, 4)
    async with office.worker():
        await press(office, people[:2])
        telegram.hold_pushes()
        await press(office, people[2:])
        await answered_once(office, people)
    assert [call.name for call in telegram.calls].count("updates.GetDifference") < 10


async def test_a_new_bot_under_an_old_ones_name_begins_with_its_own_session_and_count(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 3)
    async with office.worker():
        await press(office, people)
        await answered_once(office, people)
    telegram.revoke(office.bot)
    office.bot = telegram.add_bot(token(7_000_000_777), BOT)
    await office.give_token(BOT, office.bot)
    async with office.worker():
        await press(office, [telegram.person(5, "E")])
        await telegram.wait_for(lambda: len(telegram.sent) == 4)
    assert telegram.sent[-1].bot is office.bot


async def test_a_session_whose_key_telegram_no_longer_has_is_begun_anew(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 3)
    async with office.worker():
        await press(office, people[:1])
        await answered_once(office, people[:1])
        telegram.forget_keys()
        await press(office, people[1:2])
        await answered_once(office, people[:2])
    telegram.forget_keys()
    async with office.worker():
        await press(office, people[2:])
        await answered_once(office, people)


@pytest.mark.parametrize("trouble", ["short_messages", "bad_salt", "delay"])
async def test_what_a_client_must_cope_with_loses_nothing(
    office: Office, telegram: LoopbackTelegram, trouble: str
) -> None:
    people = crowd(telegram, 4)
    async with office.worker():
        match trouble:
            case "short_messages":
                telegram.short_messages(True)
            case "bad_salt":
                telegram.bad_salt()
            case "delay":
                telegram.delay(0.3)
        await press(office, people)
        await answered_once(office, people)


async def test_a_bot_that_lives_in_another_data_centre_is_followed_there(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    telegram.migrate(office.bot, 4)
    async with office.worker():
        await press(office, [ana])
        await answered_once(office, [ana])


async def test_starts_of_ten_minutes_of_downtime_are_all_handled(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 250)
    async with office.worker():
        await press(office, people[:10])
        await telegram.wait_for(lambda: len(telegram.sent) == 10)
    for group in range(10, 250, 60):
        await press(office, people[group : group + 60])
        telegram.advance(150)
    async with office.worker():
        await answered_once(office, people)


async def test_a_kill_makes_starts_come_again_and_never_go(
    office: Office, telegram: LoopbackTelegram
) -> None:
    people = crowd(telegram, 60)
    worker = await office.process()
    await press(office, people[:30])
    await telegram.wait_for(lambda: len(telegram.sent) >= 10)
    await worker.kill()
    await press(office, people[30:])
    worker = await office.process()
    await answered_once(office, people)
    await worker.stop()


@pytest.mark.parametrize(
    ("fault", "health"), [("ban", "banned"), ("revoke", "revoked"), ("rename", "renamed")]
)
async def test_a_bot_that_no_link_reaches_any_more_is_seen_by_every_daemon(
    office: Office, telegram: LoopbackTelegram, fault: str, health: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.account.ME_EVERY", 1)
    async with office.site.running(), office.worker() as worker:
        await until(lambda: worker.status()["bots"][BOT]["health"] == "ok")
        if fault == "rename":
            telegram.rename(office.bot, "another_name_bot")
        else:
            getattr(telegram, fault)(office.bot)
        await until_health(office, health)
    assert f'trilha_bots{{health="{health}"}} 1.0' in worker.render().decode()


async def until_health(office: Office, health: str) -> None:
    """Every daemon reads it from the catalog."""
    async with office.site.engine() as engine, asyncio.timeout(30):
        while (link := await SqlCatalog(engine, office.site.clock).link(SLUG)).bot.health != health:
            await asyncio.sleep(0.05)
    assert not link.bot.fit


async def test_somebody_who_blocks_the_bot_is_noted_and_a_new_start_takes_it_back(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.worker():
        await press(office, [ana])
        await telegram.wait_for(lambda: len(telegram.sent) == 1)
        telegram.advance(5)
        await telegram.block(ana, office.bot)
        await until_blocked(office, True)
        telegram.advance(5)
        await telegram.unblock(ana, office.bot)
        await until_blocked(office, False)


async def until_blocked(office: Office, blocked: bool) -> None:
    async with asyncio.timeout(20):
        while [bool(row.blocked) for row in await office.site.rows(bot_users)] != [blocked]:
            await asyncio.sleep(0.02)


async def test_somebody_who_blocked_the_bot_meanwhile_is_attributed_all_the_same(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door:
        token = await door.click()
        async with office.worker():
            pass
        await press(office, [ana], f"/start {token}")
        await telegram.block(ana, office.bot)
        async with office.worker() as worker:
            await until(lambda: metric(worker, 'trilha_replies_total{outcome="refused"}') == 1)
    assert (await office.site.row(token)).owner_telegram_id == 42
    (start,) = await office.site.rows(starts)
    assert start.reply == "refused"
    await until_blocked(office, True)


def metric(worker: object, line: str) -> float:
    page = worker.render().decode()
    found = [row.rpartition(" ")[2] for row in page.splitlines() if row.rpartition(" ")[0] == line]
    return float(found[0]) if found else 0.0


async def test_without_sql_people_are_greeted_and_attributed_when_it_is_back(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door:
        token = await door.click()
    async with office.worker():
        pass
    office.site.sql_away()
    async with office.worker():
        await press(office, [ana], f"/start {token}")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)
    office.site.sql_back()
    await office.site.settle()
    assert (await office.site.row(token)).owner_telegram_id == 42
    (start,) = await office.site.rows(starts)
    assert start.kind == "attributed"


async def test_with_neither_sql_nor_spool_people_are_greeted_and_the_start_waits(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.worker():
        pass
    office.site.sql_away()
    office.site.break_spool()
    async with office.worker():
        await press(office, [ana])
        await telegram.wait_for(lambda: len(telegram.sent) == 1)
        office.site.sql_back()
        await until_all_known(office, 1)


async def test_a_second_worker_of_the_same_home_is_refused(office: Office) -> None:
    async with office.worker():
        with pytest.raises(ConfigError, match="in use by another trilha bot"):
            async with office.worker():
                raise AssertionError


async def test_a_second_worker_elsewhere_is_refused_while_the_first_one_lives(
    office: Office, telegram: LoopbackTelegram, tmp_path: Path
) -> None:
    elsewhere = Office.beside(office, tmp_path / "elsewhere")
    async with office.worker():
        with pytest.raises(ConfigError, match="is run by another worker"):
            async with elsewhere.worker():
                raise AssertionError
    async with elsewhere.worker():
        await press(office, [telegram.person(5, "E")])
        await telegram.wait_for(lambda: len(telegram.sent) == 1)
