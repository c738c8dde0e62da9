"""Twenty thousand conversions over twenty pixels while everything that can go wrong does: `python -m
tests.journeys.twenty_thousand [--postgres] [--scale 0.1]` prints what became of them; the test of that name judges it.

Meta throttles, fails, hangs, is slow, resets connections, loses answers, says that it has received fewer, is away for two
seconds, refuses one event in a hundred, and has revoked two tokens. The relay is killed ten times meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from backends.sql.schema import outbox
from chaos.servers import PostgresServer
from domain.conversions import LaneStatus, meta_lane, pixel_of
from tests.delivery.trade import Key, RelayProcess, Trade, trading
from tests.meta import FakeMeta
from tests.meta.kept import Call

T = TypeVar("T")
PIXELS = [f"8880000000000{number:02}" for number in range(20)]
REVOKED = (PIXELS[3], PIXELS[11])
OLD = {REVOKED[0]: 3.0, REVOKED[1]: 25.0}
"""In the lanes that are held from the beginning: how many hours old some of what waits there is."""
OLD_STARTS = 10
FIRST, WAVES = 400, 24
"""Starts of each pixel before the relay runs; then waves, in each of which every pixel has a sale too."""
TOTAL = 20_000
KILLS, LEASE_SECONDS, SEED = 10, 2.0, 20
DRAIN_SECONDS, PATIENCE_SECONDS, WAVE_SECONDS = 90.0, 15.0, 0.5


@dataclass(slots=True, kw_only=True)
class Result:
    """What became of it. caught: what Meta had and SQL did not know of, at each kill. held: how the lanes were before renewal."""

    owed: set[Key]
    bad: dict[Key, str]
    rows: list[Any]
    meta: FakeMeta
    relay: RelayProcess
    held: list[LaneStatus]
    lanes: list[LaneStatus]
    sent_while_held: int
    caught: list[int]

    @property
    def good(self) -> set[Key]:
        """What Meta is to have, each once."""
        return self.owed - self.bad.keys()

    @property
    def twice(self) -> int:
        """Events that came more than once, and that Meta told by their ids."""
        return sum(times > 1 for times in self.meta.received.values())

    def said(self, event: str, lane: str) -> set[str]:
        """At which levels the relay's log says so of a lane."""
        return {line["level"] for line in self.relay.log(event) if line.get("lane") == lane}

    def table(self) -> str:
        """The books."""
        states = Counter(row.state for row in self.rows)
        codes = Counter(row.code for row in self.rows if row.state == "rejected")
        received = self.meta.received.total()
        lines = {
            "owed": len(self.owed),
            "  sent": states["sent"],
            "  rejected": f"{states['rejected']}  {dict(codes)}",
            "  anything else": sum(states.values()) - states["sent"] - states["rejected"],
            "Meta has": len(self.meta.accepted),
            "  came": f"{received}, {self.twice} of them more than once, at most {max(self.meta.received.values())} times",
            "  not owed": len(self.meta.accepted.keys() - self.good),
            "  missing": len(self.good - self.meta.accepted.keys()),
            "calls": len(self.meta.calls),
            "faults": dict(self.meta.faults.struck),
            "refused": dict(self.meta.refused),
            "kills": f"{self.relay.kills}, with so many taken and not marked: {self.caught}",
            "attempts": dict(sorted(Counter(row.attempts for row in self.rows).items())),
        }
        return "\n".join(f"{name:16} {told}" for name, told in lines.items())


class Story:
    """What happens, in its order."""

    def __init__(self, trade: Trade, scale: float, lease: float) -> None:
        self.trade, self.meta = trade, trade.meta
        self.relay = RelayProcess(trade, lease=lease)
        self.caught: list[int] = []
        self._names = {meta_lane(pixel) for pixel in REVOKED}
        self._first, self._total = round(FIRST * scale), round(TOTAL * scale)
        self._random = random.Random(SEED)

    async def run(self) -> Result:
        try:
            return await self._run()
        finally:
            await self.relay.stop()

    async def _run(self) -> Result:
        await self._timed("a backlog", self.first)
        self.trouble()
        self.relay.start()
        await self._both()
        await self.trade.site.settle()  # reports that SQL had no time for are in the spool
        held, sent = await self._timed("held", self._held)
        await self._timed("mended", self.mend)
        await self._timed("went on", self._went_on)
        await self._timed("drained", self.drain)
        assert await self.relay.stop() == 0
        return Result(
            owed=self.trade.owed,
            bad=self.trade.bad,
            rows=await self.trade.rows(),
            meta=self.meta,
            relay=self.relay,
            held=held,
            lanes=await self.trade.lanes(PIXELS),
            sent_while_held=sent,
            caught=self.caught,
        )

    async def _both(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._timed("written", self.waves))
            group.create_task(self._timed("killed", self.kills))

    async def _timed(self, name: str, doing: Callable[[], Awaitable[T]]) -> T:
        began = time.monotonic()
        done = await doing()
        print(f"{time.monotonic() - began:5.1f} s  {name}", flush=True)
        return done

    # ------------------------------------------------------------ what happens

    async def first(self) -> None:
        """A backlog, and what has waited too long."""
        for pixel in REVOKED:
            self.meta.revoke(self.meta.pixels.token_of(pixel))
            await self.trade.starts({pixel: OLD_STARTS}, hours=OLD[pixel])
        await self.trade.starts(dict.fromkeys(PIXELS, self._first))

    def trouble(self) -> None:
        """Each by its share of all calls."""
        faults = self.meta.faults
        faults.hang(calls=6)
        faults.slow(1.5, share=0.01)
        faults.throttle(share=0.01)
        faults.fail(share=0.05)
        faults.reset(share=0.01)
        for how in ("closed", "reset", "cut"):
            faults.lose_answers(how=how, share=0.01)
        faults.short(share=0.01)
        faults.short(takes=False, says=0, share=0.005)

    async def waves(self) -> None:
        """The rest, while the relay is at work, until there are as many as there are to be."""
        sizes = self._sizes()
        for number, size in enumerate(sizes):
            share, more = divmod(size, len(PIXELS))
            await self.trade.starts({pixel: share + (at < more) for at, pixel in enumerate(PIXELS)})
            await self.trade.sales(PIXELS)
            if number == len(sizes) // 2:
                await self._outage()
            await asyncio.sleep(WAVE_SECONDS)

    def _sizes(self) -> list[int]:
        """Starts of each wave beside its sales, which are a start and a purchase each."""
        left = self._total - len(self.trade.owed) - WAVES * len(PIXELS) * 2
        return [left // WAVES + (number < left % WAVES) for number in range(WAVES)]

    async def _outage(self) -> None:
        await self.meta.go_down()
        await asyncio.sleep(2.0)
        await self.meta.come_up()

    async def kills(self) -> None:
        """Each in the middle of its work: just after Meta has taken a call, whose answer cannot have been noted yet."""
        for _ in range(KILLS):
            await self._until_taken()
            await asyncio.sleep(self._random.uniform(0.0, 1.5))
            await self._until_taken()
            self.relay.kill()
            self.caught.append(await self._unmarked())
            self.relay.start()

    async def _until_taken(self) -> None:
        """Or until it is plain that nothing comes any more, which is judged at the end."""
        before = len(self.meta.calls)
        with suppress(TimeoutError):
            await self.meta.wait_for(lambda: any(map(_is_taken, self.meta.calls[before:])), PATIENCE_SECONDS)

    async def _unmarked(self) -> int:
        """What Meta has and SQL does not know of: it will be sent again."""
        waiting = await self.trade.waiting()
        return len(waiting & self.meta.accepted.keys())

    async def _held(self) -> tuple[list[LaneStatus], int]:
        """How the lanes are whose tokens are revoked, once the log says that they are late; and what was sent through them."""
        async with asyncio.timeout(DRAIN_SECONDS):
            while {line["lane"] for line in self.relay.log("a lane is late")} < self._names:
                await asyncio.sleep(0.1)
        sent = await self.trade.count(outbox.c.lane.in_(self._names), outbox.c.state != "pending")
        return await self.trade.lanes(REVOKED), sent

    async def mend(self) -> None:
        """Tokens are renewed, and Meta is well; what it does not take stays so."""
        self.meta.faults.clear()
        self.trade.poison_again()
        await asyncio.gather(*(self.trade.renew(pixel) for pixel in REVOKED))

    async def _went_on(self) -> None:
        """The lanes that were held, without anybody's telling the relay."""
        async with asyncio.timeout(DRAIN_SECONDS):
            while any(status.sent_at_ms is None for status in await self.trade.lanes(REVOKED)):
                await asyncio.sleep(0.1)

    async def drain(self) -> None:
        """Until nothing is pending."""
        until = time.monotonic() + DRAIN_SECONDS
        while await self.trade.count(outbox.c.state == "pending"):
            assert self.relay.alive
            assert time.monotonic() < until, await self._waiting()
            await asyncio.sleep(0.2)

    async def _waiting(self) -> str:
        now = self.trade.site.clock.now_ms()
        left = [row for row in await self.trade.rows() if row.state == "pending"]
        waits = Counter((row.lane, row.code, row.attempts, (row.next_at - now) // 1000) for row in left)
        return f"{len(left)} still wait (lane, code, attempts, seconds): {waits.most_common(30)}"


async def journey(home: Path, *, sql_url: str | None = None, scale: float = 1.0) -> Result:
    """From the first click to the last answer."""
    async with trading(home, PIXELS, seed=SEED, sql_url=sql_url) as trade:
        return await Story(trade, scale, LEASE_SECONDS).run()


def _is_taken(call: Call) -> bool:
    return call.status == 200 and call.events > 0


def misplaced(result: Result) -> set[Key]:
    """What SQL has in another lane, or by another id, than it is owed to."""
    return {(pixel_of(row.lane) or "", row.event, str(row.event_id)) for row in result.rows} ^ result.owed


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--postgres", action="store_true")
    asked.add_argument("--scale", type=float, default=1.0, help="of 20,000 conversions")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as home:
        if not given.postgres:
            print(asyncio.run(journey(Path(home), scale=given.scale)).table())
            return
        with PostgresServer() as server:
            url = server.create_database("journey")
            print(asyncio.run(journey(Path(home), sql_url=url, scale=given.scale)).table())


if __name__ == "__main__":
    main()
