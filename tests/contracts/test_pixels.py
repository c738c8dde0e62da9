"""What the operator's hands are promised of pixels and of what became of their conversions, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql import outcomes as outcomes_file
from backends.sql.engine import make_engine
from backends.sql.links import SqlCatalog
from backends.sql.outcomes import DAY_MS, LIFE_MS, SqlOutcomes
from backends.sql.pixels import SqlPixels
from backends.sql.schema import lanes, outbox
from domain.clock import ManualClock
from domain.conversions import meta_lane, webhook_lane
from domain.errors import ConfigError
from domain.pixels import Outcome, Pixel, SealedCredentials
from tests.making import NOW, PATIENT, new_id

PIXEL, OTHER = "1234567890", "9876543210"
LANE = meta_lane(PIXEL)
BOTH = SealedCredentials(token=b"token", app_secret=b"secret")
SINCE = NOW - DAY_MS


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    made = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    yield made
    await made.dispose()


@pytest.fixture
def pixels(engine: AsyncEngine) -> SqlPixels:
    return SqlPixels(engine)


@pytest.fixture
def outcomes(engine: AsyncEngine) -> SqlOutcomes:
    return SqlOutcomes(engine)


async def hold(engine: AsyncEngine, *held: str) -> None:
    async with engine.begin() as connection:
        for lane in held:
            values = {"lane": lane, "held_at": NOW, "hold_reason": "no token", "sent_at": NOW, "warning": "w"}
            await connection.execute(lanes.insert(), values)


async def noted(engine: AsyncEngine) -> dict[str, Any]:
    async with engine.connect() as connection:
        rows = (await connection.execute(select(lanes))).all()
    return {row.lane: (row.held_at, row.hold_reason, row.sent_at, row.warning) for row in rows}


async def put(engine: AsyncEngine, **changes: Any) -> UUID:
    """A row of the outbox."""
    row = {"event_id": new_id(), "lane": LANE, "event": "Lead", "event_at": NOW, "next_at": NOW}
    async with engine.begin() as connection:
        await connection.execute(outbox.insert(), row | {"state": "sent"} | changes)
    return row["event_id"]  # type: ignore[return-value]


# ---------------------------------------------------------------- pixels


async def test_a_pixel_is_there_once_it_was_added_and_again_changes_nothing(pixels: SqlPixels) -> None:
    await pixels.put(PIXEL, BOTH, at_ms=NOW)
    for pixel in (PIXEL, OTHER):
        await pixels.add(pixel, at_ms=NOW + 1)
    assert await pixels.all() == [
        Pixel(id=PIXEL, created_at_ms=NOW, sealed=BOTH),
        Pixel(id=OTHER, created_at_ms=NOW + 1, sealed=SealedCredentials()),
    ]
    assert await pixels.credentials(OTHER) == SealedCredentials()
    assert await pixels.credentials("55555") is None


async def test_new_credentials_replace_the_old_ones_whole(pixels: SqlPixels) -> None:
    await pixels.put(PIXEL, BOTH, at_ms=NOW)
    await pixels.put(PIXEL, SealedCredentials(token=b"newer"), at_ms=NOW + 1)
    assert await pixels.credentials(PIXEL) == SealedCredentials(token=b"newer")
    await pixels.forget_token(PIXEL)
    assert await pixels.credentials(PIXEL) == SealedCredentials()


async def test_new_credentials_release_the_lane_of_their_pixel_and_no_other(
    engine: AsyncEngine, pixels: SqlPixels
) -> None:
    await hold(engine, LANE, meta_lane(OTHER))
    assert await pixels.put(PIXEL, BOTH, at_ms=NOW) is True
    held = (NOW, "no token", NOW, "w")
    assert await noted(engine) == {LANE: (None, None, NOW, "w"), meta_lane(OTHER): held}
    assert await pixels.put(PIXEL, BOTH, at_ms=NOW) is False
    assert await pixels.put("55555", BOTH, at_ms=NOW) is False


async def test_a_pixel_that_a_link_uses_says_so_and_is_not_removed(
    engine: AsyncEngine, pixels: SqlPixels
) -> None:
    catalog = SqlCatalog(engine, ManualClock(now_ms=NOW))
    await catalog.add_bot("shop_bot")
    for slug in ("verao", "inverno"):
        await catalog.add_link(slug, bot="shop_bot", pixel=PIXEL)
    await pixels.put(PIXEL, BOTH, at_ms=NOW)
    assert [pixel.links for pixel in await pixels.all()] == [("inverno", "verao")]
    with pytest.raises(ConfigError, match="inverno, verao"):
        await pixels.remove(PIXEL)
    assert await pixels.credentials(PIXEL) == BOTH


async def test_a_removed_pixel_leaves_nothing_of_itself_or_its_lane(
    engine: AsyncEngine, pixels: SqlPixels
) -> None:
    await hold(engine, LANE, meta_lane(OTHER))
    await pixels.put(PIXEL, BOTH, at_ms=NOW)
    await pixels.remove(PIXEL)
    assert await pixels.all() == []
    assert list(await noted(engine)) == [meta_lane(OTHER)]


async def test_mistakes_are_refused_in_words(pixels: SqlPixels) -> None:
    for call in (pixels.forget_token(PIXEL), pixels.remove(PIXEL)):
        with pytest.raises(ConfigError, match="trilha pixel list"):
            await call
    for call in (pixels.add("12x", at_ms=NOW), pixels.put("12x", BOTH, at_ms=NOW)):
        with pytest.raises(ConfigError, match="not a Meta pixel id"):
            await call
    assert await pixels.all() == []


# ---------------------------------------------------------------- what became of their conversions


async def test_what_was_sent_and_skipped_of_one_lane_since_then_is_counted_by_reason_and_match_keys(
    engine: AsyncEngine, outcomes: SqlOutcomes
) -> None:
    for _ in range(2):
        await put(engine, matched="fbc em")
    await put(engine, matched="fbc", event_at=SINCE)
    await put(engine, state="skipped", reason="off")
    for change in (
        {"event_at": SINCE - 1},
        {"lane": meta_lane(OTHER)},
        {"state": "pending"},
        {"state": "rejected"},
    ):
        await put(engine, **change)
    found = await outcomes.delivered(LANE, since_ms=SINCE)
    assert sorted(found, key=str) == sorted(
        [
            Outcome(lane=LANE, state="sent", matched=("fbc", "em"), count=2),
            Outcome(lane=LANE, state="sent", matched=("fbc",)),
            Outcome(lane=LANE, state="skipped", reason="off"),
        ],
        key=str,
    )


async def test_what_has_failed_since_then_is_counted_in_every_lane_however_old_it_was(
    engine: AsyncEngine, outcomes: SqlOutcomes
) -> None:
    webhook = webhook_lane("crm")
    await put(engine, state="dead", reason="too late", event_at=NOW - 7 * DAY_MS, next_at=NOW)
    await put(engine, state="rejected", reason="no", lane=webhook, next_at=SINCE)
    for change in (
        {"next_at": SINCE - 1},
        {"event_at": SINCE - LIFE_MS - 1},
        {"state": "sent"},
        {"state": "pending"},
    ):
        await put(engine, **({"state": "dead"} | change))
    assert sorted(await outcomes.failed(since_ms=SINCE), key=str) == [
        Outcome(lane=LANE, state="dead", reason="too late"),
        Outcome(lane=webhook, state="rejected", reason="no"),
    ]


async def test_no_more_is_counted_than_the_newest(
    engine: AsyncEngine, outcomes: SqlOutcomes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes_file, "MOST", 2)
    for number in range(4):
        await put(engine, reason=f"r{number}", event_at=NOW + number, next_at=NOW)
        await put(engine, state="dead", reason=f"r{number}", event_at=NOW + number)
    for found in (await outcomes.delivered(LANE, since_ms=SINCE), await outcomes.failed(since_ms=SINCE)):
        assert sorted(str(outcome.reason) for outcome in found) == ["r2", "r3"]


async def test_when_the_next_is_due_is_told_of_lanes_that_have_a_queue(
    engine: AsyncEngine, outcomes: SqlOutcomes
) -> None:
    for next_at in (NOW + 5, NOW - 5):
        await put(engine, state="pending", next_at=next_at)
    await put(engine, next_at=NOW - 100)
    await put(engine, state="pending", lane=webhook_lane("crm"))
    assert await outcomes.first_due([LANE, meta_lane(OTHER)]) == {LANE: NOW - 5}
