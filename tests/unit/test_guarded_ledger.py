"""A ledger that does not answer is left alone, and asked again in the background only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backends.breaker import Breaker, Policy
from backends.guarded import GuardedLedger
from domain.attribution import Owner, Start
from domain.clock import ManualClock
from domain.errors import StoreUnavailable

START = Start.direct(Owner(bot_id=1, telegram_id=2), at_ms=0, update_id=3)


class Sql:
    """Answers, fails or hangs as it is told, and counts how often it is asked."""

    def __init__(self) -> None:
        self.mood = "well"
        self.asked = 0

    async def record_start(self, start: Any, click: Any) -> None:
        self.asked += 1
        if self.mood == "down":
            raise StoreUnavailable("down")
        if self.mood == "hangs":
            await asyncio.Event().wait()

    async def record_conversion(self, conversion: Any, *, too_old: bool = False) -> None:
        await self.record_start(None, None)

    async def probe(self) -> None:
        await self.record_start(None, None)


class Room:
    def __init__(self) -> None:
        self.sql, self.clock = Sql(), ManualClock()
        self.ledger = GuardedLedger(
            self.sql,
            breaker=Breaker(Policy(), lambda low, _high: low),
            clock=self.clock,
            observer=self,  # type: ignore[arg-type]
        )
        self.told: list[tuple[str, str]] = []

    def breaker(self, tier: str, state: str) -> None:
        self.told.append((tier, state))

    async def starts(self, number: int) -> int:
        """How many of so many starts were refused."""
        refused = 0
        for _ in range(number):
            try:
                await self.ledger.record_start(START, None)
            except StoreUnavailable:
                refused += 1
        return refused


async def test_after_many_failures_nobody_waits_for_sql_any_more():
    room = Room()
    room.sql.mood = "down"
    assert await room.starts(100) == 100
    assert room.sql.asked < 30
    assert room.ledger.state == "open"
    assert room.told == [("ledger", "open")]


async def test_conversions_and_starts_have_one_breaker():
    room = Room()
    room.sql.mood = "down"
    for _ in range(30):
        with pytest.raises(StoreUnavailable):
            await room.ledger.record_conversion(None)  # type: ignore[arg-type]
    asked = room.sql.asked
    assert await room.starts(5) == 5
    assert room.sql.asked == asked < 30


async def test_a_caller_who_gives_up_counts_as_a_failure():
    room = Room()
    room.sql.mood = "hangs"
    for _ in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await room.ledger.record_start(START, None)
    assert room.ledger.state == "open"


async def test_the_background_finds_out_that_sql_is_back():
    room = Room()
    room.sql.mood = "down"
    await room.starts(50)
    await room.ledger.probe()
    assert room.ledger.state == "open", "its cooldown is not over"
    room.clock.advance(2)
    await room.ledger.probe()
    assert room.ledger.state == "open", "it is down still"
    room.sql.mood = "well"
    room.clock.advance(5)
    await room.ledger.probe()
    assert room.ledger.state == "closed"
    room.clock.advance(10)
    assert await room.starts(5) == 0


async def test_single_failures_open_nothing():
    room = Room()
    for mood in ("down", "well", "well") * 10:
        room.sql.mood = mood
        await room.starts(1)
    assert room.ledger.state == "closed"
