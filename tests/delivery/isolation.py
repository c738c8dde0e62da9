"""What a pixel that does not answer costs the others: phases with and without it, in turn, in one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from sqlalchemy import update

from backends.sql.schema import outbox
from domain.conversions import meta_lane
from tests.delivery.shop import Shop, opened, token_of
from tests.meta import FakeMeta

DEAD = "9990000000000000"
CALL_SECONDS = 0.5
"""What a call may take: the dead pixel's lane is at work all the time, and its breaker opens within a phase."""
BACKLOG = 1000
TICK_SECONDS = 0.05
SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """How long the events of healthy pixels took, from when they were due until they were marked as sent, in seconds."""

    dead: bool
    events: int
    p50: float
    p99: float
    calls_to_dead: int


def ratio(phases: Sequence[Phase]) -> float:
    """How many times as long the slowest hundredth took beside a dead pixel: by the medians of both kinds of phases."""
    with_dead = median(phase.p99 for phase in phases if phase.dead)
    return with_dead / median(phase.p99 for phase in phases if not phase.dead)


def table(phases: Sequence[Phase]) -> str:
    """A line for each phase."""
    lines = ["dead pixel  events  p50 ms  p99 ms  calls to it"]
    for phase in phases:
        name = "hangs" if phase.dead else "none"
        lines.append(
            f"{name:10}  {phase.events:6}  {phase.p50 * 1000:6.0f}  {phase.p99 * 1000:6.0f}  {phase.calls_to_dead:11}"
        )
    return "\n".join([*lines, f"p99 with / without: {ratio(phases):.2f}"])


async def measured(
    home: Path, *, sql_url: str | None = None, pixels: int = 4, pairs: int = 3, ticks: int = 20
) -> list[Phase]:
    """So many pairs of phases; in each tick every healthy pixel gets three events."""
    names = [f"777000000000{number:04}" for number in range(pixels)]
    async with (
        FakeMeta(whole=False) as meta,
        opened(home, meta, sql_url=sql_url, seconds=CALL_SECONDS) as shop,
    ):
        for pixel in (*names, DEAD):
            meta.add_pixel(pixel, token_of(pixel))
            await shop.open_pixel(pixel)
        async with _running(shop):
            await _phase(shop, meta, names, ticks // 4, dead=False)  # what is first made and opened
            return [
                await _phase(shop, meta, names, ticks, dead=dead)
                for _ in range(pairs)
                for dead in (False, True)
            ]


@asynccontextmanager
async def _running(shop: Shop) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(shop.relay.run(stop))
    try:
        yield
    finally:
        stop.set()
        await running


async def _phase(shop: Shop, meta: FakeMeta, pixels: Sequence[str], ticks: int, *, dead: bool) -> Phase:
    began, calls = shop.clock.now_ms(), len(meta.calls)
    if dead:
        meta.faults.hang(pixel=DEAD)
        await shop.queued(BACKLOG, DEAD)
    for _ in range(ticks):
        for pixel in (*pixels, DEAD) if dead else pixels:
            await shop.queued(3, pixel)
        await asyncio.sleep(TICK_SECONDS)
    took = [seconds for pixel in pixels for seconds in await _sent_since(shop, pixel, began)]
    cuts = quantiles(took, n=100)
    to_dead = sum(call.pixel == DEAD for call in meta.calls[calls:])
    meta.faults.clear()
    await _bury(shop)
    return Phase(dead=dead, events=len(took), p50=cuts[49], p99=cuts[98], calls_to_dead=to_dead)


async def _sent_since(shop: Shop, pixel: str, began: int) -> list[float]:
    async with asyncio.timeout(SETTLE_SECONDS):
        while "pending" in await shop.states(pixel):
            await asyncio.sleep(TICK_SECONDS)
    rows = [row for row in await shop.rows(pixel) if row.event_at >= began]
    return [(row.sent_at - row.event_at) / 1000 for row in rows]


async def _bury(shop: Shop) -> None:
    """Nothing waits for the dead pixel any more, and no call to it is under way."""
    over = update(outbox).where(outbox.c.lane == meta_lane(DEAD), outbox.c.state == "pending")
    async with shop.engine.begin() as connection:
        await connection.execute(over.values(state="dead", reason="the phase is over"))
    async with asyncio.timeout(SETTLE_SECONDS):
        await shop.relay.settled()
