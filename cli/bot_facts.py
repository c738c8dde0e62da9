"""What is known of bots, put together from catalog, accounts and the tokens file: for `bot-account` and `doctor`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from cli.common import CLOCK, PATIENCE
from domain.accounts import BotStatus
from domain.clock import iso
from domain.errors import ConfigError
from domain.links import Bot, Link
from privacy.bot_tokens import read_bot_tokens
from runtime.settings import Settings

Username = Annotated[str, typer.Argument(help="The bot's username, with or without @.")]


@dataclass(frozen=True, slots=True)
class Registry:
    """The two views of bots in SQL: where ads lead, and what workers share."""

    catalog: SqlCatalog
    accounts: SqlBotAccounts


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFacts:
    """A bot, the links whose pool it is in, and whether the tokens file names it."""

    status: BotStatus
    links: tuple[Link, ...]
    in_file: bool

    @property
    def bot(self) -> Bot:
        """The bot."""
        return self.status.bot

    @property
    def ours(self) -> bool:
        """True when there is a token, so that a worker of ours is it."""
        return self.in_file or self.status.has_token

    @property
    def token(self) -> Literal["file", "sealed", "none"]:
        """Where the token is that it is run with (privacy/bot_tokens.py)."""
        return "file" if self.in_file else "sealed" if self.status.has_token else "none"


@asynccontextmanager
async def registry_of(given: Settings) -> AsyncIterator[Registry]:
    """Bots in SQL."""
    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        yield Registry(SqlCatalog(engine, CLOCK), SqlBotAccounts(engine))
    finally:
        await engine.dispose()


async def all_facts(registry: Registry, given: Settings) -> list[BotFacts]:
    """Of every registered bot, oldest first."""
    in_file = read_bot_tokens(given.bot_tokens_file)
    links = (await registry.catalog.load()).links
    return [
        BotFacts(
            status=status,
            links=tuple(link for link in links if any(m.bot.id == status.bot.id for m in link.pool)),
            in_file=status.bot.username.lower() in in_file,
        )
        for status in await registry.accounts.overview()
    ]


async def facts_of(registry: Registry, given: Settings, username: str) -> BotFacts:
    """Of the bot of that username, in any case and with or without `@`; or ConfigError."""
    name = username.removeprefix("@")
    for found in await all_facts(registry, given):
        if found.bot.username.lower() == name.lower():
            return found
    raise ConfigError(f"no bot @{name}. See them all: trilha bot-account list")


def facts_json(found: BotFacts) -> dict[str, Any]:
    """A bot as scripts see it."""
    status = found.status
    return {
        "id": found.bot.id,
        "username": found.bot.username,
        "telegram_id": status.telegram_id,
        "health": found.bot.health,
        "health_at": _iso(status.health_at_ms),
        "token": found.token,
        "webhook": found.bot.webhook_key is not None,
        "worker": status.worker,
        "worker_until": _iso(status.worker_until_ms),
        "heard_at": _iso(status.heard_at_ms),
        "checked_at": _iso(status.checked_at_ms),
        "links": len(found.links),
        "pools": [link.slug for link in found.links],
    }


def _iso(at_ms: int | None) -> str | None:
    return None if at_ms is None else iso(at_ms)
