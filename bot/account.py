"""One bot account: held by this worker alone, with an open line to Telegram, watched, and taken up again when it breaks."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from bot.intake import Handle, Intake
from bot.line import Dismissed, Flooded, Line, LineError, Me, Updates
from bot.replier import NoteBook
from bot.state_file import StateFile, later
from domain.accounts import Heartbeat, Lease, UpdateState
from domain.clock import Clock
from domain.errors import StoreError, TrilhaError
from domain.links import Bot, BotHealth
from domain.observations import Observer
from runtime.lifecycle import sleep_until
from runtime.logs import get_logger

LEASE_MS = 30_000
BEAT_SECONDS = 5.0
CHECK_SECONDS = 3.0
ME_EVERY = 20  # checks
STATE_SECONDS = 0.25
NOTE_SECONDS = 0.05
FINISH_SECONDS, BROKEN_SECONDS = 5.0, 0.25
FIRST_WAIT, LONGEST_WAIT, DISMISSED_WAIT = 0.2, 15.0, 30.0
_log = get_logger("trilha.bot")


class HeldElsewhere(TrilhaError):
    """Another worker is this bot."""


class Accounts(Protocol):
    """What SQL keeps of bot accounts (domain/ports.py has the promises)."""

    async def acquire(self, bot_id: int, worker: str, *, now_ms: int, until_ms: int) -> Lease | None: ...
    async def beat(self, bot_id: int, worker: str, heartbeat: Heartbeat, *, until_ms: int) -> bool: ...
    async def release(self, bot_id: int, worker: str) -> None: ...
    async def state(self, bot_id: int) -> UpdateState | None: ...
    async def put_health(self, bot_id: int, health: BotHealth, *, at_ms: int) -> bool: ...


MakeLine = Callable[[Bot], Awaitable[Line]]
MakeHandle = Callable[[Line], Handle]


class Account:
    """Runs one bot until it is told to stop. Telegram and the stores may come and go meanwhile."""

    def __init__(
        self,
        *,
        bot: Bot,
        worker: str,
        make_line: MakeLine,
        make_handle: MakeHandle,
        notes: NoteBook,
        accounts: Accounts,
        state_file: StateFile,
        clock: Clock,
        observer: Observer,
    ) -> None:
        self.bot = bot
        self._worker = worker
        self._make_line = make_line
        self._make_handle = make_handle
        self._notes = notes
        self._accounts = accounts
        self._state_file = state_file
        self._clock = clock
        self._observer = observer
        self._held = False
        self._heard_ms: int | None = None
        self._checked_ms: int | None = None
        self._heard_at = 0.0
        self._health: BotHealth | None = None
        self.connected = False

    async def hold(self) -> None:
        """Be the one worker of this bot. HeldElsewhere if there is another; without SQL nobody can tell, and we go on."""
        now = self._clock.now_ms()
        try:
            lease = await self._accounts.acquire(
                self.bot.id, self._worker, now_ms=now, until_ms=now + LEASE_MS
            )
        except StoreError:
            return
        if lease is not None:
            left = max(1, round((lease.until_ms - now) / 1000))
            raise HeldElsewhere(
                f"@{self.bot.username} is run by another worker ({lease.worker}). Stop that one; "
                f"if it is dead already, its place is free in {left} s"
            )
        self._held = True

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, or until another worker has taken this bot over (HeldElsewhere)."""
        wait = FIRST_WAIT
        try:
            while not stop.is_set():
                if not self._held:
                    await self.hold()
                began = self._clock.monotonic()
                wait = await self._serve_once(stop, wait)
                if self._clock.monotonic() - began > LONGEST_WAIT:
                    wait = FIRST_WAIT
                await sleep_until(stop, wait)
        finally:
            await self.let_go()

    async def _serve_once(self, stop: asyncio.Event, wait: float) -> float:
        """One line, from its opening to its end; how long to wait before the next."""
        try:
            await self._serve(stop)
        except Dismissed as error:
            await self._found(error.health)
            return DISMISSED_WAIT
        except Flooded as error:
            _log.warning("Telegram wants a pause", bot=self.bot.username, seconds=error.seconds)
            return error.seconds
        except LineError as error:
            _log.warning("the line to Telegram is broken", bot=self.bot.username, reason=str(error))
        self._observer.line("reopened")
        return min(2 * wait, LONGEST_WAIT)

    async def _serve(self, stop: asyncio.Event) -> None:
        line = await self._make_line(self.bot)
        early: list[Updates] = []
        taking: Callable[[Updates], None] = early.append

        def heard(updates: Updates) -> None:
            self._heard()
            taking(updates)

        me = intake = None
        try:
            me = await line.open(heard)
            since = await self._since(line, me)
            intake = Intake(line=line, handle=self._make_handle(line), since=since)
            taking = intake.pushed
            for updates in early:
                intake.pushed(updates)
            await self._meet(me)
            await self._follow(line, intake, me, stop)
        finally:
            self.connected = False
            seconds = FINISH_SECONDS if stop.is_set() else BROKEN_SECONDS
            if me is not None and intake is not None:
                await self._finish(intake, me, seconds)
            await line.close()

    async def _follow(self, line: Line, intake: Intake, me: Me, stop: asyncio.Event) -> None:
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
        try:
            kept = await self._accounts.state(self.bot.id)
        except StoreError:
            kept = None
        return later(self._state_file.read(me.telegram_id), kept) or await line.state()

    async def _meet(self, me: Me) -> None:
        await self._found("ok" if me.username.lower() == self.bot.username.lower() else "renamed")

    async def _watch(self, line: Line, intake: Intake) -> None:
        """Silence may be calm, or deafness: a harmless question tells. Raises LineError when there is no answer."""
        for number in range(1, 2**62):
            await asyncio.sleep(CHECK_SECONDS)
            if number % ME_EVERY == 0:
                await self._meet(await line.me())
            elif self._clock.monotonic() - self._heard_at < CHECK_SECONDS:
                continue
            else:
                await intake.compare(await line.state())
            self._checked_ms = self._clock.now_ms()

    async def _beat(self, intake: Intake) -> None:
        while True:
            if not self._held:
                await self.hold()
            else:
                await self._prolong(intake)
            if self._health is not None:
                await self._tell_health(self._health)
            await asyncio.sleep(BEAT_SECONDS)

    async def _prolong(self, intake: Intake) -> None:
        heartbeat = Heartbeat(heard_at_ms=self._heard_ms, checked_at_ms=self._checked_ms, state=intake.done)
        until = self._clock.now_ms() + LEASE_MS
        with suppress(StoreError):
            self._held = await self._accounts.beat(self.bot.id, self._worker, heartbeat, until_ms=until)
            if not self._held:
                await self.hold()

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

    async def _found(self, health: BotHealth) -> None:
        """How the bot is, told to everybody who redirects to it."""
        self._checked_ms = self._clock.now_ms()
        if health == self._health:
            return
        self._health = health
        if health != "ok":
            _log.error("this bot cannot be reached by its link", bot=self.bot.username, health=health)
        await self._tell_health(health)

    async def _tell_health(self, health: BotHealth) -> None:
        with suppress(StoreError):
            await self._accounts.put_health(self.bot.id, health, at_ms=self._clock.now_ms())

    @property
    def health(self) -> BotHealth:
        """As it was seen last."""
        return self._health or "unknown"

    def _heard(self) -> None:
        self._heard_ms, self._heard_at = self._clock.now_ms(), self._clock.monotonic()

    async def let_go(self) -> None:
        """Leave the bot to whoever comes next."""
        if self._held:
            with suppress(StoreError):
                await self._accounts.release(self.bot.id, self._worker)


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
