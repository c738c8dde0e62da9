"""A person is erased while Redis cannot be asked; then no byte of any store is theirs."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chaos.servers import PostgresServer, ValkeyServer
from tests.system import BOT, ROOT, SLUG, System

# Their bytes are found nowhere by chance: one needs five bytes, the other four.
ANA, BIA = 0x5A_C39E_71B4, 0x7B_D2A3_E5
SOMEBODY = 0x6C_B18F_52D7
IPS = {ANA: "187.45.203.117", BIA: "2804:14c:65a1:4e27::9f3", SOMEBODY: "200.147.3.157"}
AGENTS = {
    ANA: "Mozilla/5.0 (Linux; Android 14; SM-A546E) AppleWebKit/537.36 Chrome/126.0.6478.122 Mobile Instagram 337",
    BIA: "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 [FBAN/FBIOS;FBAV/468.0]",
    SOMEBODY: "Mozilla/5.0 (Linux; Android 13; moto g54) AppleWebKit/537.36 Chrome/125.0.0.0 Mobile",
}
FBCLIDS = {
    ANA: "IwAR2kXq7ZbT9vLm3PdRf8sYhWcNj4uE_aem_AaQ1",
    BIA: "IwZXh0bgNhZW0CMTEAAR0vKqP5x8nT_aem_BbW2",
    SOMEBODY: "IwAR0sOmEbOdYeLsE_aem_CcE3",
}


@pytest.mark.parametrize("by_hand", [True, False], ids=["run again", "left to the worker"])
async def test_after_an_erasure_no_byte_of_any_store_is_the_persons(
    system: System, own_valkey: ValkeyServer, request: pytest.FixtureRequest, by_hand: bool, tmp_path: Path
) -> None:
    """Settled clicks, a deferred start and copies in a Redis that hangs; resumed; books balance; others' data stay."""
    system.environment |= {"TRILHA_TRUSTED_PROXIES": "127.0.0.1/32", "TRILHA_LOG_LEVEL": "debug"}
    system.start("serve", "work")
    tokens: list[str] = []
    async with system.api() as api:

        async def start(token: str, person: int) -> str:
            body = {"token": token, "bot": BOT, "telegram_id": person}
            answer = await api.post("/v1/starts", json=body)
            assert answer.status_code == 200, answer.text
            return str(answer.json()["state"])

        for person in (ANA, BIA, SOMEBODY, ANA, BIA, SOMEBODY):
            tokens += [await _click(system, person) for _ in range(12)]
            assert await start(tokens[-1], person) == "settled"
        await system.settled_books(issued=len(tokens))
        assert _marks(await _everything(system, own_valkey, request), ANA), (
            "the scan finds nothing to begin with"
        )

        system.kill("work")
        tokens.append(await _click(system, ANA))
        async with _without_sql(request, system):
            assert await start(tokens[-1], ANA) == "deferred"
            await asyncio.sleep(3)  # a transaction that was given up goes on: it ends before SQL is back

    exported = await _trilha(system, "privacy", "export", person=ANA)
    assert exported.returncode == 0, exported.stderr
    shown = json.loads(exported.stdout)
    assert {click["original"]["ip"] for click in shown["clicks"]} == {IPS[ANA]}
    assert {click["original"]["fbclid"] for click in shown["clicks"]} == {FBCLIDS[ANA]}
    assert [entry["state"] for entry in shown["starts"]] == ["settled", "settled", "deferred"]

    own_valkey.freeze()
    said = []
    for person, clicks in ((ANA, 3), (BIA, 2)):
        done = await _trilha(system, "privacy", "erase", "--json", person=person)
        said.append(done.stdout + done.stderr)
        assert done.returncode == 3, done.stderr
        assert json.loads(done.stdout)["erased"]["clicks"] == clicks
    assert json.loads(done.stdout)["still_to_do"] == {"redis": 5}
    own_valkey.thaw()
    if by_hand:
        done = await _trilha(system, "privacy", "erase", "--json", person=ANA)
        said.append(done.stdout + done.stderr)
        assert (done.returncode, json.loads(done.stdout)["still_to_do"]) == (0, {}), done.stderr
    system.start("work")
    books = await system.settled_books(issued=len(tokens))
    await _finished(system)

    everything = await _everything(system, own_valkey, request) | {"said": "".join(said).encode()}
    for person in (ANA, BIA):
        assert _marks(everything, person) == set()
    assert books.balanced, books.faults
    assert books.erased == 5
    rows = await system.rows()
    owned = [owner for owner in rows.values() if owner is not None]
    assert [owner[1] for owner in owned] == [SOMEBODY] * 2
    system.stop()
    everything = await _everything(system, own_valkey, request)
    assert _marks(everything, ANA) | _marks(everything, BIA) == set(), "after the end"


async def _click(system: System, person: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", system.public)
    lines = [
        f"GET /go/{SLUG}?utm_source=fb&fbclid={FBCLIDS[person]} HTTP/1.1",
        "host: go.example",
        f"x-forwarded-for: {IPS[person]}",
        f"user-agent: {AGENTS[person]}",
        "connection: close",
    ]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    found = re.search(r"\?start=(\S+)", head)
    assert found, head
    return found[1]


async def _trilha(system: System, *command: str, person: int) -> subprocess.CompletedProcess[str]:
    """The command, with the id on standard input."""

    def call() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *command, "--telegram-id", "-"],
            cwd=ROOT,
            env=os.environ | system.environment,
            input=f"{person}\n",
            capture_output=True,
            text=True,
            timeout=60,
        )

    return await asyncio.to_thread(call)


def _without_sql(request: pytest.FixtureRequest, system: System) -> Any:
    from tests.journeys.test_outages import _without_sql as without

    return without(request, system)


async def _finished(system: System) -> None:
    """The worker has nothing left to discard, and has scrubbed since the last erasure."""
    for _ in range(200):
        done = await _audit(system)
        if sum(line["detail"].get("redis", 0) for line in done if line["action"] == "discard") == 5:
            await asyncio.sleep(6)  # one more turn of the worker: logs are emptied after what it settled
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the erasure was not finished")


async def _audit(system: System) -> list[dict[str, Any]]:
    def call() -> str:
        command = [sys.executable, "-m", "cli.main", "privacy", "audit", "--json"]
        return subprocess.run(
            command, cwd=ROOT, env=os.environ | system.environment, capture_output=True, text=True
        ).stdout

    found: list[dict[str, Any]] = json.loads(await asyncio.to_thread(call))
    return found


async def _everything(
    system: System, valkey: ValkeyServer, request: pytest.FixtureRequest
) -> dict[str, bytes]:
    """Every byte of every store: files of SQLite and of the spools, logs, PostgreSQL's dump, Redis's dump."""
    assert valkey.command("SAVE", timeout=20) == b"+OK"
    found = {"redis": (valkey.directory / "dump.rdb").read_bytes()}
    files = [path for path in system.home.rglob("*") if path.is_file() and path.suffix != ".lock"]
    if system.sql_url.startswith("sqlite"):
        main = Path(system.sql_url.partition(":///")[2])
        files += [main, *main.parent.glob(main.name + "-*")]
        assert sqlite3.connect(main).execute("SELECT count(*) FROM clicks").fetchone()[0] > 0
    else:
        server: PostgresServer = request.getfixturevalue("own_postgres")
        found["postgresql"] = await _dump(system.sql_url, server)
    for path in files:
        try:
            found[str(path.relative_to(system.home.parent))] = path.read_bytes()
        except FileNotFoundError:  # a spool that was settled meanwhile
            continue
    return found


async def _dump(url: str, server: PostgresServer) -> bytes:
    """Every table in text and in PostgreSQL's binary COPY format."""
    import io

    import asyncpg

    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    page = io.BytesIO()
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    for (table,) in tables:
        for form in ("text", "binary"):
            # A table in partitions has no rows of its own to copy.
            await connection.copy_from_query(f"SELECT * FROM {table}", output=page, format=form)
    await connection.close()
    return page.getvalue()


def _marks(everything: dict[str, bytes], person: int) -> set[tuple[str, str]]:
    """(where, what) for everything of that person that is there, in any form it may be written in."""
    texts = {"ip": IPS[person], "agent": AGENTS[person], "fbclid": FBCLIDS[person], "id": str(person)}
    wanted: dict[str, bytes] = {}
    for name, value in texts.items():
        raw = value.encode()
        wanted |= {
            name: raw,
            f"{name} utf-16": value.encode("utf-16-le"),
            f"{name} hex": raw.hex().encode(),
            f"{name} base64": base64.b64encode(raw).rstrip(b"=")[:-2],
        }
    size = 4 if person < 1 << 32 else 5
    # Six and eight bytes begin or end with these.
    wanted |= {"id big": person.to_bytes(size, "big"), "id little": person.to_bytes(size, "little")}
    return {
        (place, name)
        for place, content in everything.items()
        for name, mark in wanted.items()
        if mark in content
    }
