"""What Telegram pushes, and what it has pushed to nobody: each start is taken up, and is done before it is forgotten.

Telegram keeps a bot's updates by number. The worker asks for what comes after the last number that is *done*, at its start
and whenever one is missing. So a kill at any moment makes starts come again, never go: they are the same starts by their
ids, and their answers the same answers (docs/adr/0019).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from bot.incoming import Blocking, Incoming
from bot.line import Difference, Dismissed, Line, Updates
from bot.progress import Progress
from domain.accounts import UpdateState
from runtime.logs import get_logger

HOLE_SECONDS = 0.5
TRIES = (0.2, 1.0, 5.0)
REMEMBERED = 20_000
_log = get_logger("trilha.bot")
Key = tuple[Literal["message", "block"], int, int]
# Deals with one thing that was said. True: it may have been dealt with before. Raises Dismissed: it is to come again.
Handle = Callable[[Incoming | Blocking, bool], Awaitable[None]]


class Intake:
    """The updates of one bot while one line to Telegram is open."""

    def __init__(self, *, line: Line, handle: Handle, since: UpdateState) -> None:
        self._line = line
        self._handle = handle
        self._pts = Progress(since.pts)
        self._qts = Progress(since.qts)
        self._date = since.date
        self._tasks: dict[Key, asyncio.Task[bool]] = {}
        self._handled: dict[Key, None] = {}
        self._watchers: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()
        self._behind = asyncio.Event()
        self._dismissed: Dismissed | None = None

    @property
    def done(self) -> UpdateState:
        """The state to begin from next time: all before it is done."""
        return UpdateState(pts=self._pts.done, qts=self._qts.done, date=self._date)

    def pushed(self, updates: Updates) -> None:
        """Take up what came. Never waits."""
        for update in updates.updates:
            progress = self._pts if update.sequence == "pts" else self._qts
            progress.begin(update.end, update.count)
            task = self._take(update.says, again=False)
            self._after([task] if task else [], [(progress, update.end, update.count)])
        if not self.has_hole:
            self._date = max(self._date, updates.date)
        if updates.behind or self.has_hole:
            self._behind.set()

    @property
    def has_hole(self) -> bool:
        """True when a number was left out: it is late, or it was never pushed."""
        return self._pts.hole or self._qts.hole

    async def follow(self) -> None:
        """Ask for what is missing whenever something is, for as long as the line lives. Raises LineError."""
        while True:
            await self._behind.wait()
            if self._dismissed is not None:
                raise self._dismissed
            # Updates overtake one another by a little: only a hole that stays is one.
            await asyncio.sleep(HOLE_SECONDS if self.has_hole else 0)
            self._behind.clear()
            await self.catch_up()

    async def compare(self, theirs: UpdateState) -> None:
        """Ask for what is missing if Telegram's state is ahead of what has come."""
        if theirs.pts > self._pts.seen or theirs.qts > self._qts.seen:
            await self.catch_up()

    async def catch_up(self) -> int:
        """Ask for everything after what has come without a hole, and take it up; how much it was. Raises LineError."""
        async with self._asking:
            found, more = 0, True
            while more:
                since = UpdateState(pts=self._pts.seen, qts=self._qts.seen, date=self._date)
                difference = await self._line.difference(since)
                self._take_all(difference, since)
                found += len(difference.says)
                more = difference.more and difference.state != since
            return found

    async def finish(self, seconds: float) -> None:
        """Let what has begun come to its end, in that time; what does not comes again at the next start."""
        if self._watchers:
            await asyncio.wait(set(self._watchers), timeout=seconds)
        for task in (*self._tasks.values(), *self._watchers):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), *self._watchers, return_exceptions=True)

    def _take_all(self, difference: Difference, since: UpdateState) -> None:
        if difference.too_long:
            # Starts may be lost here: Telegram says that it does not have them any more.
            _log.error("Telegram no longer has all updates since the worker was here last")
            if difference.state.pts < since.pts:
                # Ours are another account's numbers. Asked from there, Telegram would say the same for ever.
                self._pts = Progress(difference.state.pts)
        after = difference.state
        spans = [
            (self._pts, after.pts, max(0, after.pts - since.pts)),
            (self._qts, after.qts, max(0, after.qts - since.qts)),
        ]
        for progress, end, count in spans:
            progress.begin(end, count)
        tasks = [task for said in difference.says if (task := self._take(said, again=True)) is not None]
        self._date = max(self._date, after.date)
        self._after(tasks, spans)

    def _take(self, says: Incoming | Blocking | None, *, again: bool) -> asyncio.Task[bool] | None:
        """A task that deals with it, or the one that already does; None when there is nothing to do."""
        if says is None:
            return None
        key = _key(says)
        if key in self._handled:
            return None
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._deal(key, says, again=again))
        return task

    async def _deal(self, key: Key, says: Incoming | Blocking, *, again: bool) -> bool:
        """True when it is done."""
        try:
            await self._handled_in_the_end(says, again=again)
        except Dismissed as error:
            self._dismissed = error
            self._behind.set()
            return False
        finally:
            del self._tasks[key]
        self._remember(key)
        return True

    async def _handled_in_the_end(self, says: Incoming | Blocking, *, again: bool) -> None:
        """What fails for reasons that nobody foresaw is tried again, then given up, so that it holds up nothing else."""
        for wait in TRIES:
            try:
                await self._handle(says, again)
            except Dismissed:
                raise
            except Exception as error:  # noqa: BLE001  see above
                _log.error("an update could not be dealt with", error=type(error).__name__)
                await asyncio.sleep(wait)
            else:
                return
        # A start may be lost here.
        _log.error("an update was given up")

    def _remember(self, key: Key) -> None:
        self._handled[key] = None
        if len(self._handled) > REMEMBERED:
            del self._handled[next(iter(self._handled))]

    def _after(self, tasks: list[asyncio.Task[bool]], spans: list[tuple[Progress, int, int]]) -> None:
        """Those numbers are done once all of that is."""
        if not tasks:
            _finish(spans)
            return
        watcher = asyncio.create_task(_finish_after(tasks, spans))
        self._watchers.add(watcher)
        watcher.add_done_callback(self._watchers.discard)


async def _finish_after(tasks: list[asyncio.Task[bool]], spans: list[tuple[Progress, int, int]]) -> None:
    if all(await asyncio.gather(*tasks)):
        _finish(spans)


def _finish(spans: list[tuple[Progress, int, int]]) -> None:
    for progress, end, count in spans:
        progress.finish(end, count)


def _key(says: Incoming | Blocking) -> Key:
    if isinstance(says, Incoming):
        return "message", says.person.telegram_id, says.message_id
    return "block", says.telegram_id, says.at_ms * 2 + says.blocked
