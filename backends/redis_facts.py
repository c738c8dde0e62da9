"""What a server of Redis says of itself, for the operator's eyes."""

import asyncio
from dataclasses import dataclass

from backends.redis_line import CONNECT_SECONDS, RedisLine, command
from backends.redis_topology import Ask, answered
from domain.errors import StoreUnavailable

INFO = Ask(b"", command("INFO"))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """maxmemory: bytes, 0 for no limit. policy: what happens at that limit. replicas: that follow it."""

    maxmemory: int
    policy: str
    replicas: int


async def facts_of(line: RedisLine) -> NodeFacts | None:
    """By INFO; None when it does not answer, or does not let this user ask."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            [reply] = await answered(line, [INFO])
    except (StoreUnavailable, TimeoutError):
        return None
    lines = reply.decode(errors="replace").splitlines() if isinstance(reply, bytes) else []
    said = dict(line.partition(":")[::2] for line in lines)
    return NodeFacts(
        maxmemory=_number(said.get("maxmemory", "")),
        policy=said.get("maxmemory_policy", ""),
        replicas=_number(said.get("connected_slaves", "")),
    )


def _number(given: str) -> int:
    return int(given) if given.isdecimal() else 0
