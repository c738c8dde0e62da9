"""A client that writes down what it hears, for tests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from pyrogram import Client, handlers, raw

from tests.telegram.account import BotSide
from tests.telegram.clients import client
from tests.telegram.server import LoopbackTelegram

PATIENCE = 20


class Listening:
    """One client of a bot, with everything that its handlers were handed."""

    def __init__(self, app: Client) -> None:
        self.app = app
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.updates: asyncio.Queue[Any] = asyncio.Queue()
        app.add_handler(handlers.MessageHandler(self._message), 0)
        app.add_handler(handlers.EditedMessageHandler(self._message), 0)
        app.add_handler(handlers.RawUpdateHandler(self._update), 1)

    async def next(self) -> Any:
        """The next message of a person."""
        return await asyncio.wait_for(self.heard.get(), PATIENCE)

    async def next_update(self, kind: type) -> Any:
        """The next raw update of that kind."""
        while True:
            update = await asyncio.wait_for(self.updates.get(), PATIENCE)
            if isinstance(update, kind):
                return update

    async def nothing_more(self) -> bool:
        """Whether everything that the server said so far was heard: a full round trip after it brings nothing."""
        await self.app.invoke(raw.functions.updates.GetState())
        return self.heard.empty()

    async def _message(self, _: Client, message: Any) -> None:
        if not message.outgoing:
            self.heard.put_nowait(message)

    async def _update(self, _: Client, update: Any, *__: Any) -> None:
        self.updates.put_nowait(update)


class Clients:
    """Starts clients against one server."""

    def __init__(self, telegram: LoopbackTelegram, folder: Path) -> None:
        self._telegram = telegram
        self._folder = folder
        self._made: list[Client] = []

    def make(self, bot: BotSide, **options: Any) -> Listening:
        """A client that was not started."""
        listening = Listening(client(self._telegram, bot, self._folder, **options))
        self._made.append(listening.app)
        return listening

    async def start(self, bot: BotSide, **options: Any) -> Listening:
        """A client that is logged in and gets updates."""
        before = self._telegram.online(bot)
        listening = self.make(bot, **options)
        await listening.app.start()
        await self._telegram.wait_for(lambda: self._telegram.online(bot) > before)
        return listening

    async def stop(self) -> None:
        """Every client that still runs."""
        for app in self._made:
            if app.is_initialized:
                await app.stop()
