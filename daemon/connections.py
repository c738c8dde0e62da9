"""Who may stay connected to a listener: caps in total and for each address, and deadlines for whoever is slow.

A paid click comes on a new connection, so a listener that is full lets go of one that asks nothing rather than refuse
a new one. Addresses are held in memory while they are connected, and told to nobody.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from daemon.client_ip import canonical, parse_address
from domain.clock import Clock
from domain.observations import Observer

Listener = Literal["public", "private"]
Reason = Literal[
    "idle", "slow_head", "slow_body", "crowded", "crowded_address", "refused", "too_large", "invalid"
]
PUBLIC_IDLE_SECONDS = 15.0
PRIVATE_IDLE_SECONDS = 75.0
HEAD_SECONDS = 10.0
BODY_SECONDS = 30.0
GRACE_SECONDS = 1.0  # a far phone needs as long to send its first request
TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`idle`: seconds without a request. `head`, `body`: seconds that one may take from its first byte on."""

    total: int
    per_address: int
    idle: float
    head: float
    body: float

    @classmethod
    def of(cls, listener: Listener, total: int, per_address: int) -> "Limits":
        """Those of a listener."""
        idle = PUBLIC_IDLE_SECONDS if listener == "public" else PRIVATE_IDLE_SECONDS
        return cls(total=total, per_address=per_address, idle=idle, head=HEAD_SECONDS, body=BODY_SECONDS)


class Connection(Protocol):
    """What is counted. `place` is where it waits, and since when; None while it is being answered, or is not counted."""

    place: "Place | None"
    group: str | None

    def let_go(self) -> None: ...


Place = dict[Connection, float]


class Connections:
    """The connections of one listener, in this process. `exempt`: addresses that bring everybody's connections."""

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Clock,
        observer: Observer,
        listener: Listener = "private",
        exempt: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._limits = limits
        self._now = clock.monotonic
        self._observer = observer
        self._listener = listener
        self._exempt = exempt
        self._open = 0
        self._new: Place = {}
        self._heads: Place = {}
        self._bodies: Place = {}
        self._idle: Place = {}
        self._groups: dict[str, dict[Connection, None]] = {}
        self._watching = False
        self._tick = min(TICK_SECONDS, limits.idle / 4, limits.head / 4)

    def arrived(self, connection: Connection, address: str) -> bool:
        """Count a new connection. False: there is no room, because all others are being answered."""
        group = "" if self._exempt(address) else group_of(address)
        mine = self._groups.get(group) if group else None
        if mine is not None and len(mine) >= self._limits.per_address:
            given_up = next((other for other in mine if other.place is not None), None)
            if not self._made_room(given_up, "crowded_address"):
                return False
        if self._open >= self._limits.total and not self._made_room(self._least_missed(), "crowded"):
            return False
        connection.group = group
        if group:
            self._groups.setdefault(group, {})[connection] = None
        self._open += 1
        self._observer.connections(self._listener, self._open)
        self._put(connection, self._new)
        return True

    def left(self, connection: Connection) -> None:
        """It is closed, whoever closed it. A second time has no effect."""
        self.busy(connection)
        group, connection.group = connection.group, None
        if group is None:
            return
        if group:
            mine = self._groups[group]
            del mine[connection]
            if not mine:
                del self._groups[group]
        self._open -= 1
        self._observer.connections(self._listener, self._open)

    def busy(self, connection: Connection) -> None:
        """It is being answered: until then it has no deadline and gives way to nobody."""
        place = connection.place
        if place is not None:
            del place[connection]
            connection.place = None

    def idle(self, connection: Connection) -> None:
        """It has had its answer."""
        self._put(connection, self._idle)

    def slow_head(self, connection: Connection) -> None:
        """A head has begun to come. Called again while it goes on coming."""
        if connection.place is not self._heads:
            self._put(connection, self._heads)

    def slow_body(self, connection: Connection) -> None:
        """A body has begun to come. Called again while it goes on coming."""
        if connection.place is not self._bodies:
            self._put(connection, self._bodies)

    def closed(self, reason: Reason) -> None:
        """One was closed for this reason."""
        self._observer.connection_closed(self._listener, reason)

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look for those who are too slow, every second while there are any connections."""
        if not self._watching:
            self._watching = True
            loop.call_later(self._tick, self._watch, loop)

    def expire(self) -> None:
        """Let go of those whose time is over."""
        limits = self._limits
        self._expire(self._new, limits.idle, "idle")
        self._expire(self._heads, limits.head, "slow_head")
        self._expire(self._bodies, limits.body, "slow_body")
        self._expire(self._idle, limits.idle, "idle")

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._watching = False
        self.expire()
        if self._open:
            self.watch(loop)

    def _expire(self, place: Place, seconds: float, reason: Reason) -> None:
        before = self._now() - seconds
        while (first := next(iter(place.items()), None)) and first[1] <= before:
            self._let_go(first[0], reason)

    def _least_missed(self) -> Connection | None:
        """Who has been slow for longest; else who has had an answer; else who came last but one and says nothing yet."""
        now = self._now()
        for place, age in (
            (self._heads, GRACE_SECONDS),
            (self._new, GRACE_SECONDS),
            (self._idle, 0.0),
            (self._heads, 0.0),
            (self._new, 0.0),
            (self._bodies, 0.0),
        ):
            first = next(iter(place.items()), None)
            if first is not None and now - first[1] >= age:
                return first[0]
        return None

    def _made_room(self, given_up: Connection | None, reason: Reason) -> bool:
        if given_up is None:
            self.closed("refused")
            return False
        self._let_go(given_up, reason)
        return True

    def _let_go(self, connection: Connection, reason: Reason) -> None:
        self.left(connection)
        self.closed(reason)
        connection.let_go()

    def _put(self, connection: Connection, place: Place) -> None:
        if connection.group is None:
            return  # it was let go, and its last words are still coming
        if connection.place is not None:
            del connection.place[connection]
        connection.place = place
        place[connection] = self._now()


def group_of(address: str) -> str:
    """Whose a connection is: an IPv4 address, mapped into IPv6 or not, or the /64 of an IPv6 one; "" for none."""
    if ":" not in address:
        return address
    raw = parse_address(address.partition("%")[0])
    if raw is None:
        return address
    return canonical(raw if len(raw) == 4 else raw[:8] + bytes(8))
