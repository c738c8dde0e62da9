"""The connection that is driven by hand: order, loss, lateness, and what a server may greet with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from backends.redis import RedisStore
from backends.redis_line import RedisLine, command
from backends.redis_url import parse_redis_url
from chaos.servers import HOST, ValkeyServer
from domain.errors import ConfigError, StoreUnavailable
from domain.outcomes import UNKNOWN, Found
from tests.making import bare_click, full_click

TTL_MS = 600_000


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with ValkeyServer() as made:
        yield made


@pytest.fixture
async def store(server: ValkeyServer) -> AsyncIterator[RedisStore]:
    made = RedisStore(server.url, ttl_ms=TTL_MS)
    await made.probe()
    yield made
    await made.close()


async def test_questions_of_one_tick_get_each_its_own_answer(store: RedisStore) -> None:
    batch = [full_click(language=f"l{number}") for number in range(200)]
    await asyncio.gather(*map(store.put, batch))
    assert await asyncio.gather(*(store.find(click.id) for click in batch)) == [
        Found(click) for click in batch
    ]


async def test_nothing_is_sent_before_a_connection_was_made_and_no_request_makes_one(
    server: ValkeyServer,
) -> None:
    store = RedisStore(server.url, ttl_ms=TTL_MS)
    with pytest.raises(StoreUnavailable, match="not connected"):
        await store.put(bare_click())
    assert await store.find(bare_click().id) == UNKNOWN
    await store.probe()
    await store.put(bare_click())
    await store.close()


async def test_a_late_reply_is_never_taken_for_the_next_ones(server: ValkeyServer, store: RedisStore) -> None:
    """Whoever gives up closes the connection; what the server still had to say goes with it."""
    first, second = full_click(language="first"), full_click(language="second")
    await store.put(first)
    await store.put(second)
    server.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await store.find(first.id)
    with pytest.raises(StoreUnavailable):
        async with asyncio.timeout(20):
            await store.put(bare_click())
    server.thaw()
    await until_it_works(store)
    assert await store.find(second.id) == Found(second)
    assert await store.find(first.id) == Found(first)


async def test_a_wait_that_was_cut_short_costs_no_connection_and_its_reply_is_nobody_elses(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch may have no time left at all, on a busy loop: Redis is not late yet."""
    monkeypatch.setattr("backends.redis_line.LATE_SECONDS", 600)
    first, second = full_click(language="first"), full_click(language="second")
    await store.put(first)
    await store.put(second)
    [line] = store.topology.places().masters
    before = line._protocol
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await store.find(first.id)
    assert await asyncio.gather(store.find(second.id), store.find(first.id)) == [Found(second), Found(first)]
    assert line._protocol is before


async def test_who_was_cut_short_at_a_server_that_stands_still_closes_the_connection_soon(
    server: ValkeyServer, store: RedisStore
) -> None:
    server.freeze()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await store.find(bare_click().id)
    async with asyncio.timeout(20):
        assert await store.find(bare_click().id) == UNKNOWN
    server.thaw()


async def until_it_works(store: RedisStore) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await store.probe()
            except StoreUnavailable:
                await asyncio.sleep(0)


async def test_everyone_who_waits_hears_of_a_lost_connection_at_once(
    server: ValkeyServer, store: RedisStore
) -> None:
    server.freeze()
    waiting = [asyncio.ensure_future(store.put(bare_click())) for _ in range(10)]
    await asyncio.sleep(0)
    server.kill()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 20)
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert all(isinstance(result.__cause__, ConnectionError) for result in results)


async def test_a_restarted_server_is_found_again_by_the_probe(
    server: ValkeyServer, store: RedisStore
) -> None:
    server.kill()
    with pytest.raises(StoreUnavailable):
        await store.put(bare_click())
    server.start()
    await until_it_works(store)
    click = bare_click()
    await store.put(click)
    assert await store.find(click.id) == Found(click)


async def test_a_refused_write_is_an_outage_and_the_connection_stays(
    server: ValkeyServer, store: RedisStore
) -> None:
    """OOM: the put and the probe say so, reading goes on, and no secret or key is in the message."""
    click = bare_click()
    await store.put(click)
    server.command("CONFIG SET maxmemory 1")
    for attempt in (store.put(bare_click()), store.probe()):
        with pytest.raises(StoreUnavailable, match="Redis refused: OOM"):
            await attempt
    assert await store.find(click.id) == Found(click)
    server.command("CONFIG SET maxmemory 0")
    await store.put(bare_click())


async def test_a_password_and_a_database_of_the_url_are_used() -> None:
    with ValkeyServer() as server:
        server.command("CONFIG SET requirepass hunter2")
        store = RedisStore(f"redis://:hunter2@{HOST}:{server.port}/3", ttl_ms=TTL_MS)
        await store.probe()
        click = bare_click()
        await store.put(click)
        line = RedisLine(parse_redis_url(f"redis://:hunter2@{HOST}:{server.port}/0").data)
        await line.connect()
        assert await line.send(
            command("DBSIZE") + command("SELECT", 3) + command("EXISTS", f"trilha:click:{click.id.hex}"), 3
        ) == [0, b"OK", 1]
        await line.close()
        await store.close()
        wrong = RedisStore(f"redis://:wrong-secret@{HOST}:{server.port}/0", ttl_ms=TTL_MS)
        with pytest.raises(StoreUnavailable) as refusal:
            await wrong.probe()
        assert "wrong-secret" not in str(refusal.value)
        await wrong.close()
        server.stop()


async def test_a_server_without_room_for_one_more_client_is_unavailable(
    server: ValkeyServer, store: RedisStore
) -> None:
    """It greets with an error, before it was asked anything."""
    server.command("CONFIG SET maxclients 1")
    late = RedisStore(server.url, ttl_ms=TTL_MS)
    with pytest.raises(StoreUnavailable):
        await late.probe()
    await late.close()


@pytest.mark.parametrize("url", ["http://x", "redis://:secret@host:notaport", "nonsense"])
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_redis_url(url)
    assert "secret" not in str(refusal.value)


def test_tls_is_asked_for_by_the_url() -> None:
    tls = parse_redis_url("rediss://host:6380/0").data.tls
    assert tls is not None
    assert tls.check_hostname
