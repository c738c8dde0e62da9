"""What a lane does about each answer of its destination: with the real outbox on SQLite, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from delivery.destination import Accepted, Never, NotYet, Ready
from delivery.lane import HELD_SECONDS
from delivery.marks import Claim, Marks
from delivery.pace import LARGEST
from delivery.schedule import RECEIVED_ATTEMPTS, STOP_SECONDS
from delivery.sending import BATCH_SECONDS, LEASE_SECONDS, QUICK_ATTEMPTS, Sender
from tests.daemon_fixture import captured_logs
from tests.delivery.desk import LANE, YES, Desk, Scripted, opened, refusal, refusing
from tests.making import NOW

NO_TOKEN = refusal("configuration", "token")
REVOKED = refusal("configuration", "190/463")


@pytest_asyncio.fixture
async def desk(sqlite_url: str) -> AsyncIterator[Desk]:
    async with opened(sqlite_url) as made:
        yield made


# ---------------------------------------------------------------- accepted


async def test_what_is_due_goes_in_one_call_and_is_marked_with_what_was_matched_and_the_trace(
    desk: Desk,
) -> None:
    ids, meta = await desk.put(3), Scripted()
    desk.to(meta)
    await desk.turn()
    assert meta.calls == [ids]
    for row in await desk.rows():
        assert (row.state, row.matched, row.trace, row.sent_at) == ("sent", "em fbc", "trace-1", NOW)
    assert desk.heard.outcomes == {"sent": 3}
    assert desk.heard.answers == {"accepted": 1}


async def test_a_queue_of_many_batches_is_sent_in_one_go_longest_due_first(desk: Desk) -> None:
    ids, meta = await desk.put(25), Scripted(most=10)
    desk.to(meta)
    await desk.turn()
    assert meta.calls == [ids[:10], ids[10:20], ids[20:]]


async def test_nothing_is_sent_before_its_time(desk: Desk) -> None:
    desk.to(meta := Scripted())
    [event] = await desk.put()
    await desk.change(event, next_at=NOW + 1000)
    await desk.turn(0.999)
    assert not meta.calls
    await desk.turn(0.001)
    assert meta.calls == [[event]]


# ---------------------------------------------------------------- what is not to be sent


async def test_what_may_still_come_is_waited_for_and_counts_as_no_attempt(desk: Desk) -> None:
    [event], meta = await desk.put(), Scripted()
    desk.to(meta)
    meta.instead[event] = NotYet(seconds=15.0, reason="its click has not come yet")
    await desk.turn()
    row = await desk.row(event)
    assert (row.state, row.attempts, row.next_at) == ("pending", 0, NOW + 15_000)
    meta.instead.clear()
    await desk.turn(15.0)
    assert meta.attempts == [1]
    assert meta.calls == [[event]]


async def test_what_is_not_to_be_sent_ends_with_its_reason_and_holds_up_nothing(desk: Desk) -> None:
    [skipped, late, good], meta = await desk.put(3), Scripted()
    desk.to(meta)
    meta.instead[skipped] = Never(state="skipped", reason="traffic class crawler")
    meta.instead[late] = Never(state="dead", reason="older than 7 days")
    await desk.turn()
    assert meta.calls == [[good]]
    rows = [await desk.row(event) for event in (skipped, late, good)]
    assert [(row.state, row.reason) for row in rows] == [
        ("skipped", "traffic class crawler"),
        ("dead", "older than 7 days"),
        ("sent", None),
    ]
    assert desk.heard.outcomes == {"skipped": 1, "dead": 1, "sent": 1}


async def test_an_event_that_cannot_be_made_is_tried_again_by_itself_and_its_fault_tells_nothing_personal(
    desk: Desk,
) -> None:
    [strange, good], meta = await desk.put(2), Scripted()
    desk.to(meta)
    meta.instead[strange] = KeyError("maria@example.com")
    with captured_logs() as page:
        await desk.turn()
    assert "an event could not be made" in page.getvalue()
    assert "maria" not in page.getvalue()
    assert meta.calls == [[good]]
    row = await desk.row(strange)
    assert (row.state, row.reason) == ("pending", "could not be made: KeyError")
    assert row.next_at == NOW + 5000


async def test_what_waits_for_a_destination_that_was_removed_is_skipped(desk: Desk) -> None:
    await desk.put(3)
    await desk.turn()
    assert {(row.state, row.reason) for row in await desk.rows()} == {
        ("skipped", "there is no such destination any more")
    }


# ---------------------------------------------------------------- one of them is at fault


async def test_the_events_at_fault_are_found_and_all_others_sent(desk: Desk) -> None:
    ids = await desk.put(1000)
    bad = ids[50::100]
    meta = Scripted(refusing(bad, refusal(code="100/2804003", trace="trace-no")))
    desk.to(meta)
    await desk.turn()
    assert await desk.states() == {"sent": 990, "rejected": 10}
    for event in bad:
        row = await desk.row(event)
        assert (row.state, row.code, row.reason) == ("rejected", "100/2804003", "because of 100/2804003")
        assert row.trace == "trace-no"
    assert len(meta.calls) <= 125


async def test_each_half_is_marked_as_soon_as_it_is_accepted(desk: Desk) -> None:
    """A destination that dies in the middle of a bisection has cost nothing that was accepted before."""
    ids, meta = await desk.put(8), Scripted()
    desk.to(meta)
    meta.answers = [refusal(), YES, *[refusal("throttled", "4")] * 9]
    await desk.turn()
    sent = [row.event_id for row in await desk.rows() if row.state == "sent"]
    assert sorted(sent) == sorted(ids[:4])
    assert await desk.states() == {"sent": 4, "pending": 4}


@pytest.mark.parametrize(("bad", "told"), [(12, 1), (11, 0), (9, 0)])
async def test_a_destination_that_refuses_every_event_is_told_of_as_it_may_not_be_the_events(
    desk: Desk, bad: int, told: int
) -> None:
    """One that takes some of them, or few events that are all refused, is nothing unusual."""
    ids = await desk.put(12 if bad > 10 else bad)
    desk.to(Scripted(refusing(ids[:bad])))
    with captured_logs() as page:
        await desk.turn()
    assert page.getvalue().count("a destination refuses every event") == told
    assert (await desk.states())["rejected"] == bad


async def test_after_a_split_batches_are_smaller_and_grow_again(desk: Desk) -> None:
    ids = await desk.put(600)
    desk.to(meta := Scripted(refusing([ids[0]])))
    await desk.change(ids[0], next_at=NOW - 10_000)
    meta.most = 100
    await desk.turn()
    whole = [size for size, call in zip(meta.sizes, meta.calls, strict=True) if ids.index(call[0]) >= 100]
    assert whole == [25, 50, 100, 100, 100, 100, 25]


async def test_no_call_is_begun_so_late_that_the_lease_would_not_last(desk: Desk) -> None:
    """What a bisection has not come to by then is left, and due again at once."""
    ids = await desk.put(64)
    meta = Scripted(refusing(ids))
    meta.at_call = lambda: desk.clock.advance(1.0)
    marks = Marks(LANE, outbox=desk.outbox, clock=desk.clock, observer=desk.heard)
    sender = Sender(marks, clock=desk.clock, observer=desk.heard, stop=asyncio.Event(), sleep=asyncio.sleep)
    claims = [Claim(Ready(id=each, body=b"{}", matched=(), attempts=1), at_ms=NOW) for each in ids]
    sent = await sender.send(meta, claims, spread=0.0)
    assert len(meta.calls) == BATCH_SECONDS
    assert sent.refusal is None
    rejected = (await desk.states())["rejected"]
    assert [claim.event.id for claim in sent.left] == ids[rejected:]


async def test_what_time_has_not_sufficed_for_is_claimed_again_in_smaller_batches(desk: Desk) -> None:
    ids = await desk.put(64)
    desk.to(meta := Scripted(refusing(ids)))
    meta.at_call = lambda: desk.clock.advance(1.0)
    await desk.turn()
    first = len(meta.calls)
    for _ in range(20):
        await desk.turn()
    assert await desk.states() == {"rejected": 64}
    assert set(meta.attempts) == {1}
    assert max(meta.sizes[first:]) == 16


# ---------------------------------------------------------------- received fewer


async def test_a_batch_that_was_not_wholly_received_is_halved_and_an_event_alone_is_tried_again(
    desk: Desk,
) -> None:
    ids = await desk.put(4)
    desk.to(meta := Scripted(refusing([ids[2]], refusal("event", "received 0"))))
    await desk.turn()
    assert await desk.states() == {"sent": 3, "pending": 1}
    row = await desk.row(ids[2])
    assert (row.attempts, row.next_at, row.code) == (1, NOW + 5000, "received 0")
    assert meta.sizes == [4, 2, 1, 1]


async def test_an_event_that_is_never_received_is_dead_after_its_attempts(desk: Desk) -> None:
    [event] = await desk.put()
    desk.to(meta := Scripted(refusal("event", "received")))
    await desk.turns(60 * 60, every=60.0)
    row = await desk.row(event)
    assert (row.state, row.attempts) == ("dead", RECEIVED_ATTEMPTS)
    assert row.reason == f"not received in {RECEIVED_ATTEMPTS} attempts: because of received"
    assert len(meta.calls) == RECEIVED_ATTEMPTS


# ---------------------------------------------------------------- temporary


async def test_trouble_that_passes_within_the_quick_attempts_is_never_seen(desk: Desk) -> None:
    ids, meta = await desk.put(2), Scripted()
    desk.to(meta)
    meta.answers = [refusal("temporary", "http 502")] * (QUICK_ATTEMPTS - 1)
    await desk.turn()
    assert meta.calls == [ids] * QUICK_ATTEMPTS
    assert len(desk.slept) == QUICK_ATTEMPTS - 1
    assert all(0 <= wait <= 2 for wait in desk.slept)
    assert {row.state for row in await desk.rows()} == {"sent"}
    assert desk.heard.answers == {"temporary": QUICK_ATTEMPTS - 1, "accepted": 1}


async def test_trouble_that_stays_postpones_the_batch_by_its_attempts(desk: Desk) -> None:
    ids = await desk.put(2)
    desk.to(Scripted(refusal("temporary", "timeout")))
    await desk.change(ids[1], attempts=3)
    await desk.turn()
    now = desk.clock.now_ms()
    first, second = [await desk.row(event) for event in ids]
    assert (first.attempts, first.next_at, first.code) == (1, now + 5000, "timeout")
    assert (second.attempts, second.next_at) == (4, now + 40_000)
    assert desk.heard.outcomes == {"postponed": 2}


async def test_what_fails_until_its_week_is_over_is_dead(desk: Desk) -> None:
    [event] = await desk.put(event_at=NOW - STOP_SECONDS * 1000)
    desk.to(Scripted(refusal("temporary", "timeout")))
    await desk.turn()
    row = await desk.row(event)
    assert (row.state, row.reason) == ("dead", "older than 7 days: because of timeout")


async def test_a_destination_that_stays_down_is_asked_by_one_event_at_a_time_and_caught_up_with(
    desk: Desk,
) -> None:
    await desk.put(50)
    desk.to(meta := Scripted(refusal("temporary", "timeout"), most=10))
    await desk.turns(10, every=0.5)
    assert set(meta.sizes[3 * QUICK_ATTEMPTS :]) == {1}
    assert desk.heard.states == {"backing_off": 1}
    before = len(meta.calls)
    await desk.turns(300, every=5.0)
    assert QUICK_ATTEMPTS <= len(meta.calls) - before <= 12 * QUICK_ATTEMPTS
    meta.says = YES
    await desk.turns(900, every=30.0)
    assert await desk.states() == {"sent": 50}
    assert desk.heard.states == {"ok": 1}


# ---------------------------------------------------------------- throttled


async def test_a_throttled_lane_pauses_as_asked_and_its_events_lose_no_attempt(desk: Desk) -> None:
    ids, meta = await desk.put(3), Scripted()
    desk.to(meta)
    meta.answers = [refusal("throttled", "80004", retry_after=30.0)]
    await desk.turn()
    assert {(row.attempts, row.next_at) for row in await desk.rows()} == {(0, NOW + 30_000)}
    await desk.put(1)
    await desk.turn(29.0)
    assert len(meta.calls) == 1
    await desk.turn(1.0)
    assert await desk.states() == {"sent": 4}
    assert len(ids) == 3


async def test_a_lane_that_is_throttled_again_and_again_comes_ever_less_often(desk: Desk) -> None:
    await desk.put()
    desk.to(meta := Scripted(refusal("throttled", "4")))
    for wait in (0, 1, 2, 4, 8, 16, 32, 60, 60):
        if wait:
            before = len(meta.calls)
            await desk.turn(wait - 0.5)
            assert len(meta.calls) == before
        await desk.turn(0.5 if wait else 0.0)
    assert len(meta.calls) == 9
    assert not desk.slept


# ---------------------------------------------------------------- configuration


async def test_a_refused_token_holds_the_lane_says_so_at_once_and_loses_nothing(desk: Desk) -> None:
    ids = await desk.put(5)
    desk.to(meta := Scripted(REVOKED))
    with captured_logs() as page:
        await desk.turn()
        await desk.turns(30, every=6.0)
    assert page.getvalue().count("a lane is held") == 1
    assert '"level": "error"' in page.getvalue()
    assert meta.calls == [ids]
    assert {(row.state, row.attempts) for row in await desk.rows()} == {("pending", 0)}
    status = await desk.status()
    assert (status.held_at_ms, status.hold_reason) == (NOW, "because of 190/463")
    assert desk.heard.states == {"held": 1}


async def test_a_lane_that_the_operator_releases_resumes_within_two_seconds(desk: Desk) -> None:
    await desk.put(5)
    desk.to(meta := Scripted(REVOKED))
    await desk.turns(5)
    meta.says = YES
    await desk.outbox.release(LANE)
    await desk.turns(2, every=0.2)
    assert await desk.states() == {"sent": 5}


async def test_a_held_lane_tries_one_event_after_a_minute_then_every_quarter_of_an_hour(desk: Desk) -> None:
    await desk.put(5)
    desk.to(meta := Scripted(REVOKED))
    await desk.turn()
    for wait, calls in ((59.0, 1), (1.0, 2), (899.0, 2), (1.0, 3), (899.0, 3), (1.0, 4)):
        await desk.turn(wait)
        assert len(meta.calls) == calls
    assert meta.sizes == [5, 1, 1, 1]
    meta.says = YES
    with captured_logs() as page:
        await desk.turn(HELD_SECONDS)
    assert "a lane goes on" in page.getvalue()
    assert meta.sizes[4:] == [1, 4]
    assert (await desk.status()).held_at_ms is None


async def test_an_event_that_is_refused_for_itself_shows_that_a_held_lane_works_again(desk: Desk) -> None:
    ids = await desk.put(2)
    desk.to(meta := Scripted(REVOKED))
    await desk.turn()
    meta.says = refusing(ids[:1])
    await desk.turn(60.0)
    await desk.turn()
    assert await desk.states() == {"rejected": 1, "sent": 1}


async def test_what_has_ended_in_a_held_lane_is_no_try(desk: Desk) -> None:
    old, good = await desk.put(2)
    desk.to(meta := Scripted(REVOKED))
    await desk.turn()
    meta.says = YES
    meta.instead[old] = Never(state="dead", reason="older than 7 days")
    await desk.turn(60.0)
    assert meta.calls[1:] == [[good]]


async def test_a_pixel_without_a_token_is_held_and_said_so_once_though_the_worker_starts_again(
    desk: Desk,
) -> None:
    await desk.put(3)
    desk.to(NO_TOKEN)
    with captured_logs() as page:
        await desk.turns(5)
        desk.relay = desk.new_relay()
        await desk.turns(2 * HELD_SECONDS, every=60.0)
    assert page.getvalue().count("a lane is held") == 1
    assert len(page.getvalue().splitlines()) == 1
    assert {(row.state, row.attempts) for row in await desk.rows()} == {("pending", 0)}


async def test_what_waits_for_a_token_for_seven_days_is_dead_and_the_rest_goes_on_waiting(desk: Desk) -> None:
    *old, young = await desk.put(LARGEST + 3)
    await desk.change(young, event_at=NOW + 3_600_000, next_at=NOW + 3_600_000)
    desk.to(NO_TOKEN)
    await desk.turn()
    await desk.turn(STOP_SECONDS)
    assert await desk.states() == {"dead": len(old), "pending": 1}
    row = await desk.row(old[0])
    assert row.reason == f"older than 7 days: {NO_TOKEN.reason}"
    assert desk.heard.outcomes == {"dead": len(old)}
    desk.to(meta := Scripted())
    await desk.turn(HELD_SECONDS)
    assert meta.calls == [[young]]


async def test_a_lane_that_is_held_for_another_reason_says_the_new_one_and_since_when_stays(
    desk: Desk,
) -> None:
    await desk.put()
    desk.to(NO_TOKEN)
    await desk.turn()
    desk.to(Scripted(REVOKED))
    with captured_logs() as page:
        await desk.turn(60.0)
    assert "190/463" in page.getvalue()
    status = await desk.status()
    assert (status.held_at_ms, status.hold_reason) == (NOW, "because of 190/463")


async def test_a_lane_that_another_process_holds_is_left_alone_here_too(desk: Desk) -> None:
    await desk.put()
    await desk.outbox.hold(LANE, "the token is refused", at_ms=NOW)
    desk.to(meta := Scripted())
    for wait in (0.0, 60.0, HELD_SECONDS - 61.0):
        await desk.turn(wait)
    assert not meta.calls
    await desk.turn(1.0)
    assert await desk.states() == {"sent": 1}
    assert (await desk.status()).held_at_ms is None


# ---------------------------------------------------------------- warnings


async def test_a_warning_is_noted_and_said_once_and_taken_back_by_an_answer_without_one(desk: Desk) -> None:
    desk.to(meta := Scripted(Accepted(warning="v26.0 ends on 2028-07-01")))
    with captured_logs() as page:
        for _ in range(3):
            await desk.put()
            await desk.turn(1.0)
    assert page.getvalue().count("a destination warns") == 1
    assert (await desk.status()).warning == "v26.0 ends on 2028-07-01"
    meta.says = refusal("event")
    await desk.put()
    await desk.turn(1.0)
    assert (await desk.status()).warning == "v26.0 ends on 2028-07-01"
    meta.says = YES
    await desk.put()
    await desk.turn(1.0)
    assert (await desk.status()).warning is None


# ---------------------------------------------------------------- leases


async def test_what_a_dead_claimer_had_is_sent_again_under_the_same_ids_when_its_lease_is_over(
    desk: Desk,
) -> None:
    ids, meta = await desk.put(3), Scripted()
    desk.to(meta)
    await desk.outbox.claim(LANE, 10, now_ms=NOW, until_ms=NOW + round(LEASE_SECONDS * 1000))
    await desk.turn(59.0)
    assert not meta.calls
    await desk.turn(1.0)
    assert meta.calls == [ids]


async def test_a_stale_claimer_changes_nothing_that_another_has_ended(desk: Desk) -> None:
    [event], slow = await desk.put(), Scripted(refusal("temporary", "timeout", retry_after=1.0))
    desk.to(slow)
    other = desk.new_relay()

    async def meanwhile() -> None:
        desk.to(Scripted())
        desk.clock.advance(LEASE_SECONDS)
        await other.pass_()
        await other.settled()

    overtaken = asyncio.Event()
    send = slow.send

    async def sending(events: object) -> object:
        await meanwhile()
        overtaken.set()
        return await send(events)  # type: ignore[arg-type]

    slow.send = sending  # type: ignore[method-assign, assignment]
    await desk.turn()
    assert overtaken.is_set()
    row = await desk.row(event)
    assert (row.state, row.attempts) == ("sent", 1)


async def test_what_sql_said_before_a_hold_was_written_is_not_taken_for_its_release(desk: Desk) -> None:
    await desk.put()
    desk.to(NO_TOKEN)
    asked = desk.clock.monotonic()
    free = await desk.status()
    desk.clock.advance(0.1)
    await desk.turn()
    lane = desk.relay._lane(LANE)
    lane.seen(free, asked)
    assert lane.state == "held"
    lane.seen(free, desk.clock.monotonic())
    assert lane.state == "ok"
