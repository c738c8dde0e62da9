"""The examples of docs/examples: those that need nothing are run against a real daemon, the others are read.

node_bot.mjs is read too: a machine that runs these tests need not have Node.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import httpx2
import pytest

from backends.sql.schema import outbox, starts
from bot import client
from chaos.servers import HOST, free_port
from daemon.shapes import Click, Start, StartBody
from tests.daemon_fixture import BOT, Door, Site
from tests.telegram_calls import HEADER, SECRET, message

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
# What each program is run with.
PROGRAMS = {"raw_webhook.py": [sys.executable]}
START_SECONDS = 20.0


@asynccontextmanager
async def running(name: str, site: Site) -> AsyncIterator[httpx2.AsyncClient]:
    """The example as its own process, and Telegram's side of its webhook."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BOT_USERNAME": BOT,
        "SECRET": SECRET,
        "TRILHA_URL": f"http://{site.settings.private_bind}",
        "TRILHA_KEY": site.key,
        "PORT": str(port),
    }
    command = [*PROGRAMS[name], str(EXAMPLES / name)]
    program = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    try:
        await _listening(port, program)
        async with httpx2.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=30) as telegram:
            yield telegram
    finally:
        with suppress(ProcessLookupError):
            program.terminate()
        await program.communicate()


async def _listening(port: int, program: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS):
        while program.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except ConnectionError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
    raise AssertionError((await program.communicate())[1])


async def told(telegram: httpx2.AsyncClient, update: dict[str, Any], secret: str = SECRET) -> Any:
    answer = await telegram.post("/", json=update, headers={HEADER: secret})
    assert answer.status_code == 200
    return answer.json()


def greeting(text: str) -> dict[str, Any]:
    return {"method": "sendMessage", "chat_id": 42, "text": text}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_bot_made_as_shown_attributes_its_starts_and_greets_with_the_campaign(
    name: str, door: Door, site: Site
) -> None:
    token = await door.click("utm_campaign=Natal&utm_source=FB")
    async with running(name, site) as telegram:
        for text in (f"/start {token}", f"/start@{BOT} {token}"):
            for _ in range(2):
                assert await told(telegram, message(text)) == greeting("Welcome! You came by Natal.")
        for number, text in enumerate(("/start", "/start ref_55", "/start 🔥"), 100):
            assert await told(telegram, message(text, message_id=number)) == greeting("Welcome!")
        for other in (
            message("hello"),
            message("/started"),
            message(None),
            message("/start", chat={"id": -100, "type": "group"}),
            {"update_id": 1, "edited_message": message("/start")["message"]},
        ):
            assert await told(telegram, other) == {}
        for secret in ("", "wrong"):
            answer = await telegram.post("/", json=message("/start"), headers={HEADER: secret})
            assert answer.status_code == 401
    assert (await site.row(token)).owner_telegram_id == 42
    kinds = sorted(row.kind for row in await site.rows(starts))
    assert kinds == ["attributed", "direct", "direct", "direct"]
    await site.settle()
    assert len(await site.rows(outbox)) == 1


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_bot_made_as_shown_greets_while_nothing_of_trilha_answers(name: str, site: Site) -> None:
    async with running(name, site) as telegram:
        assert await told(telegram, message(f"/start {'A' * 62}")) == greeting("Welcome!")


# ---------------------------------------------------------------- read, not run


WITH_CLIENT = ("aiogram_bot.py", "python_telegram_bot.py")
SHOWN = {"TrilhaClient": client.TrilhaClient, "token_from": client.token_from, "is_start": client.is_start}


def test_every_example_is_one_that_these_tests_know() -> None:
    found = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".mjs", ".js", ".ts"}}
    assert found == {*PROGRAMS, *WITH_CLIENT, "node_bot.mjs"}


@pytest.mark.parametrize("name", WITH_CLIENT)
def test_an_example_calls_the_client_as_it_is(name: str) -> None:
    tree = ast.parse((EXAMPLES / name).read_text())
    compile(tree, name, "exec")
    imported = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "trilha_client"
        for alias in node.names
    ]
    assert {"TrilhaClient", "token_from"} <= set(imported)
    assert all(hasattr(client, wanted) for wanted in imported)
    called = [_bound(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert {"TrilhaClient", "token_from", "try_start"} <= set(called)


@pytest.mark.parametrize("name", WITH_CLIENT)
def test_an_example_reads_fields_that_answers_have(name: str) -> None:
    has = {
        "start": {field.name for field in fields(client.Start)},
        "click": {field.name for field in fields(client.Click)},
    }
    read = [
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse((EXAMPLES / name).read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in has
    ]
    assert ("click", "utm") in read
    assert all(field in has[value] for value, field in read)


def _bound(call: ast.Call) -> str | None:
    """The name of a call of the client, once its arguments fit."""
    function, keywords = call.func, {keyword.arg or "": None for keyword in call.keywords}
    if isinstance(function, ast.Name) and function.id in SHOWN:
        inspect.signature(SHOWN[function.id]).bind(*call.args, **keywords)
        return function.id
    if isinstance(function, ast.Attribute) and getattr(function.value, "id", None) == "trilha":
        method = getattr(client.TrilhaClient, function.attr)
        inspect.signature(method).bind(None, *call.args, **keywords)
        return function.attr
    return None


def test_the_node_example_names_the_path_the_header_and_the_fields_of_the_api() -> None:
    text = (EXAMPLES / "node_bot.mjs").read_text()
    assert "/v1/starts`" in text
    assert HEADER.lower() in text
    body = re.search(r"const start = \{(.*?)\};", text)
    assert body
    sent = {part.partition(":")[0].strip() for part in body[1].split(",")}
    assert sent == set(StartBody.__struct_fields__)
    read = set(re.findall(r"answer\?\.(\w+)", text)) | set(re.findall(r"click\?\.(\w+)", text))
    assert read == {"click", "utm"}
    assert "click" in Start.__struct_fields__
    assert "utm" in Click.__struct_fields__
