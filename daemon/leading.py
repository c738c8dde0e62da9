"""Jobs that one worker does at a time: each waits until this worker leads, and stops when it does not any more."""

import asyncio
from collections.abc import Awaitable, Callable

from backends.sql.leader import LOOK_SECONDS
from domain.observations import Observer
from domain.ports import Leader
from runtime.logs import get_logger

WATCH_SECONDS = 0.1
_log = get_logger("trilha.work")


class Leading:
    """Keeps up this worker's leadership, and does jobs under it."""

    def __init__(self, leader: Leader, observer: Observer) -> None:
        self._leader = leader
        self._observer = observer
        self._said = False
        self._turn = asyncio.Event()

    async def keep(self) -> None:
        """Take the leadership where nobody has it, and keep it, until cancelled."""
        while True:
            await self._leader.look()
            self._tell(leads=self._leader.leads)
            await asyncio.sleep(LOOK_SECONDS)

    def only(self, job: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
        """The job, waiting for the leadership. It is cancelled when that is lost: a transaction goes to its end, and no other
        begins.
        """

        async def when_leading() -> object:
            await self._turn.wait()
            task = asyncio.ensure_future(job())
            try:
                while not (await asyncio.wait({task}, timeout=WATCH_SECONDS))[0] and self._leader.leads:
                    pass
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait({task})
            return None if task.cancelled() else task.result()

        when_leading.__qualname__ = getattr(job, "__qualname__", type(job).__name__)
        return when_leading

    def _tell(self, *, leads: bool) -> None:
        (self._turn.set if leads else self._turn.clear)()
        self._observer.leader(leads=leads)
        if leads and not self._said:
            _log.info("this worker leads")
        elif self._said and not leads:
            _log.info("this worker does not lead any more")
        self._said = leads

    async def resign(self) -> None:
        """Let another one lead."""
        await self._leader.resign()
