"""Each fault as an unmodified client sees it. Runs on kurigram and, by test_pyrogram2.py, on Pyrogram 2.0.106."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
from pyrogram import errors, raw

from tests.telegram import BotSide, LoopbackTelegram, Person
from tests.telegram.chats import Clients, Listening

A_MOMENT = 0.3


@pytest.fixture
async def here(telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients) -> Listening:
    """A client that has met Ana."""
    listening = await clients.start(bot)
    await telegram.press_start(ana, bot, "/start")
    await listening.next()
    return listening


async def times_out(waiting: Callable[[], object]) -> bool:
    """Whether there is no answer within a moment."""
    try:
        await asyncio.wait_for(waiting(), A_MOMENT)
    except TimeoutError:
        return True
    return False


async def test_flood_is_told_as_often_as_asked(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening
) -> None:
    telegram.flood(bot, 17, times=2)
    for _ in range(2):
        with pytest.raises(errors.FloodWait) as flood:
            await here.app.send_message(42, "olá")
        assert flood.value.value == 17
    await here.app.send_message(42, "olá")
    assert len(telegram.sent) == 1


async def test_a_dropped_client_comes_back_by_itself(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening
) -> None:
    telegram.drop()
    await telegram.wait_for(lambda: telegram.online(bot) == 0)
    await telegram.wait_for(lambda: telegram.online(bot) == 1)
    await telegram.press_start(ana, bot, "still there?")
    assert (await here.next()).text == "still there?"


async def test_a_frozen_server_says_nothing_and_does_nothing(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening
) -> None:
    pts = bot.pts
    telegram.freeze()
    await telegram.press_start(ana, bot, "unheard")
    assert await times_out(lambda: here.app.send_message(42, "olá"))
    assert (telegram.sent, bot.pts, here.heard.empty()) == ([], pts + 1, True)
    telegram.thaw()
    await telegram.press_start(ana, bot, "heard")
    assert (await here.next()).text == "heard"


async def test_a_refusing_server_keeps_those_it_has(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening
) -> None:
    telegram.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((telegram.host, telegram.port)).close()
    assert (await here.app.get_me()).id == bot.id
    telegram.drop()
    await telegram.wait_for(lambda: telegram.online(bot) == 0)
    telegram.accept()
    await telegram.wait_for(lambda: telegram.online(bot) == 1)
    assert (await here.app.get_me()).id == bot.id


async def test_a_bad_salt_is_put_right_without_a_second_message(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening
) -> None:
    salt = here.app.session.salt
    telegram.bad_salt()
    await here.app.send_message(42, "olá")
    assert (len(telegram.sent), telegram.duplicates) == (1, 0)
    assert here.app.session.salt == telegram.salt != salt


async def test_a_migrating_bot_logs_in_at_the_other_data_centre(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    telegram.migrate(bot, 4)
    here = await clients.start(bot)
    assert await here.app.storage.dc_id() == 4
    assert [call.name for call in telegram.calls].count("auth.ImportBotAuthorization") == 2
    await telegram.press_start(ana, bot, "/start abc")
    assert (await here.next()).text == "/start abc"


async def test_a_repeated_update_comes_again(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening
) -> None:
    telegram.repeat_updates(2)
    await telegram.press_start(ana, bot, "thrice")
    telegram.repeat_updates(0)
    await telegram.press_start(ana, bot, "once")
    assert [(await here.next()).text for _ in range(4)] == ["thrice", "thrice", "thrice", "once"]


async def test_a_held_push_is_only_in_the_log(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening
) -> None:
    pts = bot.pts
    telegram.hold_pushes()
    await telegram.press_start(ana, bot, "held")
    telegram.release_pushes()
    await telegram.press_start(ana, bot, "pushed")
    assert (await here.next()).text == "pushed"
    missed = await here.app.invoke(raw.functions.updates.GetDifference(pts=pts, date=0, qts=0))
    assert [message.message for message in missed.new_messages] == ["held", "pushed"]


async def test_a_short_message_is_heard_as_a_whole_one(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening
) -> None:
    telegram.short_messages(True)
    await telegram.press_start(ana, bot, "short")
    message = await here.next()
    assert (message.text, message.from_user.first_name) == ("short", "Ana")
    assert telegram.calls[-1].name == "updates.GetDifference"


async def test_a_lost_answer_is_to_a_message_that_was_sent(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening
) -> None:
    telegram.lose_answers(1)
    assert await times_out(lambda: here.app.send_message(42, "lost"))
    await here.app.send_message(42, "answered")
    assert [sent.text for sent in telegram.sent] == ["lost", "answered"]


async def test_a_banned_bot_can_do_nothing_and_hears_nothing(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening, clients: Clients
) -> None:
    pts = bot.pts
    telegram.ban(bot)
    with pytest.raises(errors.UserDeactivatedBan):
        await here.app.send_message(42, "olá")
    assert await telegram.press_start(ana, bot, "/start") == 0
    assert bot.pts == pts


async def test_a_revoked_token_ends_sessions_and_logins(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening, clients: Clients
) -> None:
    telegram.revoke(bot)
    with pytest.raises(errors.AuthKeyUnregistered):
        await here.app.send_message(42, "olá")
    with pytest.raises(errors.AccessTokenExpired):
        await clients.make(bot, in_memory=True).app.start()
    telegram.reissue(bot, "1:OTHER")
    other = await clients.start(bot, in_memory=True)
    assert other.app.me.id == bot.id


async def test_a_renamed_bot_learns_it_when_it_asks(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening
) -> None:
    telegram.rename(bot, "renamed_bot")
    assert (await here.app.get_me()).username == "renamed_bot"


async def test_an_advanced_clock_dates_messages(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, here: Listening
) -> None:
    await telegram.press_start(ana, bot, "now")
    telegram.advance(600)
    await telegram.press_start(ana, bot, "in ten minutes")
    now, later = await here.next(), await here.next()
    assert (later.date - now.date).total_seconds() >= 600
    assert (await here.app.get_me()).id == bot.id


async def test_a_delayed_answer_is_to_what_was_done_at_once(
    telegram: LoopbackTelegram, bot: BotSide, here: Listening
) -> None:
    telegram.delay(60)
    assert await times_out(lambda: here.app.send_message(42, "late"))
    assert [sent.text for sent in telegram.sent] == ["late"]
    telegram.delay(0)
    assert (await here.app.get_me()).id == bot.id
    telegram.delay(A_MOMENT / 10)
    assert (await here.app.get_me()).id == bot.id
