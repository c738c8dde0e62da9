"""The server as a process of its own, with a client in another and a person who comes in by its door."""

from __future__ import annotations

import asyncio
import http.server
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.telegram import LoopbackTelegram, Person
from tests.telegram.demo import started

Served = tuple[Path, int, Path]
ROOT = Path(__file__).parents[2]
# What a bot that echoes is made of: a process of its own, so that it can be killed.
ECHO = """
import asyncio, sys
from pathlib import Path
from pyrogram import filters, handlers
from tests.telegram import BotSide
from tests.telegram.clients import client

class Server:
    host, port, key_file = "127.0.0.1", int(sys.argv[1]), Path(sys.argv[2])

async def echo(_, message):
    await message.reply("eco: " + message.text)

async def main():
    bot = BotSide(id=0, username="echo_bot", token="1:TOKEN")
    app = client(Server, bot, Path(sys.argv[3]), skip_updates=False)
    app.add_handler(handlers.MessageHandler(echo, filters.incoming & filters.command("start")))
    await app.start()
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def run(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def end(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    process.communicate(timeout=20)
    return process.returncode


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """The folder, port and key file of a running server, which ends well when told to."""
    (tmp_path / "token").write_text("1:TOKEN\n")
    server = run("-m", "tests.telegram", "--folder", str(tmp_path), "--bot", f"echo_bot:{tmp_path / 'token'}")
    try:
        assert server.stdout is not None
        ready, address, key_file = server.stdout.readline().split()
        assert ready == "ready"
        yield tmp_path, int(address.rpartition(":")[2]), Path(key_file)
    finally:
        code = end(server, signal.SIGTERM)
    assert code == 0


@pytest.fixture
def echo(served: Served) -> Iterator[list[subprocess.Popen[str]]]:
    """Bot processes; `start_echo` appends to it."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            end(process, signal.SIGKILL)


def start_echo(served: Served, processes: list[subprocess.Popen[str]]) -> None:
    folder, port, key_file = served
    process = run("-c", ECHO, str(port), str(key_file), str(folder))
    processes.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"


def start(folder: Path, token: str, seconds: float = 20) -> dict[str, object]:
    return started(
        folder,
        {"person": 42, "name": "Ana", "bot": "echo_bot", "text": f"/start {token}", "seconds": seconds},
    )


async def test_a_killed_bot_hears_after_its_return_what_was_said_meanwhile(
    telegram: LoopbackTelegram, ana: Person, tmp_path: Path, echo: list[subprocess.Popen[str]]
) -> None:
    """Its session file leads to the same key and the same log: one login serves both processes."""
    bot = telegram.add_bot("1:TOKEN", "echo_bot")
    here = (tmp_path, telegram.port, telegram.key_file)
    await asyncio.to_thread(start_echo, here, echo)
    await telegram.press_start(ana, bot, "/start one")
    await telegram.wait_for(lambda: telegram.sent)
    await asyncio.to_thread(end, echo[0], signal.SIGKILL)
    await telegram.wait_for(lambda: telegram.online(bot) == 0)
    await telegram.press_start(ana, bot, "/start two")
    await asyncio.to_thread(start_echo, here, echo)
    await telegram.press_start(ana, bot, "/start three")
    # A killed client has not written down how far it was, so it may hear the first one again.
    expected = {"eco: /start one", "eco: /start two", "eco: /start three"}
    await telegram.wait_for(lambda: {sent.text for sent in telegram.sent} == expected, 20)
    assert [call.name for call in telegram.calls].count("auth.ImportBotAuthorization") == 1


async def test_a_person_is_answered_through_the_door(
    served: Served, echo: list[subprocess.Popen[str]]
) -> None:
    start_echo(served, echo)
    assert start(served[0], "one") == {"reply": "eco: /start one", "buttons": []}
    end(echo[0], signal.SIGTERM)
    assert start(served[0], "two", seconds=0.1) == {"error": "no reply"}


def test_the_door_says_what_is_wrong(served: Served) -> None:
    said = {"person": 42, "name": "Ana", "bot": "nobody", "text": "/start"}
    assert started(served[0], said) == {"error": "no bot is named nobody"}
    assert "error" in started(served[0], {})


async def test_another_process_presses_start_breaks_things_and_reads_what_was_sent(
    served: Served, echo: list[subprocess.Popen[str]]
) -> None:
    folder = served[0]
    assert started(folder, {"do": "online", "bot": "echo_bot"}) == {"online": 0}
    start_echo(served, echo)
    assert start(folder, "one")["reply"] == "eco: /start one"
    assert started(folder, {"do": "flood", "bot": "echo_bot", "seconds": 60}) == {}
    assert start(folder, "two", seconds=0.5) == {"error": "no reply"}
    press = {"do": "press", "person": 43, "name": "Bia", "bot": "echo_bot", "text": "/start x"}
    assert started(folder, press)["message"] > 0
    assert started(folder, {"do": "migrate", "bot": "echo_bot", "dc": 4}) == {}
    assert started(folder, {"do": "migrating", "bot": "echo_bot"}) == {"dc": 4}
    assert start(folder, "three")["reply"] == "eco: /start three"
    assert started(folder, {"do": "online", "bot": "echo_bot"}) == {"online": 1}
    sent = started(folder, {"do": "sent"})
    assert (sorted(chat for chat, _ in sent["sent"]), sent["duplicates"]) == ([42, 42, 43], 0)


@pytest.mark.parametrize(
    "order", [{"do": "nothing"}, {"do": "drop", "bot": "x"}, {"do": "online", "bot": "x"}]
)
def test_an_order_that_cannot_be_understood_is_refused(served: Served, order: dict[str, str]) -> None:
    assert "error" in started(served[0], order)


class Redirect(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", "https://t.me/echo_bot?start=abc")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


async def test_the_demo_goes_from_the_link_to_the_reply(
    served: Served, echo: list[subprocess.Popen[str]]
) -> None:
    start_echo(served, echo)
    with http.server.HTTPServer(("127.0.0.1", 0), Redirect) as site:
        threading.Thread(target=site.handle_request, daemon=True).start()
        link = f"http://127.0.0.1:{site.server_port}/go/x?fbclid=y"
        person = run("-m", "tests.telegram.demo", link, "--folder", str(served[0]))
        said, _ = await asyncio.to_thread(person.communicate, timeout=30)
    assert (person.returncode, said.splitlines()[-1]) == (0, "echo_bot: eco: /start abc")
