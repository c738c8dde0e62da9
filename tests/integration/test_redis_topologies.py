"""Redis behind Sentinels and as a cluster, when a master goes, a slot moves, or a replica is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from backends.codec import pack
from backends.redis import PREFIX, RedisStore
from backends.redis_cluster import ClusterRedis
from backends.redis_line import RedisLine
from backends.redis_sentinel import SentinelRedis
from backends.redis_url import Address, parse_redis_url
from backends.tier import Tier
from chaos.servers import HOST, ClusterSet, SentinelSet
from domain.click import Click
from domain.clock import ManualClock
from domain.errors import ConfigError, StoreUnavailable
from domain.outcomes import NOTHING_PROMISED, UNKNOWN, Found
from tests.making import bare_click, make_tier, new_id

TTL_MS = 600_000
SECONDS = 60


@pytest.fixture
def sentinels() -> Iterator[SentinelSet]:
    with SentinelSet() as servers:
        yield servers


@pytest.fixture
def cluster() -> Iterator[ClusterSet]:
    with ClusterSet() as servers:
        yield servers


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, ttl_ms=TTL_MS)
    await store.probe()
    yield store
    await store.close()


async def until_it_takes(store: RedisStore, click: Click) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(StoreUnavailable, TimeoutError):
                if await store.put(click) != NOTHING_PROMISED:
                    return
            await asyncio.sleep(0.05)


async def test_after_a_failover_writes_go_to_the_new_master_and_no_put_has_waited(
    sentinels: SentinelSet,
) -> None:
    async with opened(sentinels.url) as store:
        await store.put(bare_click())
        sentinels.server("valkey").kill()
        with suppress(StoreUnavailable):
            await store.put(bare_click())
        with pytest.raises(StoreUnavailable) as refusal:
            await store.put(bare_click())
        assert isinstance(refusal.value.__cause__, ConnectionError)
        click = bare_click()
        await until_it_takes(store, click)
        replica = sentinels.server("valkey-replica")
        assert replica.command(f"EXISTS {PREFIX}{click.id.hex}") == b":1"
        assert await store.find(click.id) == Found(click)


async def test_a_server_that_is_no_master_is_not_written_to_whatever_a_sentinel_says(
    sentinels: SentinelSet,
) -> None:
    """An address may be old: the role is asked for on arrival."""
    async with opened(sentinels.url) as store:
        master = sentinels.server("valkey")
        master.obey(f"REPLICAOF {HOST} 1", "CLIENT KILL TYPE normal")
        with suppress(StoreUnavailable):
            await store.put(bare_click())
        with pytest.raises(StoreUnavailable):
            await store.probe()
        # It would still answer look-ups, with what it had: nor is it asked.
        assert await store.find(new_id()) == UNKNOWN
        assert not any(line.connected for line in store.topology.places().masters)
        master.obey("REPLICAOF NO ONE")
        await until_it_takes(store, bare_click())


async def test_what_a_replica_has_is_found_without_the_master_and_what_it_has_not_is_unknown(
    sentinels: SentinelSet,
) -> None:
    async with opened(f"{sentinels.url}?replicas=read") as store:
        click = bare_click()
        await store.put(click)
        replica = sentinels.server("valkey-replica")
        async with asyncio.timeout(SECONDS):
            while replica.command(f"EXISTS {PREFIX}{click.id.hex}") != b":1":
                await asyncio.sleep(0.02)
        for name in ("sentinel-1", "sentinel-2", "sentinel-3", "valkey"):
            sentinels.servers[name].kill()
        assert await store.find(new_id()) == UNKNOWN
        assert await store.find(click.id) == Found(click)


async def test_a_service_that_no_sentinel_watches_is_said(sentinels: SentinelSet) -> None:
    store = RedisStore(sentinels.url.replace("/trilha", "/other"), ttl_ms=TTL_MS)
    with pytest.raises(StoreUnavailable, match="no Sentinel that answers names a master"):
        await store.probe()
    await store.close()


def of_node(store: RedisStore, port: int, *, there: bool) -> Click:
    """A click whose key that node of the cluster has, or has not."""
    topology = store.topology
    assert isinstance(topology, ClusterRedis)
    while True:
        click = bare_click()
        if (topology._master_of(f"{PREFIX}{click.id.hex}".encode()) == Address(HOST, port)) is there:
            return click


async def test_a_dead_node_hides_its_own_clicks_only_and_opens_no_breaker(cluster: ClusterSet) -> None:
    async with opened(cluster.url) as store:
        tier: Tier = make_tier("redis", store, ManualClock())
        node = cluster.server("valkey-1")
        theirs = [of_node(store, node.port, there=True) for _ in range(20)]
        others = [of_node(store, node.port, there=False) for _ in range(20)]
        cluster.servers["valkey-1-replica"].kill()
        node.kill()
        for click in theirs:
            assert await tier.put_batch([pack(click)], 1e9) is None
        for click in others:
            assert await tier.put_batch([pack(click)], 1e9) is not None
        assert tier.state == "closed"
        assert await store.put_batch(
            [pack(click) for click in (theirs[0], of_node(store, node.port, there=False))]
        ) == (NOTHING_PROMISED)
        assert await store.find(theirs[0].id) == UNKNOWN
        assert await store.find(others[0].id) == Found(others[0])


async def test_a_frozen_node_costs_one_wait_and_then_refuses_at_once(cluster: ClusterSet) -> None:
    async with opened(cluster.url) as store:
        node = cluster.server("valkey-2")
        first, second = (of_node(store, node.port, there=True) for _ in range(2))
        other = of_node(store, node.port, there=False)
        node.freeze()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.put_batch([pack(first), pack(other)])
        async with asyncio.timeout(SECONDS):
            assert await store.put(second) == NOTHING_PROMISED
        assert isinstance(store.topology, ClusterRedis)
        assert not store.topology._masters[Address(HOST, node.port)].connected
        assert await store.find(other.id) == Found(other)
        node.thaw()


async def test_a_frozen_node_costs_no_healthy_node_its_connection(cluster: ClusterSet) -> None:
    """Whichever of them the batch was sent to first."""
    async with opened(cluster.url) as store:
        frozen = cluster.server("valkey-1")
        topology = store.topology
        assert isinstance(topology, ClusterRedis)
        before = {line: line._protocol for line in topology.places().masters}
        batch = [pack(bare_click()) for _ in range(100)]
        frozen.freeze()
        waiting = [asyncio.ensure_future(store.put_batch(batch)) for _ in range(5)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await waiting[0]
        assert await asyncio.gather(*waiting[1:]) == [NOTHING_PROMISED] * 4
        kept = {line.endpoint.address.port for line, was in before.items() if line._protocol is was}
        assert kept == {cluster.server("valkey-2").port, cluster.server("valkey-3").port}
        frozen.thaw()


async def test_a_batch_that_had_no_time_left_costs_no_node_its_connection(
    cluster: ClusterSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backends.redis_line.LATE_SECONDS", 600)
    async with opened(cluster.url) as store:
        batch = [pack(bare_click()) for _ in range(100)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await store.put_batch(batch)
        assert await store.put_batch(batch) != NOTHING_PROMISED


async def test_a_late_answer_of_a_master_that_was_is_not_held_against_its_successor(
    sentinels: SentinelSet,
) -> None:
    async with opened(sentinels.url) as store:
        old, new = sentinels.server("valkey"), sentinels.server("valkey-replica")
        topology = store.topology
        assert isinstance(topology, SentinelRedis)
        new.obey("REPLICAOF NO ONE")
        old.obey(f"REPLICAOF {HOST} {new.port}")
        successor = RedisLine(topology._url.data.at(Address(HOST, new.port), "master"))
        await successor.connect()
        late = asyncio.ensure_future(store.put(bare_click()))
        await asyncio.sleep(0)  # it is sent
        was, topology._master = topology._master, successor
        with pytest.raises(StoreUnavailable, match="READONLY"):
            await late
        await store.put(bare_click())
        assert was is not None
        await was.close()


async def test_the_replica_that_takes_over_is_found(cluster: ClusterSet) -> None:
    async with opened(cluster.url) as store:
        node = cluster.server("valkey-1")
        click = of_node(store, node.port, there=True)
        node.kill()
        await until_it_takes(store, click)
        assert await store.find(click.id) == Found(click)


async def test_a_slot_that_has_moved_is_found_without_a_redirect_in_a_request(
    cluster: ClusterSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MOVED: that write is not visible, and it wakes who looks where the slot is, however seldom that is done else."""
    monkeypatch.setattr("backends.redis_keeper.EVERY_SECONDS", 600)
    async with opened(cluster.url) as store:
        node, other = cluster.server("valkey-1"), cluster.server("valkey-2")
        click = of_node(store, node.port, there=True)
        slot = node.command(f"CLUSTER KEYSLOT {PREFIX}{click.id.hex}")[1:].decode()
        name = other.text("CLUSTER MYID").decode()
        for server in (other, node):
            server.obey(f"CLUSTER SETSLOT {slot} NODE {name}")
        assert await store.put(click) == NOTHING_PROMISED
        await until_it_takes(store, click)
        assert other.command(f"EXISTS {PREFIX}{click.id.hex}") == b":1"


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://:secret@host:26379",
        "redis+sentinel://:secret@host:notaport/service",
        "redis+cluster://:secret@host/3",
        "redis+cluster://:secret@",
        "redis+moon://:secret@host",
        "unix+cluster://:secret@host",
        "redis+cluster://:secret@host?replicas=write",
        "rediss://:secret@host?ssl_ca_cert=misspelt",
        "rediss://:secret@host?ssl_ca_certs=/no/such/file",
        "redis://:secret@host?ssl_ca_certs=/without/tls",
    ],
)
def test_a_url_that_would_not_be_heeded_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_redis_url(url)
    assert "secret" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_url_of_sentinels_says_who_is_asked_and_how_one_logs_in() -> None:
    url = parse_redis_url(
        "rediss+sentinel://us%40er:p%3Aw@one:1,[::1]/main/2?sentinel_username=watch&sentinel_password=w&replicas=read"
    )
    assert url.seeds == (Address("one", 1), Address("::1", 26379))
    assert (url.data.username, url.data.password, url.data.db, url.service) == ("us@er", "p:w", 2, "main")
    assert (url.sentinel.username, url.sentinel.password, url.replicas) == ("watch", "w", True)
    assert url.data.tls is not None
    assert url.data.tls.check_hostname
