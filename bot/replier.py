"""Answers on their way to people: late rather than never, and never twice."""

import asyncio
from contextlib import suppress
from uuid import UUID

from bot.incoming import Outgoing, Person
from bot.line import Flooded, Line, Refused, Unreachable
from domain.clock import Clock
from domain.errors import StoreError
from domain.observations import Observer
from domain.people import Reply, ReplyOutcome
from domain.ports import People
from runtime.lifecycle import longer_waits
from runtime.logs import get_logger

SENDS_AT_ONCE = 32
FIRST_WAIT, LONGEST_WAIT = 0.25, 8.0
NOTE_SECONDS = 2.0
NOTES_AT_ONCE = 500
MOST_NOTES = 100_000
GIVE_UP_MS = 3_600_000
_log = get_logger("trilha.bot")


class Replier:
    """Sends one bot's answers. It waits as long as Telegram wants, and tries again for as long as the line lives."""

    def __init__(self, *, line: Line, notes: "NoteBook", clock: Clock, observer: Observer) -> None:
        self._line = line
        self._notes = notes
        self._clock = clock
        self._observer = observer
        self._places = asyncio.Semaphore(SENDS_AT_ONCE)
        self._paused_until = 0.0

    async def answer(
        self, person: Person, outgoing: Outgoing, start_id: UUID, *, began: float
    ) -> Refused | None:
        """Send it, and write down what became of it; why Telegram refused it for good, if it did.

        Raises Dismissed: the bot itself is refused, nothing was sent.
        """
        refused = await self._send(person, outgoing, start_id)
        outcome: ReplyOutcome = "sent" if refused is None else "refused"
        self._observer.reply(outcome, self._clock.monotonic() - began)
        await self._notes.add(Reply(start_id=start_id, outcome=outcome, at_ms=self._clock.now_ms()))
        return refused

    async def _send(self, person: Person, outgoing: Outgoing, start_id: UUID) -> Refused | None:
        waits = longer_waits(FIRST_WAIT, LONGEST_WAIT)
        while True:
            async with self._places:
                await self._pause()
                try:
                    await self._line.send(person, outgoing, reply_id=reply_id(start_id))
                    return None
                except Flooded as error:
                    self._paused_until = self._clock.monotonic() + error.seconds
                    _log.warning("Telegram wants a pause", seconds=error.seconds)
                    continue
                except Refused as error:
                    _log.info("an answer was refused", reason=error.name)
                    return error
                except Unreachable:
                    pass
            await asyncio.sleep(next(waits))

    async def _pause(self) -> None:
        await asyncio.sleep(max(0.0, self._paused_until - self._clock.monotonic()))


class NoteBook:
    """Notes of answers, written many at a time. One that SQL cannot take waits; what a kill takes is a note, no answer:
    Telegram itself refuses a second one with the same `reply_id`.
    """

    def __init__(self, people: People, clock: Clock) -> None:
        self._people = people
        self._clock = clock
        self._waiting: dict[UUID, Reply] = {}
        self._written: dict[UUID, asyncio.Future[None]] = {}
        self._some = asyncio.Event()

    async def add(self, reply: Reply) -> None:
        """Returns once it is written, or after a while."""
        if len(self._waiting) < MOST_NOTES:
            self._waiting[reply.start_id] = reply
        future = self._written[reply.start_id] = asyncio.get_running_loop().create_future()
        self._some.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTE_SECONDS):
                await future
        self._written.pop(reply.start_id, None)

    async def write(self) -> None:
        """Write what waits, now. A start that is still in a spool is noted later; one that never comes was erased."""
        batch = list(self._waiting.values())[:NOTES_AT_ONCE]
        self._some.clear()
        if not batch:
            return
        with suppress(StoreError):
            absent = set(await self._people.note_replies(batch))
            for reply in batch:
                if reply.start_id not in absent or self._clock.now_ms() - reply.at_ms > GIVE_UP_MS:
                    self._done(reply.start_id)
                else:
                    # To the end: others are not to wait for it.
                    self._waiting[reply.start_id] = self._waiting.pop(reply.start_id)

    async def wait_for_some(self, seconds: float) -> None:
        """Until there is something to write, or that long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._some.wait()

    def _done(self, start_id: UUID) -> None:
        self._waiting.pop(start_id, None)
        future = self._written.pop(start_id, None)
        if future is not None and not future.done():
            future.set_result(None)


def reply_id(start_id: UUID) -> int:
    """The number that Telegram tells answers apart by: the same for the same start, on every worker, after every kill."""
    return int.from_bytes(start_id.bytes[:8], "big", signed=True) or 1
