"""Open-loop load: each request has its own moment, whatever became of those before it.

Latency counts from the moment a request was meant to be sent. A server that stalls is therefore charged for every
request that had to wait for it, not only for those that were under way (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

from loadtests.connection import Answer, Connection

CONNECTIONS = 64
LEAD_SECONDS = 0.05
OPEN_SECONDS = 5.0


@dataclass(slots=True)
class Outcome:
    """What a run saw. `latencies` and `late` are seconds; every request is either in `statuses` or in `errors`.

    `late`: how long after its moment the generator itself came to each request. It is part of the latency.
    """

    asked: int
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: array[float] = field(default_factory=lambda: array("d"))
    late: array[float] = field(default_factory=lambda: array("d"))
    tokens: list[str] = field(default_factory=list)
    errors: int = 0

    @property
    def answered(self) -> int:
        """Requests that got an answer, of whatever status."""
        return self.statuses.total()


class OpenLoop:
    """Sends `rate` requests a second for `seconds`, over at most `connections` kept-alive connections.

    `request_bytes` is one request, or a sequence of them that is gone through in order, again and again. A connection
    that is refused or closed under a request is an error of that request; it never ends the run. At the end it waits
    `grace` seconds for answers; what is still unanswered then is an error too.
    """

    def __init__(
        self,
        host: str,
        port: int,
        request_bytes: bytes | Sequence[bytes],
        rate: float,
        seconds: float,
        *,
        connections: int = CONNECTIONS,
        collect_tokens: bool = False,
        grace: float = 10.0,
    ) -> None:
        self._host = host
        self._port = port
        self._requests = [request_bytes] if isinstance(request_bytes, bytes) else request_bytes
        self._rate = rate
        self._total = max(1, round(rate * seconds))
        self._limit = connections
        self._collect = collect_tokens
        self._grace = grace
        self._outcome = Outcome(self._total)
        self._free: deque[Connection] = deque()
        self._open: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[int] = deque()
        self._all_done = asyncio.Event()
        self._stop = Event()
        self._began = 0.0

    async def run(self) -> Outcome:
        """Run to the end, which comes at the latest `grace` seconds after the last request's moment."""
        for _ in range(min(self._limit, self._total)):
            self._dial(None)
        await asyncio.wait(self._opening, timeout=OPEN_SECONDS)
        loop = asyncio.get_running_loop()
        self._began = time.monotonic() + LEAD_SECONDS
        try:
            await asyncio.to_thread(self._pace, loop)
            async with asyncio.timeout(self._grace):
                await self._all_done.wait()
        except TimeoutError:
            self._outcome.errors = self._total - self._outcome.answered
        finally:
            self._stop.set()
            await self._close()
        return self._outcome

    @property
    def latest_token(self) -> str | None:
        """The token of the last answer, when tokens are collected."""
        return self._outcome.tokens[-1] if self._outcome.tokens else None

    def _pace(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: an event loop's own timers are a millisecond coarse."""
        for number in range(self._total):
            wait = self._moment(number) - time.monotonic()
            if self._stop.wait(wait) if wait > 0 else self._stop.is_set():
                return
            loop.call_soon_threadsafe(self._due, number)

    def _moment(self, number: int) -> float:
        return self._began + number / self._rate

    def _due(self, number: int) -> None:
        self._outcome.late.append(time.monotonic() - self._moment(number))
        if self._free:
            self._send(self._free.popleft(), number)
        elif len(self._open) + len(self._opening) < self._limit:
            self._dial(number)
        else:
            self._waiting.append(number)

    def _send(self, connection: Connection, number: int) -> None:
        connection.send(number, self._requests[number % len(self._requests)])

    def _dial(self, number: int | None) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(number))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect(self, number: int | None) -> None:
        """A new connection for that request; being refused is the request's error."""
        loop = asyncio.get_running_loop()
        connection: Connection | None
        try:
            _, connection = await loop.create_connection(lambda: Connection(self), self._host, self._port)
        except OSError:
            connection = None
        if connection is None or connection.lost:
            if number is not None:
                self._failed()
            self._next_waiting()
            return
        self._open.add(connection)
        if number is None:
            self._free.append(connection)
        else:
            self._send(connection, number)

    def answered(self, connection: Connection, number: int, answer: Answer) -> None:
        """A connection has its answer, and is free for the next request unless the server closes it."""
        if self._stop.is_set():
            return
        outcome = self._outcome
        outcome.latencies.append(time.monotonic() - self._moment(number))
        outcome.statuses[answer.status] += 1
        if self._collect and "start=" in answer.location:
            outcome.tokens.append(answer.location.rpartition("start=")[2])
        self._check_done()
        if answer.closes:
            connection.close()
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def closed(self, connection: Connection) -> None:
        """A connection is gone. If a request was under way on it, nobody will answer that one."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        if connection in self._free:
            self._free.remove(connection)
        if connection.number is not None and not self._stop.is_set():
            self._failed()
        self._next_waiting()

    def _next_waiting(self) -> None:
        if self._waiting and not self._stop.is_set():
            self._dial(self._waiting.popleft())

    def _failed(self) -> None:
        self._outcome.errors += 1
        self._check_done()

    def _check_done(self) -> None:
        if self._outcome.answered + self._outcome.errors >= self._total:
            self._all_done.set()

    async def _close(self) -> None:
        for task in self._opening:
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        for connection in list(self._open):
            connection.close()
        await asyncio.sleep(0)
