"""The webhook's handler with a port for blocks that writes down what it is told."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from daemon.telegram_webhook import TelegramWebhook
from domain.attribution import Owner
from domain.clock import ManualClock
from domain.errors import StoreUnavailable
from domain.links import Bot
from tests.telegram_calls import SECRET, call

KEYED = Bot(id=3, username="shop_bot", webhook_key=hashlib.sha256(SECRET.encode()).hexdigest())


class OneBot:
    def bot(self, username: str) -> Bot | None:
        return KEYED if username == KEYED.username else None


class Noted:
    """Keeps blocks in a list, or cannot be asked."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        self.blocks: list[tuple[Owner, bool, int]] = []

    async def note_block(self, owner: Owner, *, blocked: bool, at_ms: int) -> None:
        if self.down:
            raise StoreUnavailable("down")
        self.blocks.append((owner, blocked, at_ms))


def client(blocks: Noted) -> httpx2.AsyncClient:
    nobody: Any = None
    webhook = TelegramWebhook(bots=OneBot(), reception=nobody, blocks=blocks, clock=ManualClock())
    app = Starlette(routes=[Route("/telegram/{bot}", webhook.update, methods=["POST"])])
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://trilha")


def block(status: str) -> dict[str, Any]:
    change = {
        "chat": {"id": 42, "type": "private"},
        "from": {"id": 42, "is_bot": False},
        "date": 1_800_000_000,
        "new_chat_member": {"status": status},
    }
    return {"update_id": 1, "my_chat_member": change}


@pytest.mark.parametrize(("status", "blocked"), [("kicked", True), ("member", False)])
async def test_a_block_and_its_end_are_noted_for_the_person_of_that_bot(status: str, blocked: bool) -> None:
    noted = Noted()
    async with client(noted) as api:
        answer = await call(api, block(status), bot=KEYED.username)
    assert (answer.status_code, answer.content) == (200, b"")
    assert noted.blocks == [(Owner(bot_id=3, telegram_id=42), blocked, 1_800_000_000_000)]


async def test_a_block_that_cannot_be_kept_is_asked_for_again() -> None:
    async with client(Noted(down=True)) as api:
        answer = await call(api, block("kicked"), bot=KEYED.username)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_without_the_secret_no_block_is_noted() -> None:
    noted = Noted()
    async with client(noted) as api:
        answer = await call(api, block("kicked"), bot=KEYED.username, secret="other")
    assert answer.status_code == 401
    assert noted.blocks == []
