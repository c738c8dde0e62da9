"""What `trilha doctor` says of Redis: what it is made of, who may listen, and what will make its writes fail."""

import asyncio
import ssl
from collections.abc import Iterable, Iterator

from analytics.finding import Finding
from backends.redis import RedisStore
from backends.redis_facts import NodeFacts, facts_of
from backends.redis_topology import Places
from backends.redis_url import RedisUrl, parse_redis_url
from runtime.settings import Settings

HOW_TO = "see docs/how-to/redis.md"


async def redis(given: Settings) -> Finding:
    """A trial write, then what it is made of; what is not as it should be is a warning, and a refused write a failure."""
    if not given.redis_url:
        return Finding("redis", "warning", "not configured: clicks are durable, but look-ups are slower")
    url = parse_redis_url(given.redis_url)
    store = RedisStore(given.redis_url, ttl_ms=1000)
    try:
        await store.probe()
        places = store.topology.places()
        nodes = await asyncio.gather(*(facts_of(line) for line in places.masters))
    finally:
        await store.close()
    troubles = [*of_transport(url), *of_places(places), *of_nodes(nodes)]
    made_of = f"takes writes: {shape(url, places, nodes)}"
    if troubles:
        return Finding("redis", "warning", f"{made_of}; {'; '.join(troubles)}")
    return Finding("redis", "ok", made_of)


def shape(url: RedisUrl, places: Places, nodes: Iterable[NodeFacts | None]) -> str:
    """Of how many nodes it is made and how one gets in. No address, no name of a user."""
    replicas = sum(node.replicas for node in nodes if node is not None)
    kinds = {
        "single": "one server",
        "sentinel": f"a master that {places.sentinels} of {places.sentinels_named} Sentinels watch",
        "cluster": f"a cluster of {len(places.masters)} masters",
    }
    auth = "a password" if url.data.password else "no password"
    return f"{kinds[url.kind]}, {replicas} replicas, {auth}, {_transport(url)}"


def _transport(url: RedisUrl) -> str:
    return "a socket" if url.data.address.path else "TLS" if url.data.tls else "no TLS"


def of_transport(url: RedisUrl) -> Iterator[str]:
    """Who may listen, or pass for Redis."""
    tls = url.data.tls
    if tls is None and not all(seed.on_this_machine for seed in url.seeds):
        scheme = "rediss" if url.kind == "single" else f"rediss+{url.kind}"
        yield f"clicks go to another machine in the open: use {scheme}://, {HOW_TO}"
    if tls is not None and (tls.verify_mode == ssl.CERT_NONE or not tls.check_hostname):
        yield "TLS does not check who answers: remove ssl_cert_reqs and ssl_check_hostname, and name your CA in ssl_ca_certs"


def of_places(places: Places) -> Iterator[str]:
    """Who does not answer."""
    silent = places.sentinels_named - places.sentinels
    if silent > 0:
        yield f"{silent} of {places.sentinels_named} Sentinels do not answer"
    lost = sum(not line.connected for line in places.masters)
    if lost:
        yield f"{lost} of {len(places.masters)} masters do not answer: their share of the clicks is not visible"


def of_nodes(nodes: Iterable[NodeFacts | None]) -> Iterator[str]:
    """What will refuse writes. A server that does not let us ask is passed over."""
    full = [node for node in nodes if node is not None and node.maxmemory and node.policy == "noeviction"]
    if full:
        yield (
            f"{len(full)} of its servers refuse writes once maxmemory is reached (noeviction): "
            "CONFIG SET maxmemory-policy volatile-ttl"
        )
