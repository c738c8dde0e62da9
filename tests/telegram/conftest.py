"""A server with a bot and a person, and clients that are stopped at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.telegram.account import BotSide, Person
from tests.telegram.chats import Clients
from tests.telegram.server import LoopbackTelegram


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One RSA key for all servers: making it is what takes a server its time."""
    return tmp_path_factory.mktemp("telegram")


@pytest.fixture
def bot(telegram: LoopbackTelegram) -> BotSide:
    return telegram.add_bot("1:TOKEN", "trilha_bot")


@pytest.fixture
def ana(telegram: LoopbackTelegram) -> Person:
    return telegram.person(42, "Ana", language="pt-br", premium=True)


@pytest_asyncio.fixture
async def clients(telegram: LoopbackTelegram, tmp_path: Path) -> AsyncIterator[Clients]:
    """Makes clients; those that still run are stopped."""
    made = Clients(telegram, tmp_path)
    yield made
    await made.stop()
