"""Rollups kept up: folding all day, in small steps, beside settling."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from domain.batch_size import BatchSize
from domain.clock import Clock

LIMIT = 2000
# Starts and settling wait for SQLite's one writer meanwhile.
TARGET_SECONDS = 0.05
RESTS = 3
RESTS_BEHIND = 60
FOLDING_SECONDS = 1.0


class Folds(Protocol):
    """Rollups in SQL. Raises StoreUnavailable."""

    async def fold(self, limit: int, /) -> int: ...
    async def waiting(self) -> int: ...


class Watcher(Protocol):
    """Hears how many changes were folded, and how many still wait."""

    def rollups(self, folded: int, waiting: int, /) -> None: ...


def nobody_is_behind() -> bool:
    """For whoever folds while nothing settles."""
    return False


class Rollups:
    """Folds what waits, in transactions of about a twentieth of a second. After each it rests three times as long as it took, and
    sixty times while settling is behind: clicks and starts come first, and a report that is late is late by little.
    """

    def __init__(
        self, store: Folds, clock: Clock, watcher: Watcher, *, behind: Callable[[], bool] = nobody_is_behind
    ) -> None:
        self._store = store
        self._clock = clock
        self._watcher = watcher
        self._behind = behind
        self._size = BatchSize(LIMIT, TARGET_SECONDS)

    async def pass_(self) -> int:
        """Fold until nothing waits; how many changes. Raises StoreUnavailable; what is not folded goes on waiting."""
        total = 0
        while folded := await self._step():
            total += folded
        return total

    async def finish(self, seconds: float) -> None:
        """Fold what waits without rests, but begin no step after so many seconds. Raises StoreUnavailable."""
        until = self._clock.monotonic() + seconds
        while self._clock.monotonic() < until and await self._store.fold(LIMIT):
            pass

    async def _step(self) -> int:
        began, limit = self._clock.monotonic(), self._size.now
        folded = await self._store.fold(limit)
        took = self._clock.monotonic() - began
        self._size.took(folded, took)
        # Less than was asked for: nothing waited any more.
        self._watcher.rollups(folded, await self._store.waiting() if folded >= limit else 0)
        if folded:
            await asyncio.sleep((RESTS_BEHIND if self._behind() else RESTS) * took)
        return folded
