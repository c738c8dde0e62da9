"""Telegram as its webhook calls us: a bot's key, the updates, the calls."""

from __future__ import annotations

import hashlib
from typing import Any

import httpx2
from sqlalchemy import update

from backends.catalog_cache import CatalogCache
from backends.sql.links import SqlCatalog
from backends.sql.schema import bots, catalog
from tests.daemon_fixture import BOT, Site

SECRET = "s3cret-of_the-webhook"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


async def give_key(site: Site, *, bot: str = BOT, secret: str = SECRET) -> None:
    """The bot gets a webhook's secret, in SQL and in the copy of the catalog that a daemon starts from."""
    digest = hashlib.sha256(secret.encode()).digest()
    async with site.engine() as engine:
        async with engine.begin() as connection:
            await connection.execute(update(bots).where(bots.c.username == bot).values(webhook_key=digest))
            await connection.execute(update(catalog).values(version=catalog.c.version + 1))
        source = SqlCatalog(engine, site.clock)
        await CatalogCache(source, site.settings.catalog_file, site.clock).refresh()


def message(
    text: str | None, *, message_id: int = 77, telegram_id: int = 42, **changes: Any
) -> dict[str, Any]:
    """The update of a message in a private chat."""
    sender = {"id": telegram_id, "is_bot": False, "first_name": "Ana", "language_code": "en"}
    said = {
        "message_id": message_id,
        "from": sender,
        "chat": {"id": telegram_id, "first_name": "Ana", "type": "private"},
        "date": 1_800_000_000,
        "text": text,
    }
    return {"update_id": 900_000_000 + message_id, "message": said | changes}


async def call(
    api: httpx2.AsyncClient, update: Any, *, bot: str = BOT, secret: str | None = SECRET
) -> httpx2.Response:
    """Telegram's call with an update, or with raw bytes."""
    headers = {"authorization": ""} | ({HEADER: secret} if secret is not None else {})
    if isinstance(update, bytes):
        return await api.post(f"/telegram/{bot}", content=update, headers=headers)
    return await api.post(f"/telegram/{bot}", json=update, headers=headers)
