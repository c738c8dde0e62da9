"""Orders of another process, by the door (door.py): one line of JSON, {"do": NAME, …}, and one line back.

press    {"person", "name", "bot", "text"}: said at once, no reply is waited for; {"message": id}, 0 if the bot is banned
sent     {"sent": [[chat id, message id], …], "duplicates": n}: all that bots have sent, in order
online   {"bot"}: {"online": n}, how many clients of it get updates
migrating {"bot"}: {"dc": where it will be sent at its next login}, null once it was
flood, flood_logins, trouble, migrate           {"bot", …}: the arguments of faults.py
drop, freeze, thaw, bad_salt, hold_pushes, release_pushes, lose_answers, delay, repeat_updates, advance     likewise
refuse, accept                                  new connections are refused, and are welcome again
forget_keys                                     every client has to agree on a new key, and log in
"""

from __future__ import annotations

from typing import Any

from tests.telegram.account import BotSide
from tests.telegram.server import LoopbackTelegram

OF_A_BOT = frozenset({"flood", "flood_logins", "trouble", "migrate"})
OF_ALL = frozenset(
    {
        *("drop", "freeze", "thaw", "bad_salt", "hold_pushes", "release_pushes", "lose_answers", "delay"),
        *("repeat_updates", "advance", "refuse", "accept", "forget_keys"),
    }
)


class Control:
    """The orders of one server."""

    def __init__(self, telegram: LoopbackTelegram) -> None:
        self._telegram = telegram

    async def answer(self, said: dict[str, Any]) -> dict[str, Any]:
        """What is asked for, or nothing. ValueError or TypeError for what cannot be understood."""
        match said.pop("do"):
            case "press":
                return {"message": await self._press(**said)}
            case "sent":
                sent = [[each.chat_id, each.message_id] for each in self._telegram.sent]
                return {"sent": sent, "duplicates": self._telegram.duplicates}
            case "online":
                return {"online": self._telegram.online(self._bot(said["bot"]))}
            case "migrating":
                return {"dc": self._bot(said["bot"]).migrate_to}
            case order if order in OF_A_BOT:
                getattr(self._telegram, order)(self._bot(said.pop("bot", "")), **said)
            case order if order in OF_ALL:
                getattr(self._telegram, order)(**said)
            case order:
                raise ValueError(f"there is no order {order}")
        return {}

    async def _press(self, *, person: int, name: str, bot: str, text: str) -> int:
        return await self._telegram.press_start(self._telegram.person(person, name), self._bot(bot), text)

    def _bot(self, username: str) -> BotSide:
        bot = self._telegram.bot_named(username)
        if bot is None:
            raise ValueError(f"no bot is named {username}")
        return bot
