"""What the loopback Telegram is to an unmodified client. Runs on kurigram and, by test_pyrogram2.py, on Pyrogram 2.0.106."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from pyrogram import enums, errors, raw, types

from tests.telegram import BotSide, Button, LoopbackTelegram, Person
from tests.telegram.chats import Clients
from tests.telegram.keys import server_key

PHOTO = "https://example.com/photo.jpg"


async def test_a_client_logs_in_as_the_bot(
    telegram: LoopbackTelegram, bot: BotSide, clients: Clients
) -> None:
    here = await clients.start(bot)
    assert (here.app.me.id, here.app.me.username, here.app.me.is_bot) == (bot.id, "trilha_bot", True)
    assert [call.name for call in telegram.calls].count("auth.ImportBotAuthorization") == 1


async def test_an_unknown_token_is_refused(
    telegram: LoopbackTelegram, bot: BotSide, clients: Clients
) -> None:
    with pytest.raises(errors.AccessTokenInvalid):
        await clients.make(bot, bot_token="nobody's").app.start()


async def test_a_private_message_arrives_with_everything_about_the_person(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    number = await telegram.press_start(ana, bot, "/start abc")
    message = await here.next()
    assert (message.id, message.text, message.outgoing) == (number, "/start abc", False)
    assert (message.chat.id, message.chat.type) == (42, enums.ChatType.PRIVATE)
    person = message.from_user
    assert (person.id, person.first_name, person.is_bot) == (42, "Ana", False)
    assert (person.language_code, person.is_premium) == ("pt-br", True)


async def test_messages_and_their_pts_rise(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    for number in range(5):
        await telegram.press_start(ana, bot, str(number))
    updates = [await here.next_update(raw.types.UpdateNewMessage) for _ in range(5)]
    assert [update.message.message for update in updates] == ["0", "1", "2", "3", "4"]
    assert [update.pts for update in updates] == [2, 3, 4, 5, 6]
    ids = [update.message.id for update in updates]
    assert ids == sorted(set(ids))


async def test_an_answer_is_kept_as_it_was_sent(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    asked = await telegram.press_start(ana, bot, "/start abc")
    await here.next()
    markup = types.InlineKeyboardMarkup([[types.InlineKeyboardButton("Abrir", url="https://example.com/")]])
    answer = await here.app.send_message(42, "Olá, Ana", reply_to_message_id=asked, reply_markup=markup)
    [sent] = telegram.sent
    assert (sent.bot, sent.chat_id, sent.text, sent.message_id) == (bot, 42, "Olá, Ana", answer.id)
    assert (sent.reply_to, sent.media) == (asked, None)
    assert sent.buttons == ((Button(text="Abrir", url="https://example.com/"),),)


async def test_photos_and_documents_are_sent_by_their_address(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    await telegram.press_start(ana, bot, "/start")
    await here.next()
    photo = await here.app.send_photo(42, PHOTO, caption="foto")
    document = await here.app.send_document(42, "https://example.com/a.pdf", caption="arquivo")
    assert [(sent.text, sent.media, sent.message_id) for sent in telegram.sent] == [
        ("foto", PHOTO, photo.id),
        ("arquivo", "https://example.com/a.pdf", document.id),
    ]


async def test_a_group_is_another_chat_than_the_person(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    await telegram.press_in_group(ana, bot, 77, "/start abc")
    message = await here.next()
    assert (message.chat.id, message.chat.type, message.from_user.id) == (-77, enums.ChatType.GROUP, 42)
    await message.reply("no grupo")
    assert [sent.chat_id for sent in telegram.sent] == [-77]


async def test_an_edited_message_comes_as_one(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    number = await telegram.press_start(ana, bot, "/start abc")
    await here.next()
    await telegram.edit(number, "/start other")
    message = await here.next()
    assert (message.id, message.text, message.edit_date is not None) == (number, "/start other", True)


async def test_blocking_is_told_and_ends_with_the_next_start(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    await telegram.press_start(ana, bot, "/start")
    await here.next()
    await telegram.block(ana, bot)
    told = await here.next_update(raw.types.UpdateBotStopped)
    assert (told.user_id, told.stopped, told.qts) == (42, True, 1)
    with pytest.raises(errors.UserIsBlocked):
        await here.app.send_message(42, "olá?")
    await telegram.press_start(ana, bot, "/start")
    told = await here.next_update(raw.types.UpdateBotStopped)
    assert (told.stopped, told.qts) == (False, 2)
    await here.app.send_message(42, "olá!")
    assert [sent.text for sent in telegram.sent] == ["olá!"]


async def test_two_clients_of_one_bot_both_hear_a_message(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    one, other = await clients.start(bot, name="one"), await clients.start(bot, name="other")
    await telegram.press_start(ana, bot, "/start abc")
    assert [(await here.next()).text for here in (one, other)] == ["/start abc", "/start abc"]


async def test_bots_hear_their_own_messages_only(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    other_bot = telegram.add_bot("2:TOKEN", "other_bot")
    here, there = await clients.start(bot), await clients.start(other_bot)
    await telegram.press_start(ana, bot, "to the one")
    await telegram.press_start(ana, other_bot, "to the other")
    assert [(await here.next()).text, (await there.next()).text] == ["to the one", "to the other"]
    assert await here.nothing_more()
    assert await there.nothing_more()


async def test_a_random_id_is_accepted_once_whichever_client_brings_it(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    one, other = await clients.start(bot, name="one"), await clients.start(bot, name="other")
    await telegram.press_start(ana, bot, "/start")
    peer = raw.types.InputPeerUser(user_id=42, access_hash=ana.access_hash(bot.id))
    request = raw.functions.messages.SendMessage(peer=peer, message="once", random_id=5)
    await one.app.invoke(request)
    again = asyncio.ensure_future(other.app.invoke(request))
    await telegram.wait_for(lambda: telegram.duplicates)
    assert [sent.random_id for sent in telegram.sent] == [5]
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


@pytest.mark.parametrize(("user_id", "access_hash"), [(42, 1), (43, 0)])
async def test_a_bot_cannot_write_to_whom_it_does_not_know(
    user_id: int, access_hash: int, telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    """Neither with a wrong access hash, nor to somebody who never wrote to it."""
    here = await clients.start(bot)
    await telegram.press_start(ana, bot, "/start")
    peer = raw.types.InputPeerUser(user_id=user_id, access_hash=access_hash)
    with pytest.raises(errors.PeerIdInvalid):
        await here.app.invoke(raw.functions.messages.SendMessage(peer=peer, message="olá", random_id=5))
    assert telegram.sent == []


async def test_typing_is_nodded_at(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot)
    await telegram.press_start(ana, bot, "/start")
    await here.next()
    assert await here.app.send_chat_action(42, enums.ChatAction.TYPING)


async def test_a_method_that_is_not_spoken_here_is_an_error_and_no_more(
    telegram: LoopbackTelegram, bot: BotSide, clients: Clients
) -> None:
    here = await clients.start(bot)
    with pytest.raises(errors.BadRequest):
        await here.app.invoke(raw.functions.help.GetNearestDc())
    assert (await here.app.get_me()).id == bot.id


async def test_a_client_started_again_uses_its_key(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    """It does not log in again, and the account goes on where it was."""
    here = await clients.start(bot)
    await telegram.press_start(ana, bot, "before")
    await here.next()
    await here.app.stop()
    await telegram.wait_for(lambda: telegram.online(bot) == 0)
    here = await clients.start(bot)
    await telegram.press_start(ana, bot, "after")
    update = await here.next_update(raw.types.UpdateNewMessage)
    while update.message.message != "after":
        update = await here.next_update(raw.types.UpdateNewMessage)
    assert (update.pts, [call.name for call in telegram.calls].count("auth.ImportBotAuthorization")) == (3, 1)


async def test_a_new_login_goes_on_with_the_account(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    await telegram.press_start(ana, bot, "before")
    here = await clients.start(bot, in_memory=True)
    state = await here.app.invoke(raw.functions.updates.GetState())
    assert state.pts == bot.pts == 2


async def test_logging_out_ends_what_a_client_may_do(
    telegram: LoopbackTelegram, bot: BotSide, clients: Clients
) -> None:
    here = await clients.start(bot)
    await here.app.invoke(raw.functions.auth.LogOut())
    with pytest.raises(errors.AuthKeyUnregistered):
        await here.app.get_me()
    assert telegram.online(bot) == 0


async def test_a_server_started_again_in_its_folder_has_the_same_key(tmp_path: Path) -> None:
    first = server_key(tmp_path)
    assert server_key(tmp_path).fingerprint == first.fingerprint
    assert (tmp_path / "telegram.key").stat().st_mode & 0o077 == 0


async def test_noise_is_no_reason_to_stop(telegram: LoopbackTelegram, bot: BotSide, clients: Clients) -> None:
    """Another protocol, an unknown key and an unknown constructor end one connection at most."""
    for noise in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xef\x0a" + bytes(40),
        b"\xef\x06" + b"\x01" * 24,
        b"\xef\x05" + bytes(20),
    ):
        _, writer = await asyncio.open_connection(telegram.host, telegram.port)
        writer.write(noise)
        writer.write_eof()
        writer.close()
        await writer.wait_closed()
    here = await clients.start(bot)
    assert here.app.me.id == bot.id
