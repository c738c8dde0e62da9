"""What is promised of webhooks in SQL, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.engine import make_engine
from backends.sql.schema import lanes, outbox
from backends.sql.webhooks import REMOVED, SqlWebhooks
from domain.conversions import webhook_lane
from domain.errors import ConfigError
from domain.webhooks import Webhook
from tests.making import NOW, PATIENT, new_id

CRM, ERP = webhook_lane("crm"), webhook_lane("erp")


@pytest.fixture(params=["sqlite_tables", "postgres_tables"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[AsyncEngine]:
    made = make_engine(request.getfixturevalue(request.param), patience=PATIENT)
    yield made
    await made.dispose()


@pytest.fixture
def webhooks(engine: AsyncEngine) -> SqlWebhooks:
    return SqlWebhooks(engine)


def webhook(name: str, **changes: Any) -> Webhook:
    given = {"url": "https://crm.example.com/", "secret": b"sealed", "created_at_ms": NOW}
    return Webhook(**({"name": name} | given | changes))


async def put_rows(engine: AsyncEngine, lane: str, states: Sequence[str]) -> None:
    rows = [
        {"event_id": new_id(), "lane": lane, "event": "Lead", "event_at": NOW, "next_at": NOW, "state": state}
        for state in states
    ]
    async with engine.begin() as connection:
        await connection.execute(insert(outbox), rows)


async def states(engine: AsyncEngine, lane: str) -> list[tuple[str, str]]:
    wanted = select(outbox.c.state, outbox.c.reason).where(outbox.c.lane == lane)
    async with engine.connect() as connection:
        return sorted((row.state, row.reason or "") for row in await connection.execute(wanted))


async def put_lane(engine: AsyncEngine, lane: str) -> None:
    row = {"lane": lane, "held_at": NOW, "hold_reason": "gone", "sent_at": NOW, "warning": "old"}
    async with engine.begin() as connection:
        await connection.execute(insert(lanes), row)


async def lane_rows(engine: AsyncEngine) -> dict[str, tuple[Any, ...]]:
    async with engine.connect() as connection:
        return {row.lane: tuple(row)[1:] for row in await connection.execute(select(lanes))}


async def test_webhooks_are_found_by_name_and_listed_by_it(webhooks: SqlWebhooks) -> None:
    assert await webhooks.list() == []
    assert await webhooks.find("crm") is None
    for name in ("erp", "crm"):
        await webhooks.put(webhook(name))
    assert await webhooks.list() == [webhook("crm"), webhook("erp")]
    assert await webhooks.find("erp") == webhook("erp")


async def test_another_url_and_secret_take_the_place_of_those_before(webhooks: SqlWebhooks) -> None:
    await webhooks.put(webhook("crm"))
    changed = webhook("crm", url="https://new.example.com/", secret=b"other", created_at_ms=NOW + 1)
    for _ in range(2):
        await webhooks.put(changed)
    [found] = await webhooks.list()
    assert (found.url, found.secret) == (changed.url, changed.secret)
    assert found.created_at_ms == NOW, "it is as old as its name"


async def test_what_waits_for_a_webhook_that_is_put_again_is_kept_and_its_lane_is_released(
    engine: AsyncEngine, webhooks: SqlWebhooks
) -> None:
    await webhooks.put(webhook("crm"))
    await put_rows(engine, CRM, ["pending"])
    for lane in (CRM, ERP):
        await put_lane(engine, lane)
    await webhooks.put(webhook("crm"))
    assert await states(engine, CRM) == [("pending", "")]
    held = (NOW, "gone", NOW, "old")
    assert await lane_rows(engine) == {CRM: (None, None, NOW, "old"), ERP: held}


async def test_removing_a_webhook_ends_what_waits_for_it_and_nothing_else(
    engine: AsyncEngine,
) -> None:
    """In batches: five wait, and two at a time are ended."""
    webhooks = SqlWebhooks(engine, batch=2)
    for name in ("crm", "erp"):
        await webhooks.put(webhook(name))
    for lane in (CRM, ERP):
        await put_rows(engine, lane, ["pending"] * 5 + ["sent", "rejected", "dead", "skipped"])
        await put_lane(engine, lane)
    before = await states(engine, ERP)
    assert await webhooks.remove("crm") == 5
    done = [("dead", ""), ("rejected", ""), ("sent", ""), ("skipped", "")]
    assert await states(engine, CRM) == sorted([*done, *[("skipped", REMOVED)] * 5])
    assert await states(engine, ERP) == before
    assert [found.name for found in await webhooks.list()] == ["erp"]
    assert list(await lane_rows(engine)) == [ERP]


async def test_a_webhook_that_is_not_there_cannot_be_removed_and_nothing_is_ended(
    engine: AsyncEngine, webhooks: SqlWebhooks
) -> None:
    await put_rows(engine, CRM, ["pending"])
    with pytest.raises(ConfigError, match="trilha webhook list"):
        await webhooks.remove("crm")
    assert await states(engine, CRM) == [("pending", "")]


async def test_one_that_comes_again_after_its_removal_begins_anew(
    engine: AsyncEngine, webhooks: SqlWebhooks
) -> None:
    await webhooks.put(webhook("crm"))
    await webhooks.remove("crm")
    await webhooks.put(webhook("crm", created_at_ms=NOW + 5))
    assert await webhooks.find("crm") == webhook("crm", created_at_ms=NOW + 5)
    assert await webhooks.remove("crm") == 0


def test_a_webhooks_repr_shows_neither_url_nor_secret() -> None:
    shown = repr(webhook("crm", url="https://crm.example.com/s3cr3t"))
    assert "s3cr3t" not in shown
    assert "sealed" not in shown
