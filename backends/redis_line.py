"""RedisLine: one connection to Redis, driven by hand on hiredis' codec.

What is sent in one tick of the loop goes out in one write (uvloop gathers it), and replies are matched in their order.
A connection whose reply is late is closed and never used again, so that what comes next does not wait behind it. It is
opened only by `connect` and, after a loss, in the background; no request ever waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, cast

import hiredis

from backends.redis_url import Endpoint
from domain.errors import StoreUnavailable

CONNECT_SECONDS = 0.25
# A reply is late after as long as a redirect waits for Redis (15 ms of 50), however little of it was left to whoever asked.
LATE_SECONDS = 0.015
# A loop that stood still itself finds the reply in the socket: it is to look there before it closes anything.
LOOK_SECONDS = 0.001
Reply = bytes | int | list[Any] | hiredis.HiredisError | None


class RedisLine:
    """Sends commands and gives back their replies. Raises StoreUnavailable without a connection.

    `lost` is told whenever the connection is lost that was there.
    """

    def __init__(self, endpoint: Endpoint, lost: Callable[[], None] = lambda: None) -> None:
        self.endpoint = endpoint
        self._tell_lost = lost
        self._protocol: _Protocol | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def connected(self) -> bool:
        """True when something can be sent."""
        return self._protocol is not None

    def send(self, commands: bytes, replies: int) -> asyncio.Future[list[Reply]]:
        """The replies of `commands` (packed; `replies` of them), once all are there. ConnectionError inside when lost."""
        if self._protocol is None:
            raise StoreUnavailable("Redis is not connected") from ConnectionError()
        return self._protocol.send(commands, replies)

    def drop(self) -> None:
        """Close the connection at once; whatever was waiting fails. A new one is opened in the background."""
        if self._protocol is not None:
            self._protocol.abort()

    def give_up(self, reply: asyncio.Future[list[Reply]]) -> None:
        """Nobody waits for that reply any more. Closes the connection once it is late, if it has not come by then."""
        reply.cancel()
        if self._protocol is not None:
            self._protocol.expect(reply)

    async def connect(self) -> None:
        """Open the connection, if there is none. StoreUnavailable when that fails or takes longer than 250 ms."""
        if self._protocol is not None:
            return
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._open())
        await asyncio.shield(self._connecting)

    async def close(self) -> None:
        """Close for good."""
        self._closed = True
        self.drop()
        if self._connecting is not None:
            self._connecting.cancel()
            with suppress(asyncio.CancelledError, StoreUnavailable):
                await self._connecting

    async def _open(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                protocol = await self._dial()
                await self._greet(protocol)
        except hiredis.HiredisError as error:
            raise StoreUnavailable(f"Redis refused: {code_of(error)}") from error
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"Redis cannot be reached: {type(error).__name__}") from error
        if protocol.closed:
            raise StoreUnavailable("Redis closed the connection")
        self._protocol = protocol
        protocol.lost = self._lost

    async def _dial(self) -> "_Protocol":
        loop, where = asyncio.get_running_loop(), self.endpoint.address
        if where.path:
            _, protocol = await loop.create_unix_connection(_Protocol, where.path)
        else:
            _, protocol = await loop.create_connection(
                _Protocol, where.host, where.port, ssl=self.endpoint.tls
            )
        return protocol

    async def _greet(self, protocol: "_Protocol") -> None:
        """What the endpoint says, and PING when there is nothing to say: a server may greet with an error."""
        commands = greeting(self.endpoint)
        try:
            replies = await protocol.send(b"".join(commands), len(commands))
        except asyncio.CancelledError:
            protocol.abort()
            raise
        error = first_error(replies) or _wrong_role(self.endpoint, replies[-1])
        if error is not None:
            protocol.abort()
            raise error

    def _lost(self) -> None:
        self._protocol = None
        self._tell_lost()
        if not self._closed:
            # Once, at once: a server that restarted, or closed an idle connection. Afterwards the breaker's probe tries.
            self._connecting = asyncio.get_running_loop().create_task(self._reopen())

    async def _reopen(self) -> None:
        with suppress(StoreUnavailable):
            await self._open()


class _Question(NamedTuple):
    """Commands that were sent `at` (the loop's seconds), how many replies they get, and who waits for these."""

    future: asyncio.Future[list[Reply]]
    replies: int
    at: float


class _Protocol(asyncio.Protocol):
    """Matches replies with those who wait for them, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: deque[_Question] = deque()
        self._replies: list[Reply] = []
        self.lost: Callable[[], None] = lambda: None

    @property
    def closed(self) -> bool:
        """True when nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport to write to."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def send(self, commands: bytes, replies: int) -> asyncio.Future[list[Reply]]:
        """Write; the future of that many replies."""
        if self._transport is None or self.closed:
            raise StoreUnavailable("Redis is not connected") from ConnectionError()
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        self._waiting.append(_Question(future, replies, self._loop.time()))
        self._transport.write(commands)
        return future

    def expect(self, reply: asyncio.Future[list[Reply]]) -> None:
        """Close when it is late and has not come. Replies come in order: one that nobody waits for keeps its place."""
        asked = next((each for each in self._waiting if each.future is reply), None)
        if asked is None:
            return
        left = asked.at + LATE_SECONDS - self._loop.time()
        self._loop.call_later(max(left, LOOK_SECONDS), self._close_for, reply)

    def _close_for(self, reply: asyncio.Future[list[Reply]]) -> None:
        if any(each.future is reply for each in self._waiting):
            self.abort()

    def abort(self) -> None:
        """Close without sending what is left."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take replies off the wire and hand each caller its own."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._replies.append(reply)
                self._answer()
        except hiredis.ProtocolError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Everyone who waits hears of it."""
        self._transport = None
        error = ConnectionError("the connection to Redis was lost")
        error.__cause__ = exc
        for asked in self._waiting:
            if not asked.future.done():
                asked.future.set_exception(error)
        self._waiting.clear()
        self.lost()

    def _answer(self) -> None:
        if not self._waiting:
            # A reply to no question: the server greets with an error, or the two of us disagree.
            self.abort()
            return
        asked = self._waiting[0]
        if len(self._replies) == asked.replies:
            self._waiting.popleft()
            replies, self._replies = self._replies, []
            if not asked.future.done():
                asked.future.set_result(replies)


def command(*parts: str | bytes | int) -> bytes:
    """A command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(parts)  # type: ignore[arg-type]  # its stub knows tuples of one part only
    return packed


def first_error(replies: Sequence[Reply]) -> hiredis.HiredisError | None:
    """The first error among the replies."""
    return next((reply for reply in replies if isinstance(reply, hiredis.HiredisError)), None)


def code_of(error: hiredis.HiredisError) -> str:
    """An error's first word, such as OOM or MOVED. The rest may name keys and addresses."""
    return str(error).partition(" ")[0]


def greeting(endpoint: Endpoint) -> list[bytes]:
    """AUTH, SELECT, then what shows that the server is the one that is wanted, at the least that it answers."""
    said = []
    if endpoint.password:
        login = (endpoint.username, endpoint.password) if endpoint.username else (endpoint.password,)
        said.append(command("AUTH", *login))
    if endpoint.db:
        said.append(command("SELECT", endpoint.db))
    last = {"anyone": ("PING",), "master": ("ROLE",), "replica": ("READONLY",)}  # READONLY: of a cluster
    return [*said, command(*last[endpoint.expected])]


def _wrong_role(endpoint: Endpoint, last: Reply) -> hiredis.ReplyError | None:
    """An address may be old: what is no master any more must not be taken for one."""
    if endpoint.expected != "master" or (isinstance(last, list) and last[:1] == [b"master"]):
        return None
    return hiredis.ReplyError("READONLY it is no master")
