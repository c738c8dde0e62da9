"""Lane: one destination's queue at work. What goes wrong in it holds up no other: it has its own pace, and one call at a
time.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from delivery.destination import Accepted, Answer, Destination, Destinations, Refusal
from delivery.marks import Claim, Marks
from delivery.pace import LARGEST, Pace, Turn
from delivery.preparing import prepare
from delivery.sending import Sender, Sent, Sleep
from domain.clock import Clock
from domain.conversions import LIFE_MS, TOO_OLD, Delivery, LaneStatus
from domain.observations import Observer
from domain.ports import Outbox
from runtime.logs import get_logger

HELD_FIRST_SECONDS, HELD_SECONDS = 60.0, 900.0
"""When a held lane tries one event by itself, should what was wrong be mended without anybody telling us: soon at first, as it
may have been mended while the call that was refused was under way; then every quarter of an hour.
"""
SQL_SECONDS = 1.0
REFUSED_LEAST = 10
"""So many events of one batch rejected, and none taken, look like a mistake that is not the events'."""
MAX_TEXT = 200  # of what is kept of a reason or a warning
GONE = "there is no such destination any more"
LaneState = Literal["ok", "backing_off", "held"]
_log = get_logger("trilha.delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every lane works with. lease: how many seconds claims are one's own."""

    outbox: Outbox
    destinations: Destinations
    clock: Clock
    observer: Observer
    stop: asyncio.Event
    sleep: Sleep
    jitter: Callable[[float, float], float]
    lease: float


class Lane:
    """One lane. Nobody calls `work` again before it is over."""

    def __init__(self, name: str, tools: Tools) -> None:
        self.name = name
        self._tools = tools
        self._outbox, self._clock = tools.outbox, tools.clock
        self._pace = Pace(tools.jitter)
        self._marks = Marks(name, outbox=tools.outbox, clock=tools.clock, observer=tools.observer)
        self._sender = Sender(
            self._marks, clock=tools.clock, observer=tools.observer, stop=tools.stop, sleep=tools.sleep
        )
        self._held: str | None = None
        self._try_at = self._changed = 0.0
        self._warning: str | None = None

    @property
    def state(self) -> LaneState:
        """How it is."""
        if self._held is not None:
            return "held"
        return "backing_off" if self._pace.backs_off(self._clock.monotonic()) else "ok"

    def seen(self, status: LaneStatus, asked_at: float) -> None:
        """What SQL says of it, which others may have changed; asked_at: when it was asked, monotonic seconds."""
        if asked_at < self._changed:
            return  # SQL was asked before what is known here was written
        self._warning = status.warning
        if status.held_at_ms is not None and self._held is None:
            # A clock that was set back since then makes no wait longer.
            held_for = max(0.0, (self._clock.now_ms() - status.held_at_ms) / 1000)
            self._try_at = self._clock.monotonic() + HELD_SECONDS - held_for
        self._held = None if status.held_at_ms is None else status.hold_reason or ""

    async def work(self) -> None:
        """Send what is due, batch after batch, until there is no more or it has to wait. Raises StoreUnavailable."""
        while not self._tools.stop.is_set() and self._may_try():
            turn = self._pace.turn(self._clock.monotonic())
            if turn is None:
                return
            try:
                more = await self._batch(turn)
            except Exception:
                self._pace.pause(self._clock.monotonic(), SQL_SECONDS)
                raise
            finally:
                self._pace.released(turn, self._clock.monotonic())
            if not more:
                return

    def _may_try(self) -> bool:
        return self._held is None or self._clock.monotonic() >= self._try_at

    async def _batch(self, turn: Turn) -> bool:
        """True when there may be more."""
        destination = await self._tools.destinations.of(self.name)
        if isinstance(destination, Refusal):
            await self._hold(destination)
            await self._end_late(destination)
            return False
        most = LARGEST if destination is None else min(turn.most, destination.most)
        limit = most if self._held is None else 1
        now_ms = self._clock.now_ms()
        claimed = await self._claim(limit, now_ms)
        if destination is None:
            await self._marks.end([delivery.conversion.id for delivery in claimed], "skipped", GONE)
            return len(claimed) == limit
        spread = self._tools.jitter(1.0, 1.0) - 1.0
        ready = await prepare(destination, claimed, self._marks, now_ms=now_ms, spread=spread)
        went = not ready or await self._send(destination, ready, turn, spread)
        return went and len(claimed) == limit

    async def _claim(self, limit: int, due_ms: int) -> list[Delivery]:
        until_ms = self._clock.now_ms() + round(self._tools.lease * 1000)
        return await self._outbox.claim(self.name, limit, now_ms=due_ms, until_ms=until_ms)

    async def _end_late(self, refusal: Refusal) -> None:
        """Nothing is claimed while there is nobody to send it to: what has been due for 7 days is over nevertheless."""
        due_ms = self._clock.now_ms() - LIFE_MS
        while not self._tools.stop.is_set() and (late := await self._claim(LARGEST, due_ms)):
            ids = [delivery.conversion.id for delivery in late]
            await self._marks.end(ids, "dead", f"{TOO_OLD}: {refusal.reason}")

    async def _send(
        self, destination: Destination, ready: Sequence[Claim], turn: Turn, spread: float
    ) -> bool:
        """True when the lane may go on."""
        sent = await self._sender.send(destination, ready, spread=spread)
        await self._hear(sent.answer)
        self._tell_of_refusals(sent)
        if sent.refusal is None:
            return await self._went_well(sent, len(ready), turn)
        await self._went_wrong(sent.left, sent.refusal, turn, spread)
        return False

    async def _went_well(self, sent: Sent, events: int, turn: Turn) -> bool:
        if sent.left:
            await self._marks.give_back(sent.left)
        if sent.answer is not None:
            self._pace.answered(turn, self._clock.monotonic(), events=events, was_split=sent.was_split)
            await self._release()
        return True

    async def _went_wrong(self, left: Sequence[Claim], refusal: Refusal, turn: Turn, spread: float) -> None:
        now = self._clock.monotonic()
        self._try_at = now + HELD_SECONDS
        match refusal.kind:
            case "configuration":
                await self._marks.give_back(left)
                await self._hold(refusal)
            case "throttled":
                await self._marks.give_back(left, self._pace.throttled(turn, now, refusal.retry_after))
            case _:
                self._pace.failed(turn, now)
                await self._marks.retry(left, refusal, spread=spread)

    def _tell_of_refusals(self, sent: Sent) -> None:
        if sent.rejected >= REFUSED_LEAST and not sent.taken and isinstance(sent.answer, Refusal):
            _log.error(
                "a destination refuses every event",
                lane=self.name,
                code=sent.answer.code,
                reason=sent.answer.reason[:MAX_TEXT],
            )

    async def _hold(self, refusal: Refusal) -> None:
        """Until the operator has mended it. Said once for each reason; the events stay, and end after 7 days."""
        first = self._held is None
        self._try_at = self._clock.monotonic() + (HELD_FIRST_SECONDS if first else HELD_SECONDS)
        reason = refusal.reason[:MAX_TEXT]
        if self._held == reason:
            return
        await self._outbox.hold(self.name, reason, at_ms=self._clock.now_ms())
        self._held, self._changed = reason, self._clock.monotonic()
        _log.error("a lane is held", lane=self.name, code=refusal.code, reason=reason)

    async def _release(self) -> None:
        if self._held is None:
            return
        await self._outbox.release(self.name)
        self._held, self._changed = None, self._clock.monotonic()
        _log.info("a lane goes on", lane=self.name)

    async def _hear(self, answer: Answer | None) -> None:
        """A warning is said once, and taken back by an answer that was accepted without one."""
        if answer is None or (answer.warning is None and not isinstance(answer, Accepted)):
            return
        warning = answer.warning and answer.warning[:MAX_TEXT]
        if warning == self._warning:
            return
        await self._outbox.heard(self.name, warning)
        self._warning, self._changed = warning, self._clock.monotonic()
        if warning is not None:
            _log.error("a destination warns", lane=self.name, warning=warning)
