"""How rollups are kept up: until nothing waits, with rests, and within its time at the end."""

from __future__ import annotations

import asyncio

from analytics.rollups import LIMIT, TARGET_SECONDS, Rollups
from domain.clock import ManualClock
from runtime.metrics import Metrics


class Waiting:
    """So many changes; each fold takes a millisecond, or so long for each change."""

    def __init__(self, changes: int, clock: ManualClock, *, seconds_each: float = 0.0) -> None:
        self.left, self.folds, self._clock, self._each = changes, 0, clock, seconds_each
        self.limits: list[int] = []

    async def fold(self, limit: int) -> int:
        some = min(limit, self.left)
        self.left -= some
        self.folds += 1
        self.limits.append(limit)
        self._clock.advance(some * self._each or 0.001)
        return some

    async def waiting(self) -> int:
        return self.left


async def test_a_pass_folds_until_nothing_waits_and_the_metrics_say_how_much() -> None:
    clock, metrics = ManualClock(), Metrics()
    store = Waiting(2 * LIMIT + 5, clock)
    assert await Rollups(store, clock, metrics).pass_() == 2 * LIMIT + 5
    assert store.left == 0
    value = metrics.registry.get_sample_value
    assert value("trilha_rollup_folded_total") == 2 * LIMIT + 5
    assert value("trilha_rollup_waiting") == 0


async def test_what_waits_is_seen_while_it_is_folded() -> None:
    clock, seen = ManualClock(), list[tuple[int, int]]()

    class Watcher:
        def rollups(self, folded: int, waiting: int) -> None:
            seen.append((folded, waiting))

    await Rollups(Waiting(3 * LIMIT, clock), clock, Watcher()).pass_()
    assert seen[0] == (100, 3 * LIMIT - 100)
    assert sum(folded for folded, _ in seen) == 3 * LIMIT
    left = [waiting for _, waiting in seen]
    assert left == sorted(left, reverse=True)
    assert left[-1] == 0


async def test_a_slow_database_folds_little_at_a_time_and_a_quick_one_much() -> None:
    """Whoever brings a start waits for the fold's transaction, where there is one writer."""
    clock = ManualClock()
    slow, quick = Waiting(1000, clock, seconds_each=0.001), Waiting(20 * LIMIT, clock)
    for store in (slow, quick):
        await Rollups(store, clock, Metrics()).pass_()
    assert max(slow.limits[1:]) * 0.001 <= TARGET_SECONDS
    assert max(quick.limits) == LIMIT


async def test_at_the_end_no_fold_begins_after_its_time() -> None:
    """Service managers give ten seconds: what is not folded goes on waiting in SQL."""
    clock = ManualClock()
    store = Waiting(100 * LIMIT, clock)
    await Rollups(store, clock, Metrics()).finish(0.0035)
    assert store.folds == 4
    await Rollups(store, clock, Metrics()).finish(-1)
    assert store.folds == 4


async def test_while_settling_is_behind_folding_rests_much_longer_and_still_ends() -> None:
    """A backlog heals beside live clicks: whoever folds takes less of the machine than whoever settles."""
    rested = dict[bool, float]()
    for behind in (False, True):
        clock, loop = ManualClock(), asyncio.get_running_loop()
        rollups = Rollups(Waiting(500, clock), clock, Metrics(), behind=lambda behind=behind: behind)
        began = loop.time()
        assert await rollups.pass_() == 500
        rested[behind] = loop.time() - began
    assert rested[True] > 5 * rested[False]
