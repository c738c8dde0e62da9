"""RedisStore: a visibility cache, never an authority. Losing it loses nothing that was acknowledged.

Writes of one tick of the loop go out as one pipeline. The client never retries: a refused port costs a millisecond
here, not the seconds of its defaults, and an answer that comes too late meets a closed connection.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from backends.batch import Batcher
from backends.codec import decode_click, encode
from domain.click import Click
from domain.errors import ConfigError, RecordRejected, StoreUnavailable
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, Lookup, Receipt

PREFIX = "trilha:click:"
PROBE_KEY = "trilha:probe"
TIMEOUT_SECONDS = 0.25
_RECEIPT = Receipt(durability=Durability.TOKEN_ONLY, visible=True)


class RedisStore:
    """Clicks under `trilha:click:<id>` for `ttl_ms` milliseconds."""

    def __init__(self, url: str, *, ttl_ms: int) -> None:
        self._redis = _client(url)
        self._ttl_ms = ttl_ms
        self._puts: Batcher[tuple[str, bytes]] = Batcher(self._write)

    async def put(self, click: Click) -> Receipt:
        """Returns once Redis has answered for this click. NX: the first payload stays (I7)."""
        await asyncio.shield(self._puts.submit((_key(click.id), encode(click))))
        return _RECEIPT

    async def find(self, click_id: UUID) -> Lookup:
        """Found, Missing (never had, expired, or lost: Redis is a cache) or Unknown."""
        try:
            raw = await self._redis.get(_key(click_id))
        except (RedisError, OSError, TimeoutError):
            return UNKNOWN
        if not isinstance(raw, bytes):
            return MISSING
        try:
            return Found(decode_click(raw))
        except RecordRejected:
            return MISSING

    async def discard(self, click_id: UUID) -> None:
        """Delete the copy."""
        try:
            await self._redis.delete(_key(click_id))
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable("Redis did not answer") from error

    async def probe(self) -> None:
        """A real write: PING would say nothing about OOM, READONLY or MISCONF."""
        try:
            await self._redis.set(PROBE_KEY, b"1", px=1000)
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable("Redis did not take a write") from error

    async def close(self) -> None:
        """Finish what was submitted and close the connections."""
        await self._puts.close()
        await self._redis.aclose()

    async def _write(self, batch: Sequence[tuple[str, bytes]]) -> None:
        pipeline = self._redis.pipeline(transaction=False)
        for key, raw in batch:
            pipeline.set(key, raw, px=self._ttl_ms, nx=True)
        try:
            await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable("Redis did not take the write") from _root(error)


def _client(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            retry_on_timeout=False,
            health_check_interval=0,
            max_connections=64,
        )
    except ValueError:
        # Not the URL itself: it may hold a password.
        raise ConfigError("TRILHA_REDIS_URL must be a redis://, rediss:// or unix:// URL") from None


def _key(click_id: UUID) -> str:
    return PREFIX + click_id.hex


def _root(error: BaseException) -> BaseException:
    """The operating system's own error when there is one: a refused connection opens the breaker at once."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return error
