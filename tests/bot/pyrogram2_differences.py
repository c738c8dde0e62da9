"""What Pyrogram 2.0.106 cannot do, or does in another way. Run by test_pyrogram2.py in a process that has it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyrogram
import pytest_asyncio
from pyrogram import raw

from bot.mtproto.server import accepts, client_options
from tests.bot.office import Office
from tests.telegram.account import Person
from tests.telegram.chats import Clients
from tests.telegram.server import LoopbackTelegram

LAYER_OF_KURIGRAM = 200  # it is above that


@pytest_asyncio.fixture
async def alone(telegram: LoopbackTelegram, tmp_path: Path) -> Clients:
    """The library without the worker."""
    made = Clients(telegram, tmp_path)
    yield made
    await made.stop()


def test_the_workers_run_on_it(office: Office) -> None:
    """This process, and those that are started as workers."""
    command = [sys.executable, "-c", "import pyrogram; print(pyrogram.__version__)"]
    child = subprocess.run(command, env=office.environment(), capture_output=True, text=True)
    assert [pyrogram.__version__, child.stdout.strip()] == ["2.0.106"] * 2


async def test_alone_it_never_asks_for_what_a_downtime_missed(
    office: Office, telegram: LoopbackTelegram, ana: Person, alone: Clients
) -> None:
    """The start is lost to a bot of its own handlers; the worker has it (test_starts_of_ten_minutes_of_downtime_…)."""
    here = await alone.start(office.bot)
    await here.app.stop()
    await telegram.wait_for(lambda: telegram.online(office.bot) == 0)
    await telegram.press_start(ana, office.bot, "/start missed")
    here = await alone.start(office.bot)
    await telegram.press_start(ana, office.bot, "/start heard")
    assert (await here.next()).text == "/start heard"
    assert await here.nothing_more()
    assert "updates.GetDifference" not in {call.name for call in telegram.calls}


async def test_alone_it_never_asks_for_what_was_not_pushed(
    office: Office, telegram: LoopbackTelegram, ana: Person, alone: Clients
) -> None:
    """The next update shows the gap, and nobody looks; the worker does (test_updates_that_were_never_pushed_…)."""
    here = await alone.start(office.bot)
    telegram.hold_pushes()
    await telegram.press_start(ana, office.bot, "/start missed")
    telegram.release_pushes()
    await telegram.press_start(ana, office.bot, "/start heard")
    assert (await here.next()).text == "/start heard"
    assert await here.nothing_more()
    assert "updates.GetDifference" not in {call.name for call in telegram.calls}


def test_a_server_of_ones_own_is_that_of_the_whole_process(office: Office) -> None:
    """TRILHA_TELEGRAM_SERVER is not an option of each client: the name that all of them ask is another one."""
    assert not accepts("connection_factory")
    assert client_options(office.site.settings) == {}
    at = office.site.settings.telegram_server
    asked = pyrogram.connection.connection.DataCenter(2, False, False, False)
    assert asked == (at.host, at.port)


def test_it_speaks_an_older_layer() -> None:
    """Numbers of what Telegram has added since are unknown to it: such an update is not parsed, and its place is a hole."""
    assert raw.all.layer == 158 < LAYER_OF_KURIGRAM
