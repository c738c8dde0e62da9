"""Each planted bug is really in effect: under the fault that brings it to light it does harm, and the genuine product does none."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path

import pytest
import pytest_asyncio

from chaos.sabotage import BUGS, plant
from chaos.servers import ValkeyServer
from tests.system import BOT, System

FOLDER = Path(__file__).parents[2] / "chaos" / "sabotage"
DESIGNS = pytest.mark.parametrize("sabotaged", [True, False], ids=["sabotaged", "genuine"])


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


def planted(bug: str, sabotaged: bool, *faults: str) -> list[str]:
    return [*faults, *([f"sabotage:{bug}"] if sabotaged else [])]


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


async def missing(system: System, tokens: list[str]) -> int:
    """How many answered clicks are not in SQL when all is settled by a worker that is as it should be."""
    if "work" not in system.processes or system.processes["work"].poll() is not None:
        system.start("work")
    answered = {system.click_id(token) for token in tokens}
    deadline = time.monotonic() + 10
    while (left := answered - set(await system.rows())) and time.monotonic() < deadline:
        if (await system.books()).in_spools == 0:
            left = answered - set(await system.rows())
            break
        await asyncio.sleep(0.05)
    return len(left)


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


@DESIGNS
async def test_acknowledging_before_the_fsync_loses_clicks_when_the_process_is_killed(
    system: System, sabotaged: bool
) -> None:
    system.start("serve", faults=planted("ack_before_fsync", sabotaged, "crash"))
    tokens = await clicked(system, 50)
    await asyncio.to_thread(system.switches.on, "crash", point="before_write")
    tokens += await clicked(system, 50)
    assert system.processes["serve"].wait(10) == -signal.SIGKILL
    assert (await missing(system, tokens) > 0) is sabotaged


async def test_with_acknowledgements_before_the_fsync_an_orderly_end_loses_nothing(system: System) -> None:
    """The bug is the one that it says, and no other."""
    system.start("serve", faults=["sabotage:ack_before_fsync"])
    tokens = await clicked(system, 50)
    system.stop()
    assert await missing(system, tokens) == 0


@DESIGNS
async def test_what_was_acknowledged_from_memory_goes_with_sigterm(system: System, sabotaged: bool) -> None:
    system.start("serve", faults=planted("lost_spool_on_sigterm", sabotaged))
    tokens = await clicked(system, 50)
    system.stop()
    assert system.processes["serve"].returncode == 0
    assert (await missing(system, tokens) > 0) is sabotaged


@DESIGNS
async def test_trimming_before_commit_loses_what_sql_does_not_take(system: System, sabotaged: bool) -> None:
    system.start("serve")
    tokens = await clicked(system, 50)
    system.switches.before_start("disk", of="sql", sync="io")  # COMMIT is where SQLite fsyncs
    system.start("work", faults=planted("trim_before_commit", sabotaged, "disk"))
    await _logged(system, "work", "settling waits")
    system.stop()
    assert (await missing(system, tokens) > 0) is sabotaged


@DESIGNS
async def test_a_breaker_that_never_opens_makes_every_click_wait_for_a_hanging_store(
    system: System, own_valkey: ValkeyServer, sabotaged: bool
) -> None:
    system.start("serve", faults=planted("breaker_never_opens", sabotaged))
    await clicked(system, 20)
    own_valkey.freeze()
    try:
        assert len(await clicked(system, 400)) == 400
        async with system.api() as api:
            state = (await api.get("/readyz")).json()["tiers"]["redis"]
    finally:
        own_valkey.thaw()
    assert (state == "closed") is sabotaged


@DESIGNS
async def test_taking_the_click_gives_it_two_owners_when_redis_has_it_again(
    system: System, own_valkey: ValkeyServer, sabotaged: bool
) -> None:
    """Redis comes back as an old snapshot has it: the click that was taken is there once more."""
    system.start("serve", faults=planted("take_and_delete", sabotaged))
    [token] = await clicked(system, 1)
    key = f"trilha:click:{system.click_id(token)}"
    own_valkey.command(f"COPY {key} snapshot")
    assert await started(system, token, 7)
    own_valkey.command(f"COPY snapshot {key} REPLACE")
    assert await started(system, token, 8) is sabotaged


@DESIGNS
async def test_taking_the_click_denies_it_to_its_owner_when_the_answer_was_lost(
    system: System, sabotaged: bool
) -> None:
    system.start("serve", faults=planted("take_and_delete", sabotaged))
    [token] = await clicked(system, 1)
    assert await started(system, token)
    assert await started(system, token) is not sabotaged


@DESIGNS
async def test_an_outbox_outside_the_transaction_misses_conversions(system: System, sabotaged: bool) -> None:
    system.start("serve", "work", faults=planted("outbox_outside_transaction", sabotaged))
    tokens = await clicked(system, 20)
    owned = [token for token in tokens if await started(system, token)]
    await system.settled_books(issued=20)
    assert len(owned) == 20
    assert (set(await system.outbox_clicks()) < {system.click_id(token) for token in owned}) is sabotaged


@pytest.mark.parametrize("bug", BUGS)
async def test_in_fair_weather_no_bug_is_seen_in_a_single_click(system: System, bug: str) -> None:
    system.start("serve", "work", faults=[f"sabotage:{bug}"])
    [token] = await clicked(system, 1)
    assert await started(system, token)
    await system.settled_books(issued=1, clicks=1)
    assert await system.rows() == {system.click_id(token): (1, 7)}
    assert await system.outbox_clicks() == [system.click_id(token)]


async def _logged(system: System, name: str, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in (system.home / f"{name}.log").read_text():
        assert time.monotonic() < deadline, system.logs()
        await asyncio.sleep(0.05)
