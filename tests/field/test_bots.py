"""Failures from the field on the side of Telegram, by their numbers (docs/field-failures.md)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from backends.sql.links import SqlCatalog
from backends.sql.schema import outbox, starts
from tests.bot.office import Office
from tests.daemon_fixture import BOT, OTHER_BOT, SLUG, Door
from tests.telegram.server import LoopbackTelegram


async def edit(office: Office, **changes: Any) -> None:
    async with office.site.engine() as engine:
        await SqlCatalog(engine, office.site.clock).edit_link(SLUG, **changes)


@pytest.mark.parametrize(
    ("changes", "state", "reason"),
    [
        ({}, "pending", None),
        ({"pixel": ""}, "skipped", "the link has no pixel"),
        ({"paused": True}, "pending", None),
        ({"bot": OTHER_BOT}, "pending", None),
    ],
)
async def test_f34_no_setting_makes_a_start_vanish_without_a_word(
    office: Office, telegram: LoopbackTelegram, changes: dict[str, Any], state: str, reason: str | None
) -> None:
    """Whatever is switched off between click and START, there is an owner, a conversion, and a reason if it is not sent."""
    async with office.site.running() as door, office.worker():
        token = await door.click()
        await edit(office, **changes)
        await telegram.press_start(telegram.person(42, "Ana"), office.bot, f"/start {token}")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    await office.site.settle()
    assert (await office.site.row(token)).owner_telegram_id == 42
    (conversion,) = await office.site.rows(outbox)
    assert (conversion.state, conversion.reason) == (state, reason)
    (start,) = await office.site.rows(starts)
    assert (start.kind, start.reply) == ("attributed", "sent")


async def test_f50_every_daemon_sees_the_health_that_telegram_showed_and_leaves_a_banned_bot_out(
    office: Office, telegram: LoopbackTelegram, tmp_path: Path
) -> None:
    """No daemon keeps a health of its own, none guesses it, and none has to be started again."""
    async with office.site.engine() as engine:
        await SqlCatalog(engine, office.site.clock).put_member(SLUG, OTHER_BOT)
    second = Office.beside(office, tmp_path / "second").site
    async with office.site.running() as one, second.running() as two, office.worker():
        assert await led_to(one) == await led_to(two) == {BOT, OTHER_BOT}
        telegram.ban(office.bot)
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(60):
            while BOT in await led_to(one) | await led_to(two):
                await asyncio.sleep(0.05)
        print(f"left out by both after {asyncio.get_running_loop().time() - began:.1f} s")
        assert await led_to(one) == await led_to(two) == {OTHER_BOT}


async def led_to(door: Door) -> set[str]:
    """The bots that twenty visitors are sent to."""
    answers = await asyncio.gather(*(door.get() for _ in range(20)))
    assert {answer.status for answer in answers} == {302}
    return {answer.location.rpartition("/")[2].partition("?")[0] for answer in answers}
