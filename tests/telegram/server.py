"""The loopback Telegram: accounts and their logs, the listening socket, and what people do."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pyrogram import raw

from tests.telegram import tl
from tests.telegram.account import BotSide, Group, Person
from tests.telegram.connection import Connection
from tests.telegram.faults import Faults
from tests.telegram.keys import ServerKey, server_key
from tests.telegram.listener import Listener
from tests.telegram.methods import Methods
from tests.telegram.sent import Sent
from tests.telegram.wire import AuthKey

HOST = "127.0.0.1"
FIRST_BOT_ID = 7_000_000_001

types = raw.types


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, named as in Telegram's documentation."""

    bot: BotSide | None
    name: str
    at: float


class LoopbackTelegram(Faults):
    """A server for as long as it is entered. What it knows outlives every connection and every client.

    `first_number`: where messages and updates are counted from. A server that comes after another one must count on: to
    a bot, the same number from the same person is the same message.
    """

    key: ServerKey

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        slice_size: int = 100,
        longest_difference: int = 5000,
        first_number: int = 1,
    ) -> None:
        super().__init__(self._disconnect_all, self._log_out_all)
        self.host = HOST
        self.slice_size = slice_size
        self.longest_difference = longest_difference
        self.sent: list[Sent] = []
        self.calls: list[Call] = []
        self.duplicates = 0
        self.methods = Methods(self)
        self._folder = folder
        self._first_number = first_number
        self._bots: list[BotSide] = []
        self._people: dict[int, Person] = {}
        self._keys: dict[bytes, AuthKey] = {}
        self._messages: dict[int, tuple[BotSide, Any]] = {}
        self._message_ids = itertools.count(first_number)
        self._listener = Listener(HOST, port, self._welcome)
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._change = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.key = server_key(self._folder)
        self.accept()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.refuse()
        tasks = list(self._connections)
        self._disconnect_all()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def key_file(self) -> Path:
        """The public key, as PEM."""
        return self.key.public_file

    # ------------------------------------------------------------ accounts

    def add_bot(self, token: str, username: str) -> BotSide:
        """A new bot account. Its id is what its token begins with, as at Telegram."""
        begins = token.partition(":")[0]
        number = int(begins) if begins.isdigit() else FIRST_BOT_ID + len(self._bots)
        bot = BotSide(id=number, username=username, token=token, first=self._first_number)
        self._bots.append(bot)
        return bot

    def person(
        self, number: int, name: str, *, language: str | None = "pt-br", premium: bool = False
    ) -> Person:
        """Somebody. The same number is the same person, with the name that they have now."""
        self._people[number] = Person(id=number, name=name, language=language, premium=premium)
        return self._people[number]

    def bot_of(self, token: str) -> BotSide | None:
        """Whose token it is, or was."""
        return next((bot for bot in self._bots if token == bot.token or token in bot.expired_tokens), None)

    def bot_named(self, username: str) -> BotSide | None:
        """Who has that username now."""
        return next((bot for bot in self._bots if bot.username == username), None)

    # ------------------------------------------------------------ what people do

    async def press_start(self, person: Person, bot: BotSide, text: str) -> int:
        """Any private message of a person to a bot. Returns its id, or 0 if the bot is banned.

        Who has blocked the bot unblocks it by this, as the START button does.
        """
        if person.id in bot.blocked_by:
            await self.unblock(person, bot)
        return self._message(person, bot, types.PeerUser(user_id=person.id), text)

    async def press_in_group(self, person: Person, bot: BotSide, group_id: int, text: str) -> int:
        """A message of a person in a group that the bot is in. Returns its id, or 0 if the bot is banned."""
        bot.groups.setdefault(group_id, Group(id=group_id, title=f"Group {group_id}"))
        return self._message(person, bot, types.PeerChat(chat_id=group_id), text)

    async def edit(self, message_id: int, text: str) -> None:
        """A person's message has another text from now on."""
        bot, message = self._messages[message_id]
        changed = tl.message(
            number=message_id, peer=message.peer_id, sender=message.from_id, text=text, now=message.date
        )
        changed.edit_date = self.now()
        self._messages[message_id] = bot, changed
        self._publish(bot, types.UpdateEditMessage(message=changed, pts=0, pts_count=1))

    async def block(self, person: Person, bot: BotSide) -> None:
        """The person blocks the bot, which is told."""
        bot.blocked_by.add(person.id)
        self._tell_stopped(person, bot, stopped=True)

    async def unblock(self, person: Person, bot: BotSide) -> None:
        """The person thinks better of it."""
        bot.blocked_by.discard(person.id)
        self._tell_stopped(person, bot, stopped=False)

    def _message(self, person: Person, bot: BotSide, peer: Any, text: str) -> int:
        if bot.banned:
            return 0
        bot.people[person.id] = person
        number = self.next_message_id()
        sender = types.PeerUser(user_id=person.id)
        message = tl.message(number=number, peer=peer, sender=sender, text=text, now=self.now())
        self._messages[number] = bot, message
        self._publish(bot, types.UpdateNewMessage(message=message, pts=0, pts_count=1))
        return number

    def _tell_stopped(self, person: Person, bot: BotSide, *, stopped: bool) -> None:
        bot.people[person.id] = person
        update = types.UpdateBotStopped(user_id=person.id, date=self.now(), stopped=stopped, qts=0)
        bot.log_other(update)
        self._push(bot, update)

    def _publish(self, bot: BotSide, update: Any) -> None:
        bot.log(update)
        self._push(bot, update)

    def _push(self, bot: BotSide, update: Any) -> None:
        if not self.pushes_held:
            short = self.short and tl.is_private_message(update)
            form = tl.short_message(update) if short else tl.updates(bot, [update], self.now())
            for connection in self._serving(bot):
                for _ in range(1 + self.repeats):
                    connection.push(form)
        self.changed()

    # ------------------------------------------------------------ what tests look at

    def online(self, bot: BotSide) -> int:
        """How many clients of this bot are connected and get its updates."""
        return len(self._serving(bot))

    async def wait_for(self, holds: Callable[[], Any], seconds: float = 10.0) -> None:
        """Until it holds: looked at whenever something happened at the server. TimeoutError after that many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    await self._change.wait()
        except TimeoutError:
            if not holds():
                raise

    def now(self) -> int:
        """The server's clock, which `advance` puts forward."""
        return int(time.time() + self.clock_offset)

    # ------------------------------------------------------------ for connections

    def changed(self) -> None:
        """Something happened: whoever waits may look again."""
        self._change.set()
        self._change = asyncio.Event()

    def key_of(self, key_id: bytes) -> AuthKey | None:
        """The key that packets name."""
        return self._keys.get(key_id)

    def keep_key(self, secret: bytes) -> None:
        """A client and the server agreed on it."""
        key = AuthKey(secret=secret)
        self._keys[key.id] = key

    def next_message_id(self) -> int:
        """Rising, of all accounts together."""
        return next(self._message_ids)

    def note_call(self, bot: BotSide | None, kind: Any) -> None:
        """A request was understood."""
        name = kind.QUALNAME.removeprefix("functions.")
        self.calls.append(Call(bot=bot, name=name, at=time.monotonic()))

    # ------------------------------------------------------------ connections

    def forget_keys(self) -> None:
        """Connections end, and the keys that clients have are answered -404, as by a server that never knew them."""
        self._keys.clear()
        self._disconnect_all()

    @property
    def port(self) -> int:
        """The same for as long as the server lives."""
        return self._listener.port

    def accept(self) -> None:
        """Listen, on the same port as ever."""
        self._listener.open()

    def refuse(self) -> None:
        """Stop listening: new connections are refused, those that are open stay."""
        self._listener.close()

    def _welcome(self, accepted: socket.socket) -> None:
        connection = Connection(self, accepted)
        task = asyncio.get_running_loop().create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._connections.pop(task)
        self.changed()

    def _serving(self, bot: BotSide) -> list[Connection]:
        return [connection for connection in self._connections.values() if connection.serves(bot)]

    def _disconnect_all(self) -> None:
        for task, connection in list(self._connections.items()):
            connection.close()
            task.cancel()

    def _log_out_all(self, bot: BotSide) -> None:
        for key in self._keys.values():
            if key.bot is bot:
                key.bot = None
