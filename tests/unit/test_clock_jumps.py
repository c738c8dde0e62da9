"""Delivery while somebody sets the machine's clock: what waits by the clock on the wall, and what does not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from delivery.lane import HELD_SECONDS
from delivery.sending import LEASE_SECONDS
from domain.clock import ManualClock
from domain.conversions import UNATTRIBUTED
from domain.errors import StoreUnavailable
from tests.daemon_fixture import captured_logs
from tests.delivery.desk import LANE, Desk, Scripted, opened, refusal
from tests.making import NOW

HOUR = 3600.0


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[Desk]:
    async with opened(sqlite_url) as made:
        yield made


class SetClock(ManualClock):
    """A clock whose wall time is set, while its monotonic time goes on."""

    shifted_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.shifted_ms

    def set_by(self, seconds: float) -> None:
        self.shifted_ms += round(seconds * 1000)


def at_set_clock(desk: Desk) -> SetClock:
    desk.clock = clock = SetClock(now_ms=NOW)
    desk.relay = desk.new_relay()
    return clock


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_a_clock_that_is_set_during_a_call_costs_no_event_and_sends_none_twice(
    desk: Desk, seconds: float
) -> None:
    clock = at_set_clock(desk)
    ids = await desk.put(3)
    desk.to(meta := Scripted())
    meta.at_call = lambda: clock.set_by(seconds)  # type: ignore[method-assign]
    await desk.turn()
    meta.at_call = lambda: None  # type: ignore[method-assign]
    await desk.turns(3)
    assert meta.calls == [ids]
    assert await desk.states() == {"sent": 3}


async def test_a_lane_that_is_held_tries_again_in_time_though_the_clock_was_set_back(desk: Desk) -> None:
    """By a worker that was started after that, too, which knows the hold from SQL alone."""
    clock = at_set_clock(desk)
    await desk.put()
    desk.to(meta := Scripted(refusal("configuration", "190")))
    await desk.turn()
    clock.set_by(-HOUR)
    desk.relay = desk.new_relay()
    await desk.change(meta.calls[0][0], next_at=clock.now_ms())
    await desk.turn()
    await desk.turn(HELD_SECONDS + 1)
    assert len(meta.calls) == 2


async def test_what_a_worker_claimed_that_died_waits_no_longer_than_the_clock_was_set_back(
    desk: Desk,
) -> None:
    clock = at_set_clock(desk)
    await desk.put()
    until = clock.now_ms() + round(LEASE_SECONDS * 1000)
    await desk.outbox.claim(LANE, 1, now_ms=clock.now_ms(), until_ms=until)
    clock.set_by(-HOUR)
    desk.to(meta := Scripted())
    await desk.turn(HOUR)
    assert not meta.calls
    await desk.turn(LEASE_SECONDS)
    assert len(meta.calls) == 1


async def test_looking_for_clicks_that_fails_is_said_once_a_second_and_goes_on(desk: Desk) -> None:
    """Though the rest of SQL answers, and there is a pass five times a second."""
    await desk.put(1, UNATTRIBUTED, bot_id=1, telegram_id=7)
    working = desk.outbox.attribute
    asked: list[float] = []

    async def broken(*_: object, **__: object) -> int:
        asked.append(desk.clock.monotonic())
        raise StoreUnavailable("it is locked")

    desk.outbox.attribute = broken  # type: ignore[method-assign]
    with captured_logs() as page:
        await desk.turns(2.0, every=0.25)
    assert page.getvalue().count("a lane waits for SQL") == len(asked) == 2
    desk.outbox.attribute = working  # type: ignore[method-assign]
    await desk.turn(1.0)
    [row] = await desk.rows(UNATTRIBUTED)
    assert row.reason == "no click of this person is known yet"


async def test_many_events_that_cannot_be_made_for_one_reason_are_put_off_together(desk: Desk) -> None:
    """One change in SQL for all of them: their claims would be over before a thousand changes are made."""
    changes: list[int] = []
    ids = await desk.put(100)
    desk.to(meta := Scripted())
    meta.instead = dict.fromkeys(ids, KeyError("x"))
    working = desk.outbox.postpone

    async def counted(lane: str, put_off: object, **how: object) -> None:
        changes.append(len(put_off))  # type: ignore[arg-type]
        await working(lane, put_off, **how)  # type: ignore[arg-type]

    desk.outbox.postpone = counted  # type: ignore[method-assign, assignment]
    await desk.turn()
    assert changes == [100]
    assert not meta.calls
