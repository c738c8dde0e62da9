"""RedisStore: a visibility cache, never an authority. Losing it loses nothing that was acknowledged.

The client never retries and never connects at a request's expense: a refused port costs nothing here, not the seconds
of a library's defaults, and an answer that comes too late meets a closed connection.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from backends.codec import Packed, decode_click, pack
from backends.redis_line import RedisLine, Reply, command, first_error
from domain.click import Click
from domain.errors import RecordRejected, StoreUnavailable
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, Lookup, Receipt

PREFIX = "trilha:click:"
PROBE_KEY = "trilha:probe"
_RECEIPT = Receipt(durability=Durability.TOKEN_ONLY, visible=True)


class RedisStore:
    """Clicks under `trilha:click:<id>` for `ttl_ms` milliseconds."""

    def __init__(self, url: str, *, ttl_ms: int) -> None:
        self._line = RedisLine(url)
        self._ttl_ms = str(ttl_ms)

    async def put(self, click: Click) -> Receipt:
        """As `put_batch`, of one."""
        return await self.put_batch([pack(click)])

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        """Returns once Redis has answered for every click of it. NX: the first payload stays (I7)."""
        ttl = self._ttl_ms
        commands = [command("SET", PREFIX + click.id.hex, raw, "PX", ttl, "NX") for click, raw in batch]
        await self._ask(b"".join(commands), len(commands))
        return _RECEIPT

    async def find(self, click_id: UUID) -> Lookup:
        """Found, Missing (never had, expired, or lost: Redis is a cache) or Unknown."""
        try:
            [raw] = await self._ask(command("GET", _key(click_id)), 1)
        except StoreUnavailable:
            return UNKNOWN
        if not isinstance(raw, bytes):
            return MISSING
        try:
            return Found(decode_click(raw))
        except RecordRejected:
            return MISSING

    async def discard(self, click_id: UUID) -> None:
        """Delete the copy."""
        await self._ask(command("DEL", _key(click_id)), 1)

    async def probe(self) -> None:
        """Connect if need be, then a real write: PING would say nothing about OOM, READONLY or MISCONF."""
        await self._line.connect()
        await self._ask(command("SET", PROBE_KEY, "1", "PX", "1000"), 1)

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()

    async def _ask(self, commands: bytes, replies: int) -> list[Reply]:
        """The replies, without an error among them. Whoever stops waiting closes the connection."""
        try:
            answered = await self._line.send(commands, replies)
        except asyncio.CancelledError:
            self._line.drop()
            raise
        except ConnectionError as error:
            raise StoreUnavailable("Redis went away") from error
        refusal = first_error(answered)
        if refusal is not None:
            raise StoreUnavailable(f"Redis refused: {str(refusal).partition(' ')[0]}") from refusal
        return answered


def _key(click_id: UUID) -> str:
    return PREFIX + click_id.hex
