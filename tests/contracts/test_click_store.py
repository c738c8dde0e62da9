"""What every ClickStore promises, leaf or chain, on real servers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from backends.chain import Ack, FallbackChain, Tiers
from backends.codec import pack
from backends.memory import MemoryStore
from backends.redis import RedisStore
from backends.ring import Ring
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.migrate import migrate
from backends.tier import TierStore
from chaos.servers import ClusterSet, PostgresServer, SentinelSet, ValkeyServer
from domain.clock import ManualClock
from domain.errors import StoreUnavailable
from domain.observations import Silent
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, Receipt
from domain.ports import ClickStore
from tests.making import PATIENT, bare_click, full_click, make_disk, make_tier, new_id, person_key

TOKEN_ONLY, SYNCED = Durability.TOKEN_ONLY, Durability.SYNCED
TTL_MS = 600_000


@dataclass(frozen=True)
class Subject:
    store: TierStore | FallbackChain
    promise: Receipt


class Maker:
    """Opens stores for one test and closes them after it."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, opened: AsyncExitStack) -> None:
        self._url = request.getfixturevalue
        self._folder = folder
        self._opened = opened

    async def make(self, name: str) -> Subject:
        match name:
            case "memory":
                return Subject(MemoryStore(), Receipt(durability=TOKEN_ONLY, visible=True))
            case "redis" | "redis-sentinel" | "redis-cluster":
                url = self._url({"redis": "valkey_url"}.get(name, f"{name.replace('-', '_')}_url"))
                return Subject(await self._redis(url), Receipt(durability=TOKEN_ONLY, visible=True))
            case "disk":
                disk = make_disk(self._folder / "spool")
                self._opened.push_async_callback(disk.close)
                return Subject(disk, Receipt(durability=SYNCED, visible=False))
            case "sql-sqlite":
                return Subject(await self._sql("sqlite_tables"), Receipt(durability=SYNCED, visible=False))
            case "sql-postgres":
                return Subject(await self._sql("postgres_tables"), Receipt(durability=SYNCED, visible=False))
            case "chain-durable":
                return Subject(await self._chain("durable"), Receipt(durability=SYNCED, visible=True))
            case _:
                return Subject(await self._chain("chain"), Receipt(durability=TOKEN_ONLY, visible=True))

    async def _redis(self, url: str) -> RedisStore:
        store = RedisStore(url, ttl_ms=TTL_MS)
        await store.probe()
        self._opened.push_async_callback(store.close)
        return store

    async def _sql(self, fixture: str) -> SqlLedger:
        engine = make_engine(self._url(fixture), patience=PATIENT)
        self._opened.push_async_callback(engine.dispose)
        return SqlLedger(engine, person_key)

    async def _chain(self, ack: Ack) -> FallbackChain:
        clock, observer = ManualClock(), Silent()
        disk = make_disk(self._folder / "spool")
        self._opened.push_async_callback(disk.close)
        tiers = Tiers(
            redis=make_tier("redis", await self._redis(self._url("valkey_url")), clock),
            disk=make_tier("disk", disk, clock),
            sql=make_tier("sql", await self._sql("sqlite_tables"), clock),
        )
        return FallbackChain(
            tiers, Ring(100, observer), ack=ack, budget=PATIENT, clock=clock, observer=observer
        )


REDISES = ["redis", "redis-sentinel", "redis-cluster"]
NAMES = ["memory", *REDISES, "disk", "sql-sqlite", "sql-postgres", "chain-durable", "chain-chain"]


@pytest.fixture(scope="module")
def redis_sentinel_url() -> Iterator[str]:
    with SentinelSet() as servers:
        yield servers.url


@pytest.fixture(scope="module")
def redis_cluster_url() -> Iterator[str]:
    with ClusterSet() as servers:
        yield servers.url


@pytest.fixture(params=NAMES)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with AsyncExitStack() as opened:
        yield await Maker(request, tmp_path, opened).make(request.param)


async def test_what_was_put_is_found_unchanged_in_every_field(subject: Subject) -> None:
    """I6: nothing is invented, reordered or dropped, absent fields included."""
    for click in (full_click(), bare_click()):
        await subject.store.put(click)
        found = await subject.store.find(click.id)
        assert found == Found(click)
        assert list(found.click.params.items()) == list(click.params.items())


async def test_the_receipt_says_what_the_store_promises(subject: Subject) -> None:
    assert await subject.store.put(full_click()) == subject.promise


async def test_the_first_payload_of_an_id_stays(subject: Subject) -> None:
    """I7: a second put of an id, with the same payload or another, changes nothing."""
    first = full_click()
    for click in (first, first, bare_click(id=first.id), full_click(id=first.id, language="en")):
        assert await subject.store.put(click) == subject.promise
    assert await subject.store.find(first.id) == Found(first)


async def test_an_unknown_id_is_missing(subject: Subject) -> None:
    await subject.store.put(bare_click())
    assert await subject.store.find(new_id()) == MISSING


async def test_a_discarded_click_is_missing_and_its_neighbour_stays(subject: Subject) -> None:
    gone, kept = full_click(), full_click()
    await subject.store.put(gone)
    await subject.store.put(kept)
    await subject.store.discard(gone.id)
    await subject.store.discard(gone.id)
    assert await subject.store.find(gone.id) == MISSING
    assert await subject.store.find(kept.id) == Found(kept)


async def test_discarding_an_absent_click_is_no_error(subject: Subject) -> None:
    await subject.store.discard(new_id())


async def test_clicks_put_together_are_found_apart(subject: Subject) -> None:
    batch = [full_click(), bare_click(), full_click(language="en")]
    if isinstance(subject.store, FallbackChain):
        receipts = await asyncio.gather(*map(subject.store.put, batch))
    else:
        receipts = [await subject.store.put_batch([pack(click) for click in batch])]
    assert set(receipts) == {subject.promise}
    assert [await subject.store.find(click.id) for click in batch] == [Found(click) for click in batch]


# ---------------------------------------------------------------- dead stores


async def is_dead(store: ClickStore) -> None:
    assert await store.find(new_id()) == UNKNOWN
    with pytest.raises(StoreUnavailable):
        await store.put(bare_click())
    with pytest.raises(StoreUnavailable):
        await store.discard(new_id())


async def test_a_killed_redis_is_unknown_and_takes_nothing() -> None:
    with ValkeyServer() as server:
        store = RedisStore(server.url, ttl_ms=TTL_MS)
        await store.probe()
        click = bare_click()
        await store.put(click)
        server.kill()
        await is_dead(store)
        with pytest.raises(StoreUnavailable) as refusal:
            await store.put(click)
        assert isinstance(refusal.value.__cause__, ConnectionError)
        await store.close()


async def test_a_dead_sentinel_set_is_unknown_and_takes_nothing() -> None:
    with SentinelSet() as servers:
        store = RedisStore(servers.url, ttl_ms=TTL_MS)
        await is_dead(store)
        await store.probe()
        await store.put(bare_click())
        for server in servers.servers.values():
            server.kill()
        await is_dead(store)
        with pytest.raises(StoreUnavailable):
            await store.probe()
        await store.close()


async def test_a_dead_cluster_is_unknown_and_takes_nothing() -> None:
    with ClusterSet() as servers:
        store = RedisStore(servers.url, ttl_ms=TTL_MS)
        await is_dead(store)
        await store.probe()
        await store.put(bare_click())
        for server in servers.servers.values():
            server.kill()
        for _ in servers.servers:  # each node is found out by a write of its own
            with suppress(StoreUnavailable):
                await store.put_batch([pack(bare_click()) for _ in range(50)])
        await is_dead(store)
        with pytest.raises(StoreUnavailable):
            await store.probe()
        await store.close()


async def test_a_spool_folder_that_is_a_file_is_unknown_and_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("not a folder")
    store = make_disk(tmp_path / "spool")
    await is_dead(store)
    await store.close()


async def test_a_spool_file_that_is_no_database_is_unknown_and_takes_nothing(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / "cache.db").write_bytes(b"no database" * 1000)
    store = make_disk(tmp_path / "spool")
    await is_dead(store)
    await store.close()


def join_aiosqlite() -> None:
    """A connection that failed still tells its loop so: wait for its thread while the loop is there."""
    for thread in threading.enumerate():
        if "_connection_worker" in thread.name:
            thread.join()


async def test_a_sqlite_file_in_no_folder_is_unknown_and_takes_nothing(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path / 'nowhere' / 'trilha.db'}", patience=PATIENT)
    await is_dead(SqlLedger(engine, person_key))
    await engine.dispose()
    join_aiosqlite()


async def test_a_database_without_tables_is_unknown_and_names_the_command_that_makes_them(
    sqlite_url: str,
) -> None:
    engine = make_engine(sqlite_url, patience=PATIENT)
    await is_dead(SqlLedger(engine, person_key))
    with pytest.raises(StoreUnavailable, match="trilha migrate"):
        await SqlLedger(engine, person_key).put(bare_click())
    await engine.dispose()


async def test_a_killed_postgres_is_unknown_and_takes_nothing() -> None:
    with PostgresServer() as server:
        engine = make_engine(server.create_database("trilha"), patience=PATIENT)
        await migrate(engine)
        store = SqlLedger(engine, person_key)
        await store.put(bare_click())
        server.kill()
        await is_dead(store)
        await engine.dispose()
