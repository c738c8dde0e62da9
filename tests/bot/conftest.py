"""An office of each test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.bot.office import Office
from tests.telegram.account import Person
from tests.telegram.server import LoopbackTelegram


@pytest_asyncio.fixture
async def telegram(tmp_path: Path) -> AsyncIterator[LoopbackTelegram]:
    """A server of this test alone."""
    async with LoopbackTelegram(tmp_path / "telegram") as server:
        yield server


@pytest_asyncio.fixture
async def office(telegram: LoopbackTelegram, tmp_path: Path) -> Office:
    """A home with a bot; no worker runs."""
    return await Office.prepared(tmp_path / "home", telegram)


@pytest.fixture
def ana(telegram: LoopbackTelegram) -> Person:
    return telegram.person(42, "Ana", language="pt-br")
