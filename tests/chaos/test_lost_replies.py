"""A reply that the proxy loses is that of a command that was applied, and of no other."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress

import asyncpg
import pytest

from chaos.proxy import Proxy, Trouble
from chaos.proxy.dialogue.cursor import Applied
from chaos.proxy.dialogue.follow import Dialogue
from chaos.servers import PostgresServer, ValkeyServer
from tests.chaos.conftest import Client


@pytest.fixture
def lost(proxy: Proxy):
    """How many replies were lost in this test."""
    before = proxy.stats().replies_lost
    return lambda: proxy.stats().replies_lost - before


# ------------------------------------------------------------ Redis


def test_a_set_is_applied_and_its_reply_lost_on_a_connection_opened_before(
    proxy: Proxy, client: Client, valkey: ValkeyServer, lost, connect
) -> None:
    proxy.set(Trouble(lose_reply=("set",)))
    assert client.ask("GET k") == b"$-1"
    with pytest.raises(ConnectionResetError):
        client.ask("SET k v")
    assert (valkey.command("EXISTS k"), lost()) == (b":1", 1)
    proxy.heal()
    assert connect(proxy.port).ask("SET k v") == b"+OK"


def test_of_a_pipeline_the_replies_before_the_lost_one_arrive_and_those_after_do_not(
    proxy: Proxy, client: Client, valkey: ValkeyServer, lost
) -> None:
    proxy.set(Trouble(lose_reply=("SET",)))
    client.send("ECHO a", "PING", "SET k v", "INCR n", "SET k w")
    assert [client.answer() for _ in range(3)] == [b"$1", b"a", b"+PONG"]
    with pytest.raises(ConnectionResetError):
        client.answer()
    assert (valkey.command("GET n"), lost()) == (b"$1", 1)


def test_a_command_that_comes_in_pieces_is_recognised(proxy: Proxy, client: Client, lost) -> None:
    value = b"SET x y\r\n+OK\r\n"  # looks like commands and replies
    command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%b\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" % (
        len(value),
        value,
    )
    proxy.set(Trouble(lose_reply=("SET",), lose_every=2))
    for at in range(len(command)):
        client.socket.sendall(command[at : at + 1])
    assert [client.answer() for _ in range(4)] == [b"+OK", b"$%d" % len(value), b"SET x y", b"+OK"]
    assert client.answer() == b""  # the end of the value
    client.socket.sendall(command)
    with pytest.raises(ConnectionResetError):
        client.answers.read()
    assert lost() == 1


def test_every_third_reply_is_lost_and_no_more_than_two(proxy: Proxy, valkey: ValkeyServer, lost) -> None:
    proxy.set(Trouble(lose_reply=("INCR",), lose_every=3, lose_count=2))
    outcomes = [tried(proxy.port, "INCR n") for _ in range(12)]
    assert outcomes == [b":1", b":2", None, b":4", b":5", None, b":7", b":8", b":9", b":10", b":11", b":12"]
    assert lost() == 2


def tried(port: int, line: str) -> bytes | None:
    with closing(Client(port)) as client, suppress(ConnectionResetError):
        return client.ask(line)
    return None


def test_an_error_is_no_lost_reply_as_nothing_was_applied(proxy: Proxy, client: Client, lost) -> None:
    proxy.set(Trouble(lose_reply=("INCR", "SET")))
    client.ask("HSET h a b")
    assert client.ask("INCR h").startswith(b"-WRONGTYPE")
    assert [client.ask("MULTI"), client.ask("SET k v"), client.ask("DISCARD")] == [b"+OK", b"+QUEUED", b"+OK"]
    assert lost() == 0


REPLIES = (
    b"%1\r\n+k\r\n*2\r\n:1\r\n$2\r\nab\r\n"  # a map of a list
    b">2\r\n+message\r\n+unasked\r\n"  # pushed, and nobody's reply
    b"|1\r\n+ttl\r\n:5\r\n*0\r\n"  # attributes before an empty list
    b"*-1\r\n_\r\n,1.5\r\n=7\r\ntxt:a\r\n\r\n#t\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_replies_of_every_kind_are_told_apart_however_they_are_cut(size: int) -> None:
    dialogue = Dialogue()
    dialogue.asked(b"a\r\nb\r\n\r\nc x y\r\nd\r\n*2\r\n$1\r\ne\r\n$0\r\n\r\n*1\r\n$1\r\nf\r\n*0\r\ng\r\n")
    found = [
        (start + applied.at, applied.command)
        for start in range(0, len(REPLIES), size)
        for applied in dialogue.answered(REPLIES[start : start + size])
    ]
    starts = [REPLIES.index(part) for part in (b"%1", b"|1", b"*-1", b"_", b",1.5", b"=7", b"#t")]
    assert found == list(zip(starts, "ABCDEFG", strict=True))


def test_a_stream_that_is_neither_protocol_is_passed_on_unheard() -> None:
    dialogue = Dialogue()
    dialogue.asked(b"GET / HTTP/1.1\r\n*x\r\n")
    assert dialogue.answered(b"$x\r\n") == [Applied(0, "GET")]
    assert dialogue.answered(b"anything") == []


@pytest.mark.parametrize(
    "asked", [b"x" * 100_000, b"*1\r\n$-9\r\n", b"*1\r\n$99999999\r\n", b"*2\r\n$1\r\na\r\n$-9\r\n"]
)
def test_a_length_that_cannot_be_meant_ends_the_listening(asked: bytes) -> None:
    dialogue = Dialogue()
    dialogue.asked(asked)
    dialogue.asked(b"\r\n*1\r\n$4\r\nPING\r\n")
    assert dialogue.answered(b"+PONG\r\n") == []


# ------------------------------------------------------------ PostgreSQL


@pytest.fixture
async def database(postgres_url: str, postgres: PostgresServer, postgres_proxy: Proxy):
    """A table, and the URLs that lead to it directly and through the proxy."""
    postgres_proxy.heal()
    direct = postgres_url.replace("+asyncpg", "")
    connection = await asyncpg.connect(direct)
    await connection.execute("CREATE TABLE kept (n int)")
    yield connection, direct.replace(str(postgres.port), str(postgres_proxy.port))
    await connection.close()
    postgres_proxy.heal()


async def test_a_commit_is_applied_and_the_connection_cut_instead_of_saying_so(
    database, postgres_proxy: Proxy
) -> None:
    direct, url = database
    through = await asyncpg.connect(url)
    postgres_proxy.set(Trouble(lose_reply=("COMMIT",), lose_count=1))
    before = postgres_proxy.stats().replies_lost
    transaction = through.transaction()
    await transaction.start()
    await through.executemany("INSERT INTO kept VALUES ($1)", [(n,) for n in range(100)])
    assert await through.fetchval("SELECT count(*) FROM kept") == 100
    with pytest.raises((ConnectionError, asyncpg.ConnectionDoesNotExistError)):
        await transaction.commit()
    assert await direct.fetchval("SELECT count(*) FROM kept") == 100
    assert postgres_proxy.stats().replies_lost == before + 1
    again = await asyncpg.connect(url)
    async with again.transaction():
        await again.execute("INSERT INTO kept VALUES (1)")
    await again.close()


async def test_a_rollback_and_a_prepared_commit_are_told_apart(database, postgres_proxy: Proxy) -> None:
    direct, url = database
    through = await asyncpg.connect(url)
    postgres_proxy.set(Trouble(lose_reply=("COMMIT",)))
    await through.execute("BEGIN")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await through.execute("SELECT 1/0")
    assert await through.execute("COMMIT") == "ROLLBACK"
    await through.execute("BEGIN")
    await through.execute("INSERT INTO kept VALUES (1)")
    with pytest.raises((ConnectionError, asyncpg.ConnectionDoesNotExistError)):
        await through.fetch("end")
    assert await direct.fetchval("SELECT count(*) FROM kept") == 1


async def test_sqlalchemys_commit_is_one_too(database, postgres_proxy: Proxy) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.ext.asyncio import create_async_engine

    direct, url = database
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    postgres_proxy.set(Trouble(lose_reply=("COMMIT",)))
    async with engine.connect() as connection:
        await connection.execute(text("INSERT INTO kept VALUES (7)"))
        with pytest.raises((ConnectionError, DBAPIError, asyncpg.PostgresError)):
            await connection.commit()
        await connection.invalidate()
    await engine.dispose()
    assert await direct.fetchval("SELECT n FROM kept") == 7


async def test_a_blackhole_holds_a_query_and_heals(database, postgres_proxy: Proxy) -> None:
    _, url = database
    through = await asyncpg.connect(url)
    postgres_proxy.set(Trouble(blackhole=True))
    query = asyncio.ensure_future(through.fetchval("SELECT 42"))
    done, _ = await asyncio.wait([query], timeout=0.2)
    assert not done
    postgres_proxy.heal()
    assert await query == 42
    await through.close()


POSTGRES = b"N" + b"N\0\0\0\x06x\0" + b"C\0\0\0\x0aBEGIN\0" + b"Z\0\0\0\x05T" + b"C\0\0\0\x0bCOMMIT\0"


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_messages_of_postgresql_are_told_apart_however_they_are_cut(size: int) -> None:
    asks = b"\0\0\0\x08\x04\xd2\x16\x2f" + b"\0\0\0\x09\0\x03\0\0\0"
    dialogue = Dialogue()
    for start in range(0, len(asks), size):
        dialogue.asked(asks[start : start + size])
    found = [
        applied.command
        for start in range(0, len(POSTGRES), size)
        for applied in dialogue.answered(POSTGRES[start : start + size])
    ]
    assert found == ["BEGIN", "COMMIT"]


def test_an_encrypted_connection_is_passed_on_unheard() -> None:
    dialogue = Dialogue()
    dialogue.asked(b"\0\0\0\x08\x04\xd2\x16\x2f")
    assert dialogue.answered(b"S") == []
    assert dialogue.answered(b"C\0\0\0\x0bCOMMIT\0") == []
