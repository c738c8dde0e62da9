"""A relay with the real outbox on SQLite, a clock that stands still, and destinations that do what they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.migrate import migrate
from backends.sql.outbox import SqlOutbox
from backends.sql.schema import outbox
from delivery.destination import Accepted, Answer, Destination, Prepared, Ready, Refusal
from delivery.relay import Relay
from domain.clock import ManualClock
from domain.conversions import LEAD, Delivery, LaneStatus, order_event_id
from domain.observations import Silent
from domain.ports import Outbox
from tests.making import NOW, PATIENT

LANE = "meta/1"
Says = Callable[[Sequence[UUID]], Answer]
YES = Accepted(trace="trace-1")


def refusal(kind: Any = "event", code: str = "100", **more: Any) -> Refusal:
    return Refusal(kind=kind, code=code, reason=f"because of {code}", **more)


class Scripted:
    """A destination that says what the next of `answers` says, and then what `says` says; it keeps every call."""

    def __init__(self, says: Answer | Says = YES, *, most: int = 1000) -> None:
        self.most = most
        self.says = says
        self.answers: list[Answer] = []
        self.calls: list[list[UUID]] = []
        self.attempts: list[int] = []
        self.instead: dict[UUID, Prepared | Exception] = {}
        self.at_call: Callable[[], None] = lambda: None

    def prepared(self, delivery: Delivery, now_ms: int) -> Prepared:
        event_id = delivery.conversion.id
        other = self.instead.get(event_id)
        if isinstance(other, Exception):
            raise other
        if other is not None:
            return other
        self.attempts.append(delivery.attempts)
        return Ready(id=event_id, body=b"{}", matched=("em", "fbc"), attempts=delivery.attempts)

    async def send(self, events: Sequence[Ready]) -> Answer:
        ids = [event.id for event in events]
        self.calls.append(ids)
        self.at_call()
        if self.answers:
            return self.answers.pop(0)
        return self.says(ids) if callable(self.says) else self.says

    @property
    def sizes(self) -> list[int]:
        return [len(call) for call in self.calls]


def refusing(bad: Sequence[UUID], why: Refusal | None = None) -> Says:
    """Whatever call has one of these in it is refused."""
    wrong = frozenset(bad)
    return lambda ids: (why or refusal()) if wrong & frozenset(ids) else YES


class Places:
    """Destinations by lane."""

    def __init__(self) -> None:
        self.known: dict[str, Destination | Refusal] = {}

    async def of(self, lane: str) -> Destination | Refusal | None:
        return self.known.get(lane)


class Counting(Silent):
    """An observer that counts what it is told of deliveries."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.waits: tuple[int, float] = (0, 0.0)
        self.states: Mapping[str, int] = {}

    def delivery(self, outcome: str, events: int) -> None:
        self.outcomes[outcome] += events

    def delivery_call(self, answer: str) -> None:
        self.answers[answer] += 1

    def waiting(self, pending: int, oldest_seconds: float) -> None:
        self.waits = pending, oldest_seconds

    def lanes(self, by_state: Mapping[str, int]) -> None:
        self.states = by_state


class Desk:
    """Everything, and what tests do with it."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.outbox: Outbox = SqlOutbox(engine)
        self.clock = ManualClock(now_ms=NOW)
        self.places = Places()
        self.heard = Counting()
        self.slept: list[float] = []
        self.relay = self.new_relay()

    def new_relay(self) -> Relay:
        """As another process, or the same one started again, has it."""
        return Relay(
            outbox=self.outbox,
            destinations=self.places,
            clock=self.clock,
            observer=self.heard,
            touch="last",
            sleep=self._sleep,
            jitter=lambda base, spread: base,
        )

    def to(self, destination: Destination | Refusal, lane: str = LANE) -> None:
        self.places.known[lane] = destination

    async def turn(self, seconds: float = 0.0) -> None:
        """So much later: one pass, and all that it sets to work."""
        self.clock.advance(seconds)
        await self.relay.pass_()
        await self.relay.settled()

    async def turns(self, seconds: float, *, every: float = 1.0) -> None:
        """Passes for so long."""
        for _ in range(round(seconds / every)):
            await self.turn(every)

    async def put(self, number: int = 1, lane: str = LANE, **values: Any) -> list[UUID]:
        """Conversions that are due now, in their order."""
        there = len(await self.rows(lane))
        ids = [order_event_id(1, LEAD, f"{lane}/{there + n}") for n in range(number)]
        row = {"lane": lane, "event": LEAD, "state": "pending", "event_at": NOW} | values
        rows = [row | {"event_id": each, "next_at": NOW - number + n} for n, each in enumerate(ids)]
        async with self.engine.begin() as connection:
            await connection.execute(outbox.insert(), rows)
        return ids

    async def change(self, event_id: UUID, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(update(outbox).where(outbox.c.event_id == event_id).values(values))

    async def rows(self, lane: str = LANE) -> list[Any]:
        async with self.engine.connect() as connection:
            wanted = select(outbox).where(outbox.c.lane == lane).order_by(outbox.c.event_id)
            return list((await connection.execute(wanted)).all())

    async def row(self, event_id: UUID, lane: str = LANE) -> Any:
        [found] = [row for row in await self.rows(lane) if row.event_id == event_id]
        return found

    async def states(self, lane: str = LANE) -> Counter[str]:
        return Counter(row.state for row in await self.rows(lane))

    async def status(self, lane: str = LANE) -> LaneStatus:
        [found] = [status for status in await self.outbox.lanes() if status.lane == lane]
        return found

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Desk]:
    engine = make_engine(url, patience=PATIENT)
    try:
        await migrate(engine)
        yield Desk(engine)
    finally:
        await engine.dispose()
