"""The worker, with the real client library against a Telegram on this machine."""

from __future__ import annotations

from backends.sql.schema import bot_users, starts
from tests.bot.office import Office
from tests.telegram.account import Person
from tests.telegram.server import LoopbackTelegram


async def test_a_start_with_a_token_is_attributed_and_answered_once(
    office: Office, telegram: LoopbackTelegram, ana: Person
) -> None:
    async with office.site.running() as door, office.worker():
        token = await door.click("utm_campaign=Verao|120&fbclid=IwAR1")
        await telegram.press_start(ana, office.bot, f"/start {token}")
        await telegram.wait_for(lambda: len(telegram.sent) == 1)

    (sent,) = telegram.sent
    assert (sent.chat_id, "Ana" in sent.text) == (42, True)
    row = await office.site.row(token)
    assert (row.owner_telegram_id, row.owner_bot_id) == (42, 1)
    (start,) = await office.site.rows(starts)
    assert (start.kind, start.reply) == ("attributed", "sent")
    (person,) = await office.site.rows(bot_users)
    assert person.first_click_id == person.last_click_id == row.id
