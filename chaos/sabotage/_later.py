"""A spool that acknowledges from memory, and writes later: what two of the bugs are made of."""

from __future__ import annotations

import asyncio
from typing import Any

from backends.disk import DiskStore
from chaos.inside.patch import replace


def write_later(seconds: float, *, finish: bool) -> None:
    """From now on each commit is written so many seconds after it was acknowledged. finish: at the end, what is left is."""
    waiting: set[asyncio.Task[None]] = set()

    async def write(store: Any, records: list[Any]) -> None:
        await asyncio.sleep(seconds)
        await store._in_thread(lambda: store._append(records))  # noqa: SLF001  stands in the store's place

    def committing(_: Any) -> Any:
        async def commit(self: Any, batch: Any) -> None:
            task = asyncio.create_task(write(self, [record for part in batch.items for record in part]))
            waiting.add(task)
            task.add_done_callback(_forgotten(waiting))

        return commit

    def closing(close: Any) -> Any:
        async def closed(self: Any) -> None:
            for task in () if finish else tuple(waiting):
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            await close(self)

        return closed

    replace(DiskStore, "_commit", committing)
    replace(DiskStore, "close", closing)


def _forgotten(waiting: set[asyncio.Task[None]]) -> Any:
    def forget(task: asyncio.Task[None]) -> None:
        waiting.discard(task)
        if not task.cancelled():
            task.exception()  # nobody asks whether it was written: that is the bug

    return forget
