"""ClusterRedis: many masters, each with a share of the keys. Each node's share of a batch goes to it in one write.

A node that cannot be asked costs what it would have kept, and nothing else: a lost connection refuses at once until the
background has opened it again. Nothing is sent twice: whoever answers MOVED, ASK or CLUSTERDOWN has not taken it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import hiredis

from backends.redis_keeper import Keeper
from backends.redis_line import CONNECT_SECONDS, RedisLine, Reply, code_of, command, first_error
from backends.redis_slots import SlotMap, slot_map
from backends.redis_topology import Ask, Places, answered, elsewhere, read_aside, trial
from backends.redis_url import Address, Expected, RedisUrl
from domain.errors import StoreUnavailable

MAP = Ask(b"", command("CLUSTER", "SLOTS"))
# The node is well, and only the slot is not, or no longer, its own.
ASTRAY = frozenset(("MOVED", "ASK", "TRYAGAIN"))
Lines = dict[Address, RedisLine]


class _Sent(NamedTuple):
    """A node's share on its way. The line is its own: by the time of the answer the map may be another one."""

    node: Address
    line: RedisLine
    reply: asyncio.Future[list[Reply]]


class ClusterRedis:
    """A Topology of one connection to each master, and, if wanted, one to a replica of each.

    The map is asked for every second, of one node after the other, and at once when an answer shows that it is old.
    """

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        self._keeper = Keeper(self._look)
        self._said: Reply = None
        self._map: SlotMap | None = None
        self._masters: Lines = {}
        self._replicas: Lines = {}
        self._ill: set[Address] = set()  # whose last word to a write was no
        self._turn = 0

    async def write(self, asks: Sequence[Ask]) -> bool:
        """False when a node has not taken its share; StoreUnavailable when the last word of every node was no."""
        shares = self._shares(asks)
        failures = await self._write_each(shares)
        if failures and self._all_ill:
            raise failures[0]
        return not failures and None not in shares

    async def read(self, ask: Ask) -> Reply:
        """What the master of its slot has."""
        master = self._master_of(ask.key)
        if master is None:
            raise StoreUnavailable("no node of the cluster is known to have that slot") from ConnectionError()
        try:
            return (await answered(self._masters[master], [ask]))[0]
        except StoreUnavailable as error:
            if elsewhere(error):
                self._keeper.wake()
            raise

    async def read_aside(self, ask: Ask) -> Reply:
        """What a replica of its master has; not to have it says nothing."""
        master = self._master_of(ask.key)
        return await read_aside(self._replicas.get(master) if master is not None else None, ask)

    async def probe(self) -> None:
        """Ask for the map, connect, write to every master. Succeeds when one of them takes it."""
        try:
            await self._keeper.look_now()
        except StoreUnavailable as error:
            # As a refusal: the background goes on looking in any case.
            raise StoreUnavailable(str(error)) from ConnectionError()
        trials = self._map.trials if self._map is not None else {}
        failures = await asyncio.gather(*(self._tried(node, key) for node, key in trials.items()))
        if failures and all(failures):
            last = next(failure for failure in failures if failure is not None)
            refused = ConnectionError() if elsewhere(last) else last.__cause__
            raise StoreUnavailable(str(last)) from refused

    def places(self) -> Places:
        """Its masters."""
        return Places(masters=tuple(self._masters.values()))

    async def close(self) -> None:
        """Close all connections."""
        await self._keeper.close()
        for line in (*self._masters.values(), *self._replicas.values()):
            await line.close()

    @property
    def _all_ill(self) -> bool:
        return self._ill.issuperset(self._masters)

    def _master_of(self, key: bytes) -> Address | None:
        return self._map.master_of(key) if self._map is not None else None

    def _shares(self, asks: Sequence[Ask]) -> dict[Address | None, list[bytes]]:
        """The commands by the master that they go to; None: nobody has their slot."""
        if self._map is None:
            raise StoreUnavailable("no map of the cluster is known") from ConnectionError()
        master_of = self._map.master_of
        shares: defaultdict[Address | None, list[bytes]] = defaultdict(list)
        for ask in asks:
            shares[master_of(ask.key)].append(ask.command)
        return shares

    async def _write_each(self, shares: dict[Address | None, list[bytes]]) -> list[StoreUnavailable]:
        """One write to each node, all at once; what went wrong. Whoever stops waiting closes the lines that are late."""
        failures: list[StoreUnavailable] = []
        sent: list[_Sent] = []
        for node, commands in shares.items():
            if node is None:
                continue
            line = self._masters[node]
            try:
                sent.append(_Sent(node, line, line.send(b"".join(commands), len(commands))))
            except StoreUnavailable as error:
                failures.append(self._noted(node, error))
        try:
            if sent:
                await asyncio.wait([each.reply for each in sent])
        except asyncio.CancelledError:
            self._heard(sent)
            raise
        return failures + self._heard(sent)

    def _heard(self, sent: Sequence[_Sent]) -> list[StoreUnavailable]:
        """What went wrong at the nodes that have answered; nobody waits for the others any more."""
        failures = []
        for node, line, reply in sent:
            if not reply.done():
                line.give_up(reply)
            elif (trouble := _trouble(reply)) is not None:
                failures.append(self._noted(node, trouble))
            else:
                self._ill.discard(node)
        return failures

    def _noted(self, node: Address, error: StoreUnavailable) -> StoreUnavailable:
        refusal = error.__cause__
        if elsewhere(error):
            self._keeper.wake()
        if not (isinstance(refusal, hiredis.HiredisError) and code_of(refusal) in ASTRAY):
            self._ill.add(node)
        return error

    async def _tried(self, node: Address, key: str) -> StoreUnavailable | None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await answered(self._masters[node], [trial(key)])
        except StoreUnavailable as error:
            return self._noted(node, error)
        except TimeoutError as error:
            self._ill.add(node)
            return _because(error, "a node of Redis does not answer")
        self._ill.discard(node)
        return None

    # ------------------------------------------------------------ in the background

    async def _look(self) -> None:
        said, asked = await self._asked()
        if said != self._said:
            found = slot_map(said, asked)
            masters = self._lines(found.replicas, self._masters, "anyone")
            await _connect(masters.values())
            gone = [line for node, line in self._masters.items() if node not in masters]
            self._said, self._map, self._masters = said, found, masters
            self._ill &= masters.keys()
            for line in gone:
                await line.close()
        else:
            await _connect(self._masters.values())
        if self._url.replicas and self._map is not None:
            await self._follow_replicas(self._map)

    async def _follow_replicas(self, found: SlotMap) -> None:
        firsts = {master: replicas[0] for master, replicas in found.replicas.items() if replicas}
        by_place = {line.endpoint.address: line for line in self._replicas.values()}
        lines = self._lines(firsts.values(), by_place, "replica")
        self._replicas = {master: lines[replica] for master, replica in firsts.items()}
        for place, line in by_place.items():
            if place not in lines:
                await line.close()
        await _connect(lines.values())

    def _lines(self, places: Iterable[Address], known: Lines, expected: Expected) -> Lines:
        data = self._url.data
        return {
            place: known.get(place) or RedisLine(data.at(place, expected), self._keeper.wake)
            for place in places
        }

    async def _asked(self) -> tuple[Reply, Address]:
        """What some node says of the cluster, and which: of those that take writes first, each in its turn."""
        self._turn += 1
        for line in self._sources():
            if (said := await _map_of(line)) is not None:
                return said, line.endpoint.address
        for seed in self._url.seeds:
            line = RedisLine(self._url.data.at(seed))
            try:
                if (said := await _map_of(line)) is not None:
                    return said, seed
            finally:
                await line.close()
        raise StoreUnavailable("no node of the cluster answers what it is made of")

    def _sources(self) -> list[RedisLine]:
        up = [(node in self._ill, line) for node, line in self._masters.items() if line.connected]
        turn = self._turn % len(up) if up else 0
        return [line for _, line in sorted(up[turn:] + up[:turn], key=lambda one: one[0])]


def _trouble(reply: asyncio.Future[list[Reply]]) -> StoreUnavailable | None:
    """Why a node that has answered, or was lost, has not taken all of its share; None when it has."""
    try:
        refusal = first_error(reply.result())
    except ConnectionError as lost:
        return _because(lost, "Redis went away")
    return _because(refusal, f"Redis refused: {code_of(refusal)}") if refusal else None


def _because(cause: Exception, text: str) -> StoreUnavailable:
    error = StoreUnavailable(text)
    error.__cause__ = cause
    return error


async def _connect(lines: Iterable[RedisLine]) -> None:
    """Each of them, if that is possible now."""
    await asyncio.gather(*(line.connect() for line in lines), return_exceptions=True)


async def _map_of(line: RedisLine) -> Reply:
    """None when it does not say."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await line.connect()
            return (await answered(line, [MAP]))[0]
    except (StoreUnavailable, TimeoutError):
        return None
