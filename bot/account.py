"""One bot account: held by this worker alone, with an open line to Telegram, watched, and taken up again when it breaks."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from bot.intake import Handle, Intake
from bot.line import Dismissed, Flooded, Line, LineError, Me, Updates
from bot.presence import Presence
from bot.replier import NoteBook
from bot.state_file import StateFile, later
from domain.accounts import UpdateState
from domain.clock import Clock
from domain.links import Bot
from domain.observations import Observer
from runtime.lifecycle import sleep_until
from runtime.logs import get_logger

BEAT_SECONDS = 5.0
CHECK_SECONDS = 3.0
ME_EVERY = 20  # checks
STATE_SECONDS = 0.25
NOTE_SECONDS = 0.05
FINISH_SECONDS, BROKEN_SECONDS = 5.0, 0.25
FIRST_WAIT, LONGEST_WAIT, DISMISSED_WAIT = 0.2, 15.0, 30.0
_log = get_logger("trilha.bot")

MakeLine = Callable[[Bot], Awaitable[Line]]
MakeHandle = Callable[[Line], Handle]


class Account:
    """Runs one bot until it is told to stop. Telegram and the stores may come and go meanwhile."""

    def __init__(
        self,
        *,
        bot: Bot,
        presence: Presence,
        make_line: MakeLine,
        make_handle: MakeHandle,
        notes: NoteBook,
        state_file: StateFile,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self.bot = bot
        self.presence = presence
        self._make_line = make_line
        self._make_handle = make_handle
        self._notes = notes
        self._state_file = state_file
        self._clock = clock
        self._observer = observer
        self._heard_at = 0.0
        self.connected = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until another worker has taken this bot over (HeldElsewhere)."""
        wait = FIRST_WAIT
        try:
            while not stop.is_set():
                await self.presence.hold()
                began = self._clock.monotonic()
                wait = await self._serve_once(stop, wait)
                if self._clock.monotonic() - began > LONGEST_WAIT:
                    wait = FIRST_WAIT
                await sleep_until(stop, wait)
        finally:
            await self.presence.let_go()

    async def _serve_once(self, stop: asyncio.Event, wait: float) -> float:
        """One line, from its opening to its end; how long to wait before the next."""
        try:
            await self._serve(stop)
        except Dismissed as error:
            await self.presence.found(error.health)
            return DISMISSED_WAIT
        except Flooded as error:
            _log.warning("Telegram wants a pause", bot=self.bot.username, seconds=error.seconds)
            return error.seconds
        except LineError as error:
            _log.warning("the line to Telegram is broken", bot=self.bot.username, reason=str(error))
            self._observer.reopened()
        return min(2 * wait, LONGEST_WAIT)

    async def _serve(self, stop: asyncio.Event) -> None:
        line = await self._make_line(self.bot)
        early: list[Updates] = []
        taking: Callable[[Updates], None] = early.append

        def heard(updates: Updates) -> None:
            self._heard_at = self._clock.monotonic()
            self.presence.heard()
            taking(updates)

        try:
            me = await line.open(heard)
            intake = Intake(line=line, handle=self._make_handle(line), since=await self._since(line, me))
            taking = intake.pushed
            try:
                for updates in early:
                    intake.pushed(updates)
                await self._follow(line, intake, me, stop)
            finally:
                self.connected = False
                await self._finish(intake, me, FINISH_SECONDS if stop.is_set() else BROKEN_SECONDS)
        finally:
            await line.close()

    async def _follow(self, line: Line, intake: Intake, me: Me, stop: asyncio.Event) -> None:
        await self._meet(me)
        found = await intake.catch_up()
        self._observer.recovered(found)
        self.connected = True
        _log.info("listening to Telegram", bot=self.bot.username, missed=found)
        await _first_of(
            _until(stop),
            intake.follow(),
            self._watch(line, intake),
            self._beat(intake),
            self._keep_state(intake, me),
            self._write_notes(),
        )

    async def _finish(self, intake: Intake, me: Me, seconds: float) -> None:
        """What was begun ends as far as it can in that time; the rest comes again."""
        writing = asyncio.create_task(self._write_notes())
        await intake.finish(seconds)
        writing.cancel()
        await self._notes.write()
        self._write_state(intake, me)

    async def _since(self, line: Line, me: Me) -> UpdateState:
        """Where to begin: after what is done as the file or SQL knows it; now, for a bot that never ran here."""
        before = later(self._state_file.read(me.telegram_id), await self.presence.done_before())
        return before or await line.state()

    async def _meet(self, me: Me) -> None:
        same = me.username.lower() == self.bot.username.lower()
        await self.presence.found("ok" if same else "renamed")

    async def _watch(self, line: Line, intake: Intake) -> None:
        """Silence may be calm, or deafness: a harmless question tells. Raises LineError when there is no answer."""
        for number in range(1, 2**62):
            await asyncio.sleep(CHECK_SECONDS)
            if number % ME_EVERY == 0:
                await self._meet(await line.me())
            elif self._clock.monotonic() - self._heard_at >= CHECK_SECONDS:
                await intake.compare(await line.state())
                self.presence.checked()

    async def _beat(self, intake: Intake) -> None:
        while True:
            await self.presence.beat(intake.done)
            await asyncio.sleep(BEAT_SECONDS)

    async def _keep_state(self, intake: Intake, me: Me) -> None:
        while True:
            await asyncio.sleep(STATE_SECONDS)
            self._write_state(intake, me)

    def _write_state(self, intake: Intake, me: Me) -> None:
        try:
            self._state_file.write(me.telegram_id, intake.done)
        except OSError as error:
            _log.warning("how far the updates are done cannot be kept", error=type(error).__name__)

    async def _write_notes(self) -> None:
        while True:
            await self._notes.wait_for_some(BEAT_SECONDS)
            await self._notes.write()
            await asyncio.sleep(NOTE_SECONDS)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Until the first of them ends; raises what it raised. The others are cancelled."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, Exception):
            raise error
