"""A loopback Telegram: an MTProto server that unmodified clients log into, for tests, drills and the demo.

    async with LoopbackTelegram(folder) as telegram:
        bot = telegram.add_bot("123:TOKEN", "trilha_bot")
        ana = telegram.person(42, "Ana")
        await telegram.press_start(ana, bot, "/start abc")
        await telegram.wait_for(lambda: telegram.sent, seconds=5)

It speaks the layer of the client library that it is imported with, so both ends must run on the same one.
"""

import tests.telegram.library  # noqa: F401 - first: it imports the client library as it wants to be imported
from tests.telegram.account import BotSide, Person
from tests.telegram.sent import Button, Sent
from tests.telegram.server import LoopbackTelegram

__all__ = ["BotSide", "Button", "LoopbackTelegram", "Person", "Sent"]
