"""A prepared site, and a daemon that runs on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.daemon_fixture import Door, Site


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> Site:
    """Tables, key ring, API key, bots and a link on SQLite; nothing runs."""
    made = Site(tmp_path)
    await made.prepare()
    return made


@pytest_asyncio.fixture
async def door(site: Site) -> AsyncIterator[Door]:
    """A daemon that runs on the site."""
    async with site.running() as running:
        yield running
