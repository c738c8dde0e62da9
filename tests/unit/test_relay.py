"""The relay: every lane by itself, an orderly end, and nothing that takes it down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest_asyncio
from sqlalchemy import text

from delivery.destination import Answer, Ready
from delivery.relay import ATTRIBUTE_HOURS
from delivery.schedule import ALERT_SECONDS, WARN_SECONDS
from domain.conversions import UNATTRIBUTED
from tests.daemon_fixture import captured_logs
from tests.delivery.desk import LANE, YES, Counting, Desk, Scripted, opened, refusal
from tests.making import NOW

OTHER = "webhook/crm"


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[Desk]:
    async with opened(sqlite_url) as made:
        yield made


class Waiting(Scripted):
    """Answers no call before `answer` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def send(self, events: Sequence[Ready]) -> Answer:
        self.asked.set()
        await self.answer.wait()
        return await super().send(events)


class Raising(Scripted):
    """Breaks its promise."""

    async def send(self, events: Sequence[Ready]) -> Answer:
        await super().send(events)
        raise ZeroDivisionError


# ---------------------------------------------------------------- lanes


async def test_a_lane_whose_destination_does_not_answer_holds_up_no_other(desk: Desk) -> None:
    await desk.put(3)
    await desk.put(3, OTHER)
    desk.to(dead := Waiting())
    desk.to(alive := Scripted(most=1), OTHER)
    await desk.relay.pass_()
    await dead.asked.wait()
    while await desk.states(OTHER) != {"sent": 3}:
        await desk.relay.pass_()
    assert await desk.states() == {"pending": 3}
    assert len(alive.calls) == 3
    dead.answer.set()
    await desk.relay.settled()
    assert await desk.states() == {"sent": 3}


async def test_a_lane_has_one_call_at_a_time(desk: Desk) -> None:
    await desk.put(3)
    desk.to(meta := Waiting())
    await desk.relay.pass_()
    await meta.asked.wait()
    await desk.put(3)
    for _ in range(3):
        await desk.relay.pass_()
    meta.answer.set()
    await desk.relay.settled()
    assert meta.sizes == [3]
    await desk.turn()
    assert meta.sizes == [3, 3]


async def test_two_relays_on_one_outbox_send_nothing_twice(desk: Desk) -> None:
    ids = await desk.put(200)
    desk.to(meta := Scripted(most=7))
    others = [desk.new_relay() for _ in range(2)]
    for relay in (desk.relay, *others):
        await relay.pass_()
    for relay in (desk.relay, *others):
        await relay.settled()
    assert sorted(event for call in meta.calls for event in call) == sorted(ids)


async def test_a_fault_of_ours_in_one_lane_is_logged_and_stops_neither_the_others_nor_that_lane(
    desk: Desk,
) -> None:
    await desk.put()
    await desk.put(1, OTHER)
    desk.to(Raising())
    desk.to(Scripted(), OTHER)
    with captured_logs() as page:
        await desk.turn()
        await desk.turns(3)
    assert await desk.states(OTHER) == {"sent": 1}
    assert page.getvalue().count("a lane stumbled") == 1
    desk.to(Scripted())
    await desk.turn(60.0)
    assert await desk.states() == {"sent": 1}


# ---------------------------------------------------------------- SQL


async def test_while_sql_is_away_delivery_waits_says_so_once_and_goes_on(desk: Desk) -> None:
    await desk.put()
    desk.to(Scripted())
    with captured_logs() as page:
        async with desk.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE outbox RENAME TO elsewhere"))
        for _ in range(3):
            await desk.relay._pass_or_wait()
        async with desk.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO outbox"))
        await desk.relay._pass_or_wait()
        await desk.relay.settled()
    said = [line for line in page.getvalue().splitlines() if "delivery" in line]
    assert ["delivery waits" in line for line in said] == [True, False]
    assert "delivery goes on" in said[1]
    assert await desk.states() == {"sent": 1}


# ---------------------------------------------------------------- the end


async def test_the_end_finishes_the_call_under_way_and_gives_back_what_is_left(desk: Desk) -> None:
    """A batch that is being halved has the most to give back."""
    ids = await desk.put(4)
    desk.to(meta := Waiting())
    meta.answers = [refusal(), YES]
    stop = asyncio.Event()
    running = asyncio.create_task(desk.relay.run(stop))
    await meta.asked.wait()
    stop.set()
    await desk.relay._tools.stop.wait()
    meta.answer.set()
    await running
    assert meta.calls == [ids]
    assert {(row.state, row.attempts, row.next_at) for row in await desk.rows()} == {("pending", 0, NOW)}


async def test_a_relay_that_is_cancelled_ends_its_lanes_too(desk: Desk) -> None:
    await desk.put()
    desk.to(meta := Waiting())
    running = asyncio.create_task(desk.relay.run(asyncio.Event()))
    await meta.asked.wait()
    meta.answer.set()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not desk.relay._busy
    assert await desk.states() == {"sent": 1}


async def test_a_relay_that_is_to_stop_at_once_sends_nothing(desk: Desk) -> None:
    await desk.put()
    desk.to(meta := Scripted())
    stop = asyncio.Event()
    stop.set()
    await desk.relay.run(stop)
    assert not meta.calls


# ---------------------------------------------------------------- attribution


async def test_a_conversion_of_somebody_unknown_is_looked_for_every_half_minute_and_given_up_after_a_day(
    desk: Desk,
) -> None:
    [event] = await desk.put(1, UNATTRIBUTED, bot_id=1, telegram_id=7)
    await desk.turn()
    assert (await desk.row(event, UNATTRIBUTED)).next_at == NOW + 30_000
    await desk.turn(ATTRIBUTE_HOURS * 3600.0)
    assert await desk.states(UNATTRIBUTED) == {"pending": 1}
    await desk.turn(31.0)
    assert await desk.states(UNATTRIBUTED) == {"skipped": 1}


# ---------------------------------------------------------------- what the operator is told


async def test_a_lane_that_is_late_is_said_to_be_once_for_each_limit_that_it_crosses(desk: Desk) -> None:
    await desk.put()
    desk.to(refusal("configuration", "token"))
    with captured_logs() as page:
        for seconds in (WARN_SECONDS - 1, 1, 100, ALERT_SECONDS - WARN_SECONDS - 100, 100):
            await desk.turn(seconds)
    said = [line for line in page.getvalue().splitlines() if "a lane is late" in line]
    assert len(said) == 2
    assert '"level": "warning"' in said[0]
    assert '"hours": 2.0' in said[0]
    assert '"level": "error"' in said[1]


async def test_a_lane_that_has_caught_up_and_is_late_again_is_said_to_be_again(desk: Desk) -> None:
    with captured_logs() as page:
        for _ in range(2):
            desk.to(refusal("configuration", "token"))
            await desk.put(event_at=desk.clock.now_ms() - WARN_SECONDS * 1000)
            await desk.turn(1.0)
            desk.to(Scripted())
            await desk.outbox.release(LANE)
            await desk.turn(1.0)
            await desk.turn(1.0)
    assert page.getvalue().count("a lane is late") == 2


async def test_what_waits_is_counted_and_a_conversion_without_a_click_makes_nothing_late(desk: Desk) -> None:
    await desk.put(2, event_at=NOW - 5000, lane=OTHER)
    await desk.put(1, UNATTRIBUTED, bot_id=1, telegram_id=7, event_at=NOW - 9_000_000)
    desk.to(refusal("configuration", "token"), OTHER)
    with captured_logs() as page:
        await desk.turn()
        await desk.turn(1.0)
    assert desk.heard.waits == (3, 6.0)
    assert desk.heard.states == {"held": 1}
    assert "late" not in page.getvalue()
    assert isinstance(desk.heard, Counting)
