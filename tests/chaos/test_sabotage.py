"""Planted bugs: which there are, and that none shows in fair weather. What brings them to light: test_prove.py."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.sabotage import BUGS, plant
from chaos.servers import ValkeyServer
from tests.system import BOT, System

FOLDER = Path(__file__).parents[2] / "chaos" / "sabotage"


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A Valkey that this test may kill."""
    with ValkeyServer() as server:
        yield server


@pytest_asyncio.fixture
async def system(tmp_path: Path, own_valkey: ValkeyServer) -> AsyncIterator[System]:
    made = await System.on_sqlite(tmp_path, own_valkey.url)
    yield made
    made.stop()


async def clicked(system: System, number: int) -> list[str]:
    """Tokens of so many clicks, eight at a time."""
    load = system.load(rate=number, seconds=1)
    await load.burst(8)
    return load.tokens


async def started(system: System, token: str, telegram_id: int = 7) -> bool:
    """Whether that person is told to own it."""
    async with system.api() as api:
        answer = await api.post("/v1/starts", json={"token": token, "bot": BOT, "telegram_id": telegram_id})
    return bool(answer.json()["owner"])


def test_every_file_is_reachable_by_its_name_and_says_what_it_is_who_has_had_it_and_what_finds_it() -> None:
    assert set(BUGS) == {path.stem for path in FOLDER.glob("[!_]*.py")}
    assert len(BUGS) == 6
    for name in BUGS:
        module = import_module(f"chaos.sabotage.{name}")
        assert callable(module.plant)
        assert all(part in module.__doc__ for part in ("Who has had it: ", "Found by: "))
        assert len(module.__doc__.splitlines()[0]) > 40


def test_a_bug_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        plant("_later")


@pytest.mark.parametrize("bug", BUGS)
async def test_in_fair_weather_no_bug_is_seen_in_a_single_click(system: System, bug: str) -> None:
    system.start("serve", "work", faults=[f"sabotage:{bug}"])
    [token] = await clicked(system, 1)
    assert await started(system, token)
    await system.settled_books(issued=1, clicks=1)
    assert await system.rows() == {system.click_id(token): (1, 7)}
    assert await system.outbox_clicks() == [system.click_id(token)]
