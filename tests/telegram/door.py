"""Where simulated people come in when the server is a process of its own: a Unix socket in its folder.

One line of JSON per message, {"person": 42, "name": "Ana", "bot": "username", "text": "/start TOKEN", "seconds": 10},
and one line back: {"reply": …, "buttons": [[{"text": …, "url": …}]]}, or {"error": …}. A line {"do": …} is an order of
whoever runs a drill (control.py).
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Self

from tests.telegram.control import Control
from tests.telegram.sent import Sent
from tests.telegram.server import LoopbackTelegram


def door_file(folder: Path) -> Path:
    """The socket of the server whose folder it is."""
    return folder / "people.sock"


class Door:
    """Lets people in for as long as it is entered."""

    def __init__(self, telegram: LoopbackTelegram, folder: Path) -> None:
        self._telegram = telegram
        self._control = Control(telegram)
        self._file = door_file(folder)
        self._visits: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._file.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._enter, self._file)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for visit in self._visits:
            visit.cancel()
        await asyncio.gather(*self._visits, return_exceptions=True)
        self._file.unlink(missing_ok=True)

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.get_running_loop().create_task(self._visit(reader, writer))
        self._visits.add(visit)
        visit.add_done_callback(self._visits.discard)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line), ensure_ascii=False).encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            said = json.loads(line)
            return await (self._control.answer(said) if "do" in said else self._say(**said))
        except TimeoutError:
            return {"error": "no reply"}
        except (KeyError, ValueError, TypeError) as problem:
            return {"error": str(problem)}

    async def _say(
        self, *, person: int, name: str, bot: str, text: str, seconds: float = 10
    ) -> dict[str, Any]:
        account = self._telegram.bot_named(bot)
        if account is None:
            raise ValueError(f"no bot is named {bot}")

        def replies() -> list[Sent]:
            return [sent for sent in self._telegram.sent if (sent.bot, sent.chat_id) == (account, person)]

        before = len(replies())
        await self._telegram.press_start(self._telegram.person(person, name), account, text)
        await self._telegram.wait_for(lambda: len(replies()) > before, seconds)
        return _told(replies()[before])


def _told(sent: Sent) -> dict[str, Any]:
    buttons = [[{"text": button.text, "url": button.url} for button in row] for row in sent.buttons]
    return {"reply": sent.text, "buttons": buttons}
