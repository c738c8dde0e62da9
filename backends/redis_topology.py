"""Topology: where Redis keeps a key, and the way there. One server, a Sentinel's master, or a cluster.

Whatever has to be found, opened or found again is found in the background or by `probe`; a write or a read uses what is
there, once, and fails at once where nothing is (ADR 0033).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from backends.redis_line import RedisLine, Reply, code_of, command, first_error
from domain.errors import StoreUnavailable

# What a server says that is no longer, or not yet, the place for a write: somebody else is, and has to be found.
ELSEWHERE = frozenset(("MOVED", "ASK", "TRYAGAIN", "READONLY", "CLUSTERDOWN", "MASTERDOWN"))
PROBE_KEY = "trilha:probe"


class Ask(NamedTuple):
    """One command as it goes over the wire, and the key that it is about."""

    key: bytes
    command: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The lines that a topology knows at this moment. sentinels: of those that were named, how many answer."""

    masters: tuple[RedisLine, ...]
    sentinels: int = 0
    sentinels_named: int = 0


class Topology(Protocol):
    """Raises StoreUnavailable when Redis as a whole cannot be asked, or refuses; never connects for a write or a read.

    `write` says True once everything was taken, and False when a part was not although the rest of Redis is well.
    `read` gives a value, or None when whoever is the authority on the key said that there is none. `probe` connects if need
    be and writes; it succeeds when some part of Redis takes writes. `read_aside` asks a replica, where
    the URL allows it: a value, or StoreUnavailable, for a replica that has nothing may only be behind. `places` is for
    whoever wants to know what is there.
    """

    async def write(self, asks: Sequence[Ask]) -> bool: ...
    async def read(self, ask: Ask) -> Reply: ...
    async def read_aside(self, ask: Ask) -> Reply: ...
    async def probe(self) -> None: ...
    def places(self) -> Places: ...
    async def close(self) -> None: ...


async def answered(line: RedisLine, asks: Sequence[Ask]) -> list[Reply]:
    """The replies, without an error among them. Whoever stops waiting closes a connection that is late."""
    replies = await sent(line, b"".join([ask.command for ask in asks]), len(asks))
    refusal = first_error(replies)
    if refusal is not None:
        raise StoreUnavailable(f"Redis refused: {code_of(refusal)}") from refusal
    return replies


async def sent(line: RedisLine, commands: bytes, replies: int) -> list[Reply]:
    """As `answered`, with the errors among them."""
    reply = line.send(commands, replies)
    try:
        return await reply
    except asyncio.CancelledError:
        line.give_up(reply)
        raise
    except ConnectionError as error:
        raise StoreUnavailable("Redis went away") from error


async def read_aside(replica: RedisLine | None, ask: Ask) -> Reply:
    """What a replica has. StoreUnavailable when it has nothing: it may be behind, so that proves nothing."""
    if replica is None:
        raise StoreUnavailable("no replica of Redis is known")
    [reply] = await answered(replica, [ask])
    if reply is None:
        raise StoreUnavailable("a replica does not have it, which says nothing")
    return reply


def trial(key: str = PROBE_KEY) -> Ask:
    """A real write that is gone in a second: PING would say nothing about OOM, READONLY or MISCONF."""
    return Ask(key.encode(), command("SET", key, "1", "PX", "1000"))


def elsewhere(error: BaseException | None) -> bool:
    """True for an error, or a StoreUnavailable of one, that says that somebody else is to be asked."""
    cause = error.__cause__ if isinstance(error, StoreUnavailable) else error
    return cause is not None and str(cause).partition(" ")[0] in ELSEWHERE
