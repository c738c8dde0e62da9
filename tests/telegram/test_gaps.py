"""What was missed, asked for with getDifference, on kurigram: Pyrogram 2.0.106 never asks by itself."""

from __future__ import annotations

import pytest
from pyrogram import raw

from tests.telegram import BotSide, LoopbackTelegram, Person
from tests.telegram.chats import Clients, Listening


async def downtime(telegram: LoopbackTelegram, bot: BotSide, clients: Clients) -> None:
    """A client ran, with a session file, and stopped."""
    here = await clients.start(bot, skip_updates=False)
    await here.app.stop()
    await telegram.wait_for(lambda: telegram.online(bot) == 0)


async def heard(here: Listening, number: int) -> list[str]:
    return [(await here.next()).text for _ in range(number)]


@pytest.mark.parametrize("number", [1, 100, 250])
async def test_messages_of_a_downtime_are_heard_once_each_and_in_order(
    number: int, telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    await downtime(telegram, bot, clients)
    texts = [f"/start {which}" for which in range(number)]
    for text in texts:
        await telegram.press_start(ana, bot, text)
    here = await clients.start(bot, skip_updates=False, workers=1)
    assert await heard(here, number) == texts
    assert await here.nothing_more()
    asked = [call.name for call in telegram.calls].count("updates.GetDifference")
    assert asked == 1 + -(-number // telegram.slice_size)


async def test_blocks_and_edits_of_a_downtime_are_heard_too(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    await downtime(telegram, bot, clients)
    number = await telegram.press_start(ana, bot, "/start")
    await telegram.edit(number, "/start edited")
    await telegram.block(ana, bot)
    here = await clients.start(bot, skip_updates=False, workers=1)
    assert await heard(here, 2) == ["/start", "/start edited"]
    assert (await here.next_update(raw.types.UpdateBotStopped)).stopped is True


async def test_what_is_too_long_ago_is_lost(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    await downtime(telegram, bot, clients)
    telegram.longest_difference = 3
    for which in range(4):
        await telegram.press_start(ana, bot, str(which))
    here = await clients.start(bot, skip_updates=False)
    assert await here.nothing_more()
    await telegram.press_start(ana, bot, "new")
    assert await heard(here, 1) == ["new"]


async def test_a_gap_is_closed_when_the_client_asks(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    here = await clients.start(bot, skip_updates=False)
    telegram.hold_pushes()
    await telegram.press_start(ana, bot, "held")
    telegram.release_pushes()
    assert await here.nothing_more()
    await here.app.recover_gaps()
    assert await heard(here, 1) == ["held"]


async def test_a_downtime_shows_in_the_dates(
    telegram: LoopbackTelegram, bot: BotSide, ana: Person, clients: Clients
) -> None:
    """Messages keep the time at which they were sent, however late they are heard."""
    await downtime(telegram, bot, clients)
    await telegram.press_start(ana, bot, "first")
    telegram.advance(600)
    await telegram.press_start(ana, bot, "second")
    here = await clients.start(bot, skip_updates=False, workers=1)
    first, second = await here.next(), await here.next()
    assert (second.date - first.date).total_seconds() >= 600
