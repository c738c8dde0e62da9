"""The servers of the tests keep their word: start, die, freeze and come back on the same port."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from chaos.servers import PostgresServer, ServerFailed, ServerMissing, ValkeyServer, free_port
from chaos.servers.postgres import find_postgres
from chaos.servers.valkey import find_valkey


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def plain(url: str) -> str:
    return url.replace("+asyncpg", "")


async def test_a_killed_valkey_comes_back_empty_on_its_port() -> None:
    with ValkeyServer() as server:
        url, first = server.url, server.pid
        assert server.command("SET token click") == b"+OK"
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            server.command("PING")
        server.start()
        assert (server.url, server.command("GET token")) == (url, b"$-1")
        assert server.pid != first


async def test_a_frozen_valkey_accepts_and_does_not_answer_until_thawed() -> None:
    with ValkeyServer() as server:
        server.freeze()
        with pytest.raises(TimeoutError):
            server.command("PING", timeout=0.1)
        server.thaw()
        assert server.command("PING") == b"+PONG"


async def test_valkey_takes_options_and_flushes() -> None:
    with ValkeyServer(options=("--maxmemory", "5mb")) as server:
        server.command("SET token click")
        server.flush()
        assert server.command("DBSIZE") == b":0"


async def test_a_killed_postgres_comes_back_with_what_was_committed(own_postgres: PostgresServer) -> None:
    url = plain(own_postgres.create_database("crash"))
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    own_postgres.kill()
    connection.terminate()
    with pytest.raises(ConnectionRefusedError):
        await asyncpg.connect(url)
    own_postgres.start()
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    assert await connection.fetchval("SHOW fsync") == "on"
    await connection.close()


async def test_a_stopped_postgres_starts_again_on_its_port(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    assert not own_postgres.alive
    own_postgres.start()
    await (await asyncpg.connect(plain(own_postgres.url()))).close()


async def test_a_frozen_postgres_answers_nobody_until_thawed(own_postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(plain(own_postgres.url()))
    own_postgres.freeze()
    asked = asyncio.ensure_future(connection.fetchval("SELECT 1"))
    done, _ = await asyncio.wait({asked}, timeout=0.2)
    assert not done
    own_postgres.thaw()
    assert await asked == 1
    await connection.close()


async def test_each_test_gets_a_database_of_its_own(postgres_url: str) -> None:
    connection = await asyncpg.connect(plain(postgres_url))
    assert await connection.fetchval("SELECT count(*) FROM pg_stat_user_tables") == 0
    await connection.close()


async def test_each_test_gets_an_empty_valkey(valkey: ValkeyServer, valkey_url: str) -> None:
    assert (valkey.url, valkey.command("DBSIZE")) == (valkey_url, b":0")


def test_a_closed_server_leaves_no_process_and_no_directory() -> None:
    server = ValkeyServer()
    server.start()
    pid, directory = server.pid, server.directory
    server.freeze()
    server.close()
    assert not psutil.pid_exists(pid)
    assert not directory.exists()


def test_a_forgotten_server_ends_with_its_object() -> None:
    server = ValkeyServer()
    server.start()
    process, directory = psutil.Process(server.pid), server.directory
    del server
    assert not process.is_running()
    assert not directory.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = ValkeyServer(taken.getsockname()[1], options=("--no-such-option", "1"))
        with pytest.raises(ServerFailed, match="no-such-option"):
            server.start()
        server.close()


@pytest.mark.parametrize(("variable", "find"), [("VALKEY_BIN", find_valkey), ("POSTGRES_BIN", find_postgres)])
def test_a_missing_server_is_an_error_that_says_how_to_get_one(
    variable, find, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    with pytest.raises(ServerMissing, match="apt-get install"):
        find()


def test_free_ports_differ_and_lie_below_the_ephemeral_range() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert max(ports) < 32_768
