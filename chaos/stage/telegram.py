"""A Telegram of this machine, as a server of the stage: `python -m tests.telegram` in a process of its own, ruled by lines of
JSON through its door.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Mapping
from typing import Any

from chaos.servers.process import HOST, Server
from chaos.stage.home import BOT
from chaos.stage.trilha import ROOT

SECONDS = 30.0
BOT_TOKEN = f"7000000001:{'A' * 35}"
API_HASH = "0123456789abcdef0123456789abcdef"


class TelegramServer(Server):
    """Where the stage's bot is logged in. What people said is in its memory: a drill breaks it, and does not kill it."""

    prefix = "trilha-telegram-"

    def __init__(self, port: int | None = None) -> None:
        super().__init__(port)
        self._secret("api-hash", API_HASH)
        self._secret("tokens", f"{BOT} {BOT_TOKEN}")
        self._secret("token", BOT_TOKEN)

    @property
    def settings(self) -> Mapping[str, str]:
        """What makes `trilha bot` log in here."""
        return {
            "TRILHA_TELEGRAM_API_ID": "1",
            "TRILHA_TELEGRAM_API_HASH_FILE": str(self.directory / "api-hash"),
            "TRILHA_TELEGRAM_SERVER": f"{HOST}:{self.port}",
            "TRILHA_TELEGRAM_SERVER_KEY": str(self.directory / "telegram.pub"),
            "TRILHA_BOT_TOKENS_FILE": str(self.directory / "tokens"),
        }

    def order(self, do: str, **said: Any) -> dict[str, Any]:
        """An order of tests/telegram/control.py. OSError when it is refused or not answered within 30 s."""
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(SECONDS)
            door.connect(str(self.directory / "people.sock"))
            door.sendall(json.dumps({"do": do} | said).encode() + b"\n")
            with door.makefile("r", encoding="utf-8") as lines:
                line = lines.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "it hung up"}
        if "error" in answer:
            raise OSError(f"the loopback Telegram, {do}: {answer['error']}")
        return answer

    def press(self, person: int, token: str) -> None:
        """That person presses START on the link of that token. OSError when nobody hears it."""
        self.order("press", person=person, name=f"P{person}", bot=BOT, text=f"/start {token}")

    def sent(self) -> list[int]:
        """Whom the bot wrote to, by Telegram id, once for each message."""
        return [chat for chat, _ in self.order("sent")["sent"]]

    def _secret(self, name: str, text: str) -> None:
        file = self.directory / name
        file.touch(mode=0o600)
        file.write_text(text)

    def _launch(self) -> None:
        where = ["--folder", str(self.directory), "--port", str(self.port)]
        bot = ["--bot", f"{BOT}:{self.directory / 'token'}"]
        command = [sys.executable, "-m", "tests.telegram", *where, *bot]
        self._child.spawn(command, settings={"PYTHONPATH": str(ROOT)})

    def _answers(self) -> bool:
        try:
            return "online" in self.order("online", bot=BOT)
        except (OSError, ValueError):
            return False
