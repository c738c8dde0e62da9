"""Keeper: looks around in the background, again and again, so that no request ever has to."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from domain.errors import StoreUnavailable

EVERY_SECONDS = 1.0
# Whoever is woken by every reply of a busy second looks ten times in it, not a thousand.
PAUSE_SECONDS = 0.1


class Keeper:
    """Runs `look` every second, and at once (but ten times a second at most) when it is woken; one at a time.

    `look` raises StoreUnavailable when nothing could be learnt, which the background passes over.
    """

    def __init__(self, look: Callable[[], Awaitable[None]]) -> None:
        self._look = look
        self._woken = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Something is no longer as it was."""
        self._woken.set()

    async def look_now(self) -> None:
        """Look once, and go on looking in the background from now on. Raises what `look` raises."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())
        async with self._one_at_a_time:
            await self._look()

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(EVERY_SECONDS):
                    await self._woken.wait()
            self._woken.clear()
            with suppress(StoreUnavailable):
                await self.look_now()
            await asyncio.sleep(PAUSE_SECONDS)
