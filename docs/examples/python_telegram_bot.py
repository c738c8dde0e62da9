"""A bot with python-telegram-bot 21 or newer that tells Trilha of every START, and greets in any case.

pip install "python-telegram-bot>=21" httpx2; cp …/trilha/bot/client.py trilha_client.py
"""

import logging
import os

from telegram import Update
from telegram.ext import Application, CommandHandler, ContextTypes, filters
from trilha_client import ClientError, TrilhaClient, token_from

BOT = os.environ["BOT_USERNAME"]
# Edited messages and groups are no START.
PRIVATE = filters.ChatType.PRIVATE & filters.UpdateType.MESSAGE
log = logging.getLogger(__name__)


def warn(error: ClientError) -> None:
    """Say why a start was not tracked. No text of these errors is personal."""
    log.warning("a start was not tracked: %s %s", type(error).__name__, error)


async def open_client(application: Application) -> None:
    """Called by the application, inside its loop."""
    application.bot_data["trilha"] = TrilhaClient(
        os.environ["TRILHA_URL"], os.environ["TRILHA_KEY"], on_failure=warn
    )


async def close_client(application: Application) -> None:
    """Called by the application at its end."""
    trilha: TrilhaClient = application.bot_data["trilha"]
    await trilha.close()


async def greet(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """Greet, with what the click says where there is one."""
    trilha: TrilhaClient = context.bot_data["trilha"]
    message = update.message
    if message is None:
        return
    start = await trilha.try_start(
        bot=BOT,
        telegram_id=message.chat.id,
        message_id=message.message_id,
        token=token_from(message.text),
    )
    click = start.click if start else None
    campaign = click.utm.get("utm_campaign") if click else None
    await message.reply_text(f"Welcome! You came by {campaign}." if campaign else "Welcome!")


def main() -> None:
    """Poll until it is stopped."""
    logging.basicConfig(level=logging.INFO)
    # These log each request's path, and Telegram's holds the bot's token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    builder = Application.builder().token(os.environ["BOT_TOKEN"]).concurrent_updates(64)
    application = builder.post_init(open_client).post_shutdown(close_client).build()
    application.add_handler(CommandHandler("start", greet, filters=PRIVATE))
    application.run_polling()


if __name__ == "__main__":
    main()
