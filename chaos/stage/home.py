"""The home of a stage: keys, tables, a bot, a pixel and a link, as an operator would have made them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from backends.sql.migrate import migrate
from domain.clock import SystemClock
from privacy.api_keys import make_api_key
from privacy.keyring import Keyring
from runtime.settings import Settings, load_settings

BOT, SLUG, PIXEL = "trilha_drill_bot", "drill", "1234567890"
PATIENCE = 10.0


def prepare(settings: Mapping[str, str]) -> str:
    """Make everything that `serve` needs, by TRILHA_ settings; the API key of its private listener."""
    given = load_settings(settings)
    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    Keyring.create(given.secrets, SystemClock())
    asyncio.run(_fill(given))
    return make_api_key(given.api_keys, "drill")


async def _fill(given: Settings) -> None:
    clock = SystemClock()
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        await migrate(engine)
        catalog = SqlCatalog(engine, clock)
        await catalog.add_bot(BOT)
        await catalog.add_link(SLUG, bot=BOT, pixel=PIXEL)
    finally:
        await engine.dispose()


def log_of(home: Path, name: str) -> Path:
    """Where the process of that name logs."""
    return home / f"{name}.log"
