"""RedisStore: a visibility cache, never an authority. Losing it loses nothing that was acknowledged.

The client never retries and never connects at a request's expense: a refused port costs nothing here, not the seconds
of a library's defaults, and an answer that comes too late meets a closed connection. Which server has a key, and the way
there, is its Topology's to know.
"""

from collections.abc import Sequence
from uuid import UUID

from backends.codec import Packed, decode_click, pack
from backends.redis_cluster import ClusterRedis
from backends.redis_line import Reply, command
from backends.redis_sentinel import SentinelRedis
from backends.redis_single import SingleRedis
from backends.redis_topology import PROBE_KEY, Ask, Topology
from backends.redis_url import RedisUrl, parse_redis_url
from domain.click import Click
from domain.errors import RecordRejected, StoreUnavailable
from domain.outcomes import MISSING, NOTHING_PROMISED, UNKNOWN, Durability, Found, Lookup, Receipt

__all__ = ["PREFIX", "PROBE_KEY", "RedisStore"]

PREFIX = "trilha:click:"
_VISIBLE = Receipt(durability=Durability.TOKEN_ONLY, visible=True)


class RedisStore:
    """Clicks under `trilha:click:<id>` for `ttl_ms` milliseconds, at the Redis that `url` names."""

    def __init__(self, url: str, *, ttl_ms: int) -> None:
        self.topology = topology_of(parse_redis_url(url))
        self._ttl_ms = str(ttl_ms)

    async def put(self, click: Click) -> Receipt:
        """As `put_batch`, of one."""
        return await self.put_batch([pack(click)])

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        """Returns once Redis has answered for every click of it. NX: the first payload stays (I7).

        Nothing is promised when a part of the clicks has not been taken although Redis as a whole is well.
        """
        ttl = self._ttl_ms
        asks = []
        for click, raw in batch:
            key = PREFIX + click.id.hex
            asks.append(Ask(key.encode(), command("SET", key, raw, "PX", ttl, "NX")))
        return _VISIBLE if await self.topology.write(asks) else NOTHING_PROMISED

    async def find(self, click_id: UUID) -> Lookup:
        """Found, Missing (never had, expired, or lost: Redis is a cache) or Unknown.

        Where the one that would have it cannot be asked, a replica may: what it has is Found, and what it has not is Unknown.
        """
        try:
            raw = await self.topology.read(_get(click_id))
        except StoreUnavailable:
            return await self.find_aside(click_id)
        return _found(raw)

    async def find_aside(self, click_id: UUID) -> Lookup:
        """Found at a replica, or Unknown, without a word to the one that takes writes."""
        try:
            return _found(await self.topology.read_aside(_get(click_id)))
        except StoreUnavailable:
            return UNKNOWN

    async def discard(self, click_id: UUID) -> None:
        """Delete the copy. StoreUnavailable when it may still be there."""
        key = _key(click_id)
        if not await self.topology.write([Ask(key.encode(), command("DEL", key))]):
            raise StoreUnavailable("the node of Redis that may have the click cannot be asked")

    async def probe(self) -> None:
        """Connect if need be, then a real write: PING would say nothing about OOM, READONLY or MISCONF."""
        await self.topology.probe()

    async def close(self) -> None:
        """Close every connection."""
        await self.topology.close()


def topology_of(url: RedisUrl) -> Topology:
    """Connected to nothing yet."""
    match url.kind:
        case "sentinel":
            return SentinelRedis(url)
        case "cluster":
            return ClusterRedis(url)
        case "single":
            return SingleRedis(url.data)


def _found(raw: Reply) -> Lookup:
    if not isinstance(raw, bytes):
        return MISSING
    try:
        return Found(decode_click(raw))
    except RecordRejected:
        return MISSING


def _get(click_id: UUID) -> Ask:
    key = _key(click_id)
    return Ask(key.encode(), command("GET", key))


def _key(click_id: UUID) -> str:
    return PREFIX + click_id.hex
