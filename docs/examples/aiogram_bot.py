"""A bot with aiogram 3 that tells Trilha of every START, and greets in any case.

pip install aiogram httpx2; cp …/trilha/bot/client.py trilha_client.py
"""

import asyncio
import logging
import os

from aiogram import Bot, Dispatcher, F
from aiogram.filters import CommandStart
from aiogram.types import Message
from trilha_client import ClientError, TrilhaClient, token_from

BOT = os.environ["BOT_USERNAME"]
log = logging.getLogger(__name__)
dispatcher = Dispatcher()


# Without deep_link=True it is called for `/start` and for `/start TOKEN`.
@dispatcher.message(CommandStart(), F.chat.type == "private")
async def greet(message: Message, trilha: TrilhaClient) -> None:
    """Greet, with what the click says where there is one."""
    start = await trilha.try_start(
        bot=BOT,
        telegram_id=message.chat.id,
        message_id=message.message_id,
        token=token_from(message.text),
    )
    click = start.click if start else None
    campaign = click.utm.get("utm_campaign") if click else None
    await message.answer(f"Welcome! You came by {campaign}." if campaign else "Welcome!")


def warn(error: ClientError) -> None:
    """Say why a start was not tracked. No text of these errors is personal."""
    log.warning("a start was not tracked: %s %s", type(error).__name__, error)


async def main() -> None:
    """Poll until it is stopped."""
    logging.basicConfig(level=logging.INFO)
    # httpx2 logs each request's path.
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    async with TrilhaClient(os.environ["TRILHA_URL"], os.environ["TRILHA_KEY"], on_failure=warn) as trilha:
        await dispatcher.start_polling(Bot(os.environ["BOT_TOKEN"]), trilha=trilha)


if __name__ == "__main__":
    asyncio.run(main())
