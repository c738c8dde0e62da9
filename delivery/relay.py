"""Relay: takes what is due out of the outbox and brings it to its destinations, each lane in a task of its own.

A lane that waits for a dead destination waits alone. The relay keeps nothing that it would have to save: what is claimed
is due again when its lease is over, and how a lane is held stands in SQL.
"""

import asyncio
from collections.abc import Awaitable, Callable

from delivery.destination import Destinations
from delivery.lane import Lane, Tools
from delivery.sending import LEASE_SECONDS, Sleep
from delivery.watch import Watch
from domain.clock import Clock
from domain.conversions import UNATTRIBUTED, Touch
from domain.errors import StoreError
from domain.ids import jitter
from domain.observations import Observer
from domain.ports import Outbox
from runtime.lifecycle import sleep_until
from runtime.logs import get_logger

IDLE_SECONDS = 0.2
LOOK_SECONDS = 1.0
LOOK_SHARE = 20
"""Looking at how the lanes are takes no more than a twentieth of the time, however long the queues."""
DOWN_SECONDS = 1.0
GRACE_SECONDS = 12.0
"""How long the end waits for calls that are under way: longer than one takes (10 s), shorter than `trilha up` waits (15 s)."""
ATTRIBUTE_LIMIT = 500
ATTRIBUTE_AGAIN_MS = 30_000
ATTRIBUTE_HOURS = 24
"""A click that SQL does not have a day after its conversion is not coming: spools are settled within seconds, and from
24 hours on Meta makes little of it.
"""
_log = get_logger("trilha.delivery")


class Relay:
    """One in a process. Several processes share an outbox: each claim is one's alone."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        destinations: Destinations,
        clock: Clock,
        observer: Observer,
        touch: Touch,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[float, float], float] = jitter,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._touch = touch
        self._tools = Tools(
            outbox=outbox,
            destinations=destinations,
            clock=clock,
            observer=observer,
            stop=asyncio.Event(),
            sleep=sleep,
            jitter=jitter,
            lease=lease_seconds,
        )
        self._watch = Watch(clock, observer)
        self._lanes: dict[str, Lane] = {}
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._look_at = self._attribute_at = 0.0
        self._down = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; then the calls under way are ended, and what is claimed is given back. Nothing is raised."""
        try:
            while not stop.is_set():
                await sleep_until(stop, await self._pass_or_wait())
        finally:
            await self._end()

    async def pass_(self) -> None:
        """Look at the outbox once, and set to work whatever lane has something due. Raises StoreUnavailable."""
        await self._look()
        for name in await self._outbox.due(self._clock.now_ms()):
            if name in self._busy:
                continue
            if name != UNATTRIBUTED:
                self._begin(name, self._lane(name).work)
            elif self._clock.monotonic() >= self._attribute_at:
                self._begin(name, self._attribute)

    async def settled(self) -> None:
        """Wait until no lane is at work."""
        while self._busy:
            await asyncio.wait(self._busy.values())

    async def _pass_or_wait(self) -> float:
        """Seconds until the next pass. Whatever goes wrong in one is logged: delivery goes on."""
        try:
            await self.pass_()
        except StoreError as error:
            if not self._down:
                _log.warning("delivery waits", reason=str(error))
            self._down = True
            return self._tools.jitter(DOWN_SECONDS, 0.5)
        except Exception:  # noqa: BLE001  as above
            _log.exception("delivery stumbled")
            return DOWN_SECONDS
        if self._down:
            _log.info("delivery goes on")
        self._down = False
        return IDLE_SECONDS

    async def _look(self) -> None:
        now = self._clock.monotonic()
        if now < self._look_at:
            return
        statuses = await self._outbox.lanes()
        took = self._clock.monotonic() - now
        for status in statuses:
            if status.lane != UNATTRIBUTED:
                self._lane(status.lane).seen(status, now)
        self._watch.seen(statuses, {lane.name: lane.state for lane in self._lanes.values()})
        self._look_at = now + max(LOOK_SECONDS, LOOK_SHARE * took)

    def _lane(self, name: str) -> Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, self._tools)
        return lane

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._busy[name] = task = asyncio.create_task(_quietly(name, work))
        task.add_done_callback(lambda _: self._busy.pop(name, None))

    async def _attribute(self) -> None:
        """Whose click a conversion belongs to, for those that name a person only."""
        now_ms = self._clock.now_ms()
        # Should it fail: not at once again, as each failure is a line in the log.
        self._attribute_at = self._clock.monotonic() + DOWN_SECONDS
        await self._outbox.attribute(
            ATTRIBUTE_LIMIT,
            now_ms=now_ms,
            until_ms=now_ms + ATTRIBUTE_AGAIN_MS,
            give_up_ms=now_ms - ATTRIBUTE_HOURS * 3_600_000,
            touch=self._touch,
        )
        self._attribute_at = 0.0

    async def _end(self) -> None:
        self._tools.stop.set()
        tasks = list(self._busy.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


async def _quietly(lane: str, work: Callable[[], Awaitable[None]]) -> None:
    """One lane's trouble is logged, and no other's."""
    try:
        await work()
    except StoreError as error:
        _log.warning("a lane waits for SQL", lane=lane, reason=str(error))
    except Exception:  # noqa: BLE001  as above
        _log.exception("a lane stumbled", lane=lane)
