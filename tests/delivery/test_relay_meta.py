"""The relay and Meta over sockets, with the outbox on SQLite: what is sent, what is refused, and everything that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from delivery.sending import LEASE_SECONDS, QUICK_ATTEMPTS
from domain.conversions import START_EVENT
from tests.daemon_fixture import captured_logs
from tests.delivery.shop import BASE, OTHER, PIXEL, Shop, opened, token_of
from tests.meta.server import FakeMeta


@pytest_asyncio.fixture
async def shop(meta: FakeMeta, tmp_path: Path) -> AsyncIterator[Shop]:
    async with opened(tmp_path, meta) as made:
        yield made
    assert not meta.leaks
    assert not meta.oddities


def keys(ids: Iterable[UUID], pixel: str = PIXEL) -> set[tuple[str, str, str]]:
    return {(pixel, START_EVENT, str(each)) for each in ids}


# ---------------------------------------------------------------- taken


async def test_a_start_arrives_at_meta_with_what_its_click_brought(meta: FakeMeta, shop: Shop) -> None:
    [event_id] = await shop.started()
    await shop.turn()
    [event] = meta.accepted.values()
    assert event["event_id"] == str(event_id)
    assert event["event_source_url"] == f"{BASE}/go/link-{PIXEL}"
    user = event["user_data"]
    assert user["client_ip_address"] == "2804:14d::1"
    assert user["fbc"].endswith(".IwAR2F4dbP0l7Mn1")
    assert len(user["external_id"][0]) == 64
    [row] = await shop.rows()
    assert row.state == "sent"
    assert set(row.matched.split()) == set(user)
    assert row.trace


async def test_a_thousand_starts_are_one_call(meta: FakeMeta, shop: Shop) -> None:
    ids = await shop.queued(1000)
    await shop.turn()
    assert [call.events for call in meta.calls] == [1000]
    assert set(meta.accepted) == keys(ids)
    assert await shop.states() == {"sent": 1000}


# ---------------------------------------------------------------- some are at fault


async def test_one_in_a_hundred_at_fault_is_found_and_all_others_are_taken_once(
    meta: FakeMeta, shop: Shop
) -> None:
    ids = await shop.queued(1000)
    bad = ids[::100]
    meta.faults.poison([str(each) for each in bad])
    await shop.turn()
    assert set(meta.received) == keys(set(ids) - set(bad))
    assert set(meta.received.values()) == {1}
    assert await shop.states() == {"sent": 990, "rejected": 10}
    for row in await shop.rows():
        if row.state == "rejected":
            assert row.event_id in bad
            assert (row.code, row.reason) == ("100/2804048", "This event cannot be accepted.")
    assert len(meta.calls) <= 150


# ---------------------------------------------------------------- throttled


@pytest.mark.parametrize("code", [4, 17, 613, 80004, 429])
async def test_a_throttled_lane_waits_and_loses_neither_events_nor_attempts(
    meta: FakeMeta, shop: Shop, code: int
) -> None:
    ids = await shop.started(3)
    meta.faults.throttle(code=code, calls=2)
    await shop.turn()
    assert {(row.state, row.attempts) for row in await shop.rows()} == {("pending", 0)}
    await shop.turn()
    assert len(meta.calls) == 1
    await shop.turn(2.0)
    await shop.turn(3.0)
    assert set(meta.accepted) == keys(ids)
    assert {(row.state, row.attempts) for row in await shop.rows()} == {("sent", 1)}


# ---------------------------------------------------------------- trouble on the way


async def test_a_meta_that_hangs_is_given_up_and_asked_again(meta: FakeMeta, tmp_path: Path) -> None:
    async with opened(tmp_path, meta, seconds=0.3) as shop:
        ids = await shop.started(3)
        meta.faults.hang(calls=QUICK_ATTEMPTS)
        await shop.turn()
        assert {(row.state, row.attempts, row.code) for row in await shop.rows()} == {
            ("pending", 1, "timeout")
        }
        await shop.until_quiet(10.0)
        assert set(meta.accepted) == keys(ids)


@pytest.mark.parametrize("how", ["500", "502", "503", "1", "2", "transient", "html", "empty", "list", "redirect"])  # fmt: skip
async def test_trouble_of_meta_or_of_a_proxy_costs_no_event(meta: FakeMeta, shop: Shop, how: str) -> None:
    ids = await shop.started(5)
    meta.faults.fail(how=how, calls=QUICK_ATTEMPTS + 1)
    await shop.turn()
    assert {(row.state, row.attempts) for row in await shop.rows()} == {("pending", 1)}
    await shop.until_quiet(10.0)
    assert set(meta.counted) == keys(ids)
    assert set(meta.counted.values()) == {1}


@pytest.mark.parametrize("how", ["closed", "reset", "cut"])
async def test_events_whose_answers_are_lost_come_again_under_their_ids_and_count_once(
    meta: FakeMeta, shop: Shop, how: str
) -> None:
    ids = await shop.started(50)
    meta.faults.lose_answers(how=how, calls=2)
    await shop.until_quiet(10.0)
    assert set(meta.counted) == keys(ids)
    assert set(meta.received.values()) == {3}
    assert set(meta.counted.values()) == {1}
    assert await shop.states() == {"sent": 50}


async def test_while_meta_is_down_events_wait_and_all_arrive_when_it_is_back(
    meta: FakeMeta, shop: Shop
) -> None:
    ids = await shop.started(20)
    await meta.go_down()
    for _ in range(5):
        await shop.turn(10.0)
    assert await shop.states() == {"pending": 20}
    await meta.come_up()
    await shop.until_quiet(60.0)
    assert set(meta.counted) == keys(ids)


async def test_what_meta_says_not_to_have_received_is_sent_until_it_has(meta: FakeMeta, shop: Shop) -> None:
    ids = await shop.started(2)
    meta.faults.short(takes=False, says=0, calls=3)
    await shop.turn()
    assert {(row.state, row.code) for row in await shop.rows()} == {("pending", "received 0")}
    await shop.until_quiet(10.0)
    assert set(meta.counted) == keys(ids)


# ---------------------------------------------------------------- what the operator has to mend


async def test_a_revoked_token_holds_the_lane_until_it_is_renewed_and_nothing_is_lost(
    meta: FakeMeta, shop: Shop
) -> None:
    ids = await shop.started(10)
    meta.revoke(token_of(PIXEL))
    with captured_logs() as page:
        await shop.turn()
        for _ in range(5):
            await shop.turn(2.0)
    assert page.getvalue().count("a lane is held") == 1
    assert token_of(PIXEL) not in page.getvalue()
    assert len(meta.calls) == 1
    status = await shop.status()
    assert status.held_at_ms is not None
    assert {(row.state, row.attempts) for row in await shop.rows()} == {("pending", 0)}
    meta.renew(PIXEL, token_of(PIXEL, 2))
    await shop.renew(PIXEL, token_of(PIXEL, 2))
    await shop.turn(1.1)
    assert set(meta.accepted) == keys(ids)
    assert (await shop.status()).held_at_ms is None


async def test_a_pixel_without_a_token_waits_for_one(meta: FakeMeta, shop: Shop) -> None:
    ids = await shop.started(3)
    await shop.pixels.forget_token(PIXEL)
    with captured_logs() as page:
        for _ in range(5):
            await shop.turn(2.0)
    [line] = page.getvalue().splitlines()
    assert f"no access token. Run: trilha pixel token {PIXEL}" in line
    assert not meta.calls
    await shop.renew(PIXEL, token_of(PIXEL))
    await shop.turn(1.1)
    assert set(meta.accepted) == keys(ids)


async def test_a_warning_of_a_versions_end_is_noted_and_said_once_and_events_go_on(
    meta: FakeMeta, shop: Shop
) -> None:
    meta.faults.warn_version("v26.0 will end")
    with captured_logs() as page:
        for _ in range(3):
            await shop.started(2)
            await shop.turn(1.1)
    assert page.getvalue().count("a destination warns") == 1
    assert (await shop.status()).warning == "v26.0 will end"
    assert await shop.states() == {"sent": 6}
    meta.faults.clear()
    await shop.started()
    await shop.turn(1.1)
    assert (await shop.status()).warning is None


# ---------------------------------------------------------------- one lane and another


async def test_a_dead_pixel_takes_no_time_from_another(meta: FakeMeta, shop: Shop) -> None:
    """With one pixel that never answers, the other has all its 2000 events while the first call is still open."""
    meta.add_pixel(OTHER, token_of(OTHER))
    await shop.open_pixel(OTHER)
    await shop.queued(1000)
    ids = await shop.queued(2000, OTHER)
    meta.faults.hang(pixel=PIXEL)
    stop = asyncio.Event()
    running = asyncio.create_task(shop.relay.run(stop))
    await meta.wait_for(lambda: set(meta.accepted) >= keys(ids, OTHER), seconds=30.0)
    assert [call.pixel for call in meta.calls].count(PIXEL) <= QUICK_ATTEMPTS
    assert set(meta.accepted) == keys(ids, OTHER)
    meta.drop()
    stop.set()
    await running


# ---------------------------------------------------------------- crashes


async def test_what_was_sent_and_not_marked_is_sent_again_under_the_same_ids_after_the_lease(
    meta: FakeMeta, shop: Shop
) -> None:
    """The process dies between Meta's answer and the mark: Meta counts each event once."""
    ids = await shop.started(5)
    died = asyncio.Event()

    async def die(*_: object, **__: object) -> None:
        died.set()
        await asyncio.Event().wait()

    sent, shop.outbox.sent = shop.outbox.sent, die  # type: ignore[method-assign, assignment]
    await shop.relay.pass_()
    await died.wait()
    for task in shop.relay._busy.values():
        task.cancel()
    await shop.relay.settled()
    shop.outbox.sent = sent  # type: ignore[method-assign]
    shop.relay = shop.new_relay()
    await shop.turn(LEASE_SECONDS / 2)
    assert await shop.states() == {"pending": 5}
    await shop.turn(LEASE_SECONDS / 2)
    assert await shop.states() == {"sent": 5}
    assert set(meta.received) == keys(ids)
    assert set(meta.received.values()) == {2}
    assert set(meta.counted.values()) == {1}
