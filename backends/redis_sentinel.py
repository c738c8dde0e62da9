"""SentinelRedis: the master that the Sentinels name, wherever it is at the moment."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from backends.redis_keeper import Keeper
from backends.redis_line import CONNECT_SECONDS, RedisLine, Reply, command
from backends.redis_topology import Ask, Places, answered, elsewhere, read_aside, trial
from backends.redis_url import Address, RedisUrl
from domain.errors import StoreUnavailable

AWAY = ("s_down", "o_down", "disconnected")


class SentinelRedis:
    """A Topology of one connection to the master, one to each Sentinel, and, if wanted, one to a replica.

    All Sentinels are asked every second, and at once when the connection is lost or the master says READONLY. What most
    of them name is the master, if it says so itself.
    """

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._keeper = Keeper(self._look)
        self._sentinels = [RedisLine(url.sentinel.at(address)) for address in url.seeds]
        self._answering = 0
        self._master: RedisLine | None = None
        self._replica: RedisLine | None = None

    async def write(self, asks: Sequence[Ask]) -> bool:
        """True; a part is never missing."""
        await self._of_master(asks)
        return True

    async def read(self, ask: Ask) -> Reply:
        """What the master has."""
        return (await self._of_master([ask]))[0]

    async def read_aside(self, ask: Ask) -> Reply:
        """What the replica has; not to have it says nothing."""
        return await read_aside(self._replica, ask)

    async def probe(self) -> None:
        """Ask the Sentinels, connect, write."""
        try:
            await self._keeper.look_now()
        except StoreUnavailable as error:
            # As a refusal: the background goes on looking in any case, and no probe burdens a master that is not there.
            raise StoreUnavailable(str(error)) from ConnectionError()
        await self._of_master([trial()])

    def places(self) -> Places:
        """The master, and how many Sentinels have answered last."""
        masters = () if self._master is None else (self._master,)
        return Places(masters=masters, sentinels=self._answering, sentinels_named=len(self._sentinels))

    async def close(self) -> None:
        """Close all connections."""
        await self._keeper.close()
        for line in (*self._sentinels, self._master, self._replica):
            if line is not None:
                await line.close()

    async def _of_master(self, asks: Sequence[Ask]) -> list[Reply]:
        master = self._master
        if master is None:
            raise StoreUnavailable("no master of Redis is known") from ConnectionError()
        try:
            return await answered(master, asks)
        except StoreUnavailable as error:
            if elsewhere(error):
                master.drop()  # it is to say what it is when it is connected to again
                self._keeper.wake()
            raise

    async def _look(self) -> None:
        named = await asyncio.gather(*(self._named_by(line) for line in self._sentinels))
        votes = Counter(address for address in named if address is not None)
        self._answering = sum(line.connected for line in self._sentinels)
        if votes:
            await self._follow(votes.most_common(1)[0][0])
        if self._master is None:
            raise StoreUnavailable("no Sentinel that answers names a master of that service")
        await self._master.connect()
        if self._url.replicas:
            await self._follow_replica()

    async def _follow(self, address: Address) -> None:
        before = self._master
        if before is not None and before.endpoint.address == address:
            return
        line = RedisLine(self._url.data.at(address, "master"), self._keeper.wake)
        await line.connect()
        self._master = line
        if before is not None:
            await before.close()

    async def _named_by(self, sentinel: RedisLine) -> Address | None:
        reply = await self._asked(sentinel, "GET-MASTER-ADDR-BY-NAME")
        match reply:
            case [bytes(host), bytes(port)] if port.isdigit():
                return Address(host=_text(host), port=int(port))
        return None

    async def _follow_replica(self) -> None:
        up = [address for line in self._sentinels if line.connected for address in await self._replicas(line)]
        before = self._replica
        if before is not None and before.endpoint.address in up and before.connected:
            return
        self._replica = None
        if before is not None:
            await before.close()
        for address in up[:1]:
            self._replica = RedisLine(self._url.data.at(address))
            await self._replica.connect()

    async def _replicas(self, sentinel: RedisLine) -> list[Address]:
        found = []
        for entry in await self._asked(sentinel, "REPLICAS"):
            words = [_text(word) for word in entry] if isinstance(entry, list) else []
            said = dict(zip(words[::2], words[1::2], strict=False))
            port = said.get("port", "")
            if port.isdecimal() and not any(word in said.get("flags", AWAY[0]) for word in AWAY):
                found.append(Address(host=said.get("ip", ""), port=int(port)))
        return found

    async def _asked(self, sentinel: RedisLine, about: str) -> list[Reply]:
        """The list that it answers; an empty one when it does not, or knows of no such service."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await sentinel.connect()
                [reply] = await answered(sentinel, [Ask(b"", command("SENTINEL", about, self._url.service))])
        except (StoreUnavailable, TimeoutError):
            return []
        return reply if isinstance(reply, list) else []


def _text(given: object) -> str:
    return given.decode(errors="replace") if isinstance(given, bytes) else str(given)
