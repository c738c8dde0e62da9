"""Group commit and auto-pipelining: one idea, used for the disk spool and for Redis.

Items submitted while a batch is being written form the next batch. So a single item waits for nobody, and under load
one fsync, or one round trip, serves many. A caller waits for its own batch only.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from domain.errors import StoreUnavailable

Item = TypeVar("Item")


@dataclass(slots=True)
class _Batch(Generic[Item]):
    written: asyncio.Future[None]
    items: list[Item] = field(default_factory=list)


class Batcher(Generic[Item]):
    """Gathers items and hands them to `write`, one batch at a time.

    `write` returns when the whole batch is kept and raises when none of it may be taken for kept. At most `waiting`
    items queue behind a slow store; beyond that `submit` raises StoreUnavailable at once (nothing grows without bound).
    """

    def __init__(
        self, write: Callable[[Sequence[Item]], Awaitable[None]], *, size: int = 512, waiting: int = 8192
    ) -> None:
        self._write = write
        self._size = size
        self._waiting_limit = waiting
        self._queue: deque[_Batch[Item]] = deque()
        self._writer: asyncio.Task[None] | None = None

    def submit(self, item: Item) -> asyncio.Future[None]:
        """The future of the item's batch. Shared by its callers: wait for it, never cancel it."""
        queue = self._queue
        if not queue or len(queue[-1].items) >= self._size:
            if len(queue) * self._size >= self._waiting_limit:
                raise StoreUnavailable("too many writes are waiting")
            queue.append(_Batch(_quiet_future()))
        batch = queue[-1]
        batch.items.append(item)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._drain())
        return batch.written

    async def close(self) -> None:
        """Wait until everything submitted has been written or has failed."""
        if self._writer is not None:
            await asyncio.wait({self._writer})

    async def _drain(self) -> None:
        # Starts on the next tick of the loop: what one tick submits is one batch.
        try:
            while self._queue:
                batch = self._queue.popleft()
                await self._write_one(batch)
        finally:
            self._writer = None

    async def _write_one(self, batch: _Batch[Item]) -> None:
        try:
            await self._write(batch.items)
        except Exception as error:  # noqa: BLE001  whatever failed, the callers of this batch must hear of it
            batch.written.set_exception(error)
        else:
            batch.written.set_result(None)


def _quiet_future() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    # Callers past their deadline no longer listen; asyncio would complain of an exception nobody took.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future
