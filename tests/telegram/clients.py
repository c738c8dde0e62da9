"""Unmodified clients against the server, for its own tests: kurigram and Pyrogram 2.0.106."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pyrogram
from pyrogram import Client
from pyrogram.crypto import rsa

from tests.telegram.account import BotSide
from tests.telegram.keys import fingerprint, read_public
from tests.telegram.server import LoopbackTelegram

IS_KURIGRAM = "connection_factory" in inspect.signature(Client.__init__).parameters


def trust(key_file: Path) -> None:
    """Clients of this process accept the server's key beside Telegram's own."""
    numbers = read_public(key_file)
    rsa.server_public_keys[fingerprint(numbers.n, numbers.e)] = rsa.PublicKey(numbers.n, numbers.e)


def client(telegram: LoopbackTelegram, bot: BotSide, folder: Path, **options: Any) -> Client:
    """A client of the bot with its session file in the folder. Call it where the event loop runs."""
    trust(telegram.key_file)
    usual = {
        "name": bot.username,
        "api_id": 1,
        "api_hash": "0" * 32,
        "bot_token": bot.token,
        "sleep_threshold": 0,
    }
    wanted = {**usual, **options, **_routed(telegram)}
    if not IS_KURIGRAM:
        wanted.pop("skip_updates", None)
    return Client(workdir=folder, **wanted)


def _routed(telegram: LoopbackTelegram) -> dict[str, Any]:
    """Options that lead to the server. Pyrogram 2.0.106 has none: all clients of the process are led there."""
    if not IS_KURIGRAM:
        pyrogram.connection.connection.DataCenter = lambda *_: (telegram.host, telegram.port)
        return {}

    def connection(**wanted: Any) -> Any:
        wanted.update(server_address=telegram.host, port=telegram.port)
        return pyrogram.connection.Connection(**wanted)

    return {"connection_factory": connection}
