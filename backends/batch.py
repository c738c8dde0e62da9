"""Batching: one idea, used for the chain (what one tick of the loop submits), and for the disk spool (group commit).

Items that are submitted while as many batches as allowed are being written form the next batch. So a single item waits
for nobody, and under load one fsync, or one round trip, serves many. A caller waits for its own batch only.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from domain.errors import StoreUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batch(Generic[Item, Result]):
    """Items that are written together, and the futures of those who wait for them."""

    __slots__ = ("_answer", "_began", "_waiting", "items")

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self.items: list[Item] = []
        self._waiting: list[asyncio.Future[Result]] = []
        self._answer: list[Result] = []

    @property
    def age(self) -> float:
        """Seconds since the first item came."""
        return asyncio.get_running_loop().time() - self._began

    def add(self, item: Item, caller: asyncio.Future[Result]) -> None:
        """One more item, and who waits for it."""
        self.items.append(item)
        self._waiting.append(caller)

    def answer(self, result: Result) -> Result:
        """Tell every caller, and return what they were told: a batch that was answered before stays with that answer."""
        if not self._answer:
            self._answer.append(result)
            for caller in self._waiting:
                if not caller.done():
                    caller.set_result(result)
        return self._answer[0]

    def fail(self, error: BaseException) -> None:
        """Tell every caller that has not been answered."""
        for caller in self._waiting:
            if not caller.done():
                caller.set_exception(error)


class Batcher(Generic[Item, Result]):
    """Gathers items and hands them to `write`, at most `in_flight` batches of at most `size` items at a time.

    `write` returns what every caller of the batch is answered, and raises when none of it may be taken for kept; it may
    answer them earlier itself. While a batch is being written the next one gathers until that write ends, and not longer
    than `linger` seconds if it may be written beside it. `tick` is how long, in seconds, the loop was last busy before it
    came to write: what a store cannot be blamed for. At most `waiting` items queue behind a slow store; beyond that
    `submit` raises StoreUnavailable at once (nothing grows without bound).
    """

    def __init__(
        self,
        write: Callable[[Batch[Item, Result]], Awaitable[Result]],
        *,
        in_flight: int = 1,
        size: int = 512,
        waiting: int = 8192,
        linger: float = 0.0,
    ) -> None:
        self._write = write
        self._in_flight = in_flight
        self._size = size
        self._waiting_limit = waiting
        self._queue: deque[Batch[Item, Result]] = deque()
        self._writers: set[asyncio.Task[None]] = set()
        self._linger = linger
        self._lingering: asyncio.TimerHandle | None = None
        self._woken_at: float | None = None
        self.tick = 0.0

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """A future of the item's own: cancelling it disturbs nobody else."""
        queue = self._queue
        if not queue or len(queue[-1].items) >= self._size:
            if len(queue) * self._size >= self._waiting_limit:
                raise StoreUnavailable("too many writes are waiting")
            queue.append(Batch())
        loop = asyncio.get_running_loop()
        caller: asyncio.Future[Result] = loop.create_future()
        queue[-1].add(item, caller)
        if self._woken_at is None:
            # On the next tick of the loop: what one tick submits is one batch.
            self._woken_at = loop.time()
            loop.call_soon(self._woken)
        return caller

    async def close(self) -> None:
        """Wait until everything submitted has been written or has failed."""
        while self._queue or self._writers:
            self._start_writers()
            await asyncio.wait(self._writers)

    def _woken(self) -> None:
        loop = asyncio.get_running_loop()
        if self._woken_at is not None:
            self.tick = loop.time() - self._woken_at
            self._woken_at = None
        if not self._linger or not self._writers:
            self._start_writers()
        elif self._lingering is None:
            self._lingering = loop.call_later(self._linger, self._start_writers)

    def _start_writers(self) -> None:
        while self._queue and len(self._writers) < self._in_flight:
            writer = asyncio.get_running_loop().create_task(self._write_on(self._next()))
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)

    def _next(self) -> Batch[Item, Result]:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        return self._queue.popleft()

    async def _write_on(self, batch: Batch[Item, Result]) -> None:
        await self._write_one(batch)
        while self._queue:
            await self._write_one(self._next())

    async def _write_one(self, batch: Batch[Item, Result]) -> None:
        try:
            result = await self._write(batch)
        except Exception as error:  # noqa: BLE001  whatever failed, the callers of this batch must hear of it
            batch.fail(error)
        else:
            batch.answer(result)
