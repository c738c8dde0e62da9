"""trilha bot-account webhook: the secret that Telegram's calls for a bot come with."""

from hashlib import sha256
from typing import Annotated

import typer

from cli.bot_facts import Username, facts_of, registry_of
from cli.common import Json, run, settings, show
from domain.ids import random_text
from domain.links import Bot
from runtime.settings import Settings

# The call's URL has the token in it, so all of it goes in by standard input: arguments are seen by everybody.
_CALL = """curl -sS --config - <<END
url = "https://api.telegram.org/bot$(cat TOKEN_FILE)/{method}"
{fields}END"""


def webhook(
    username: Username,
    off: Annotated[bool, typer.Option("--off", help="Take no more calls of Telegram for it.")] = False,
    as_json: Json = False,
) -> None:
    """Let Telegram call `POST /telegram/USERNAME`, for a bot without a worker. Prints a new secret, once."""
    given = settings()
    secret = None if off else random_text()

    async def put() -> Bot:
        async with registry_of(given) as registry:
            bot = (await facts_of(registry, given, username)).bot
            await registry.accounts.put_webhook_key(bot.id, _digest(secret))
            return bot

    bot = run(put())
    url = f"{_public_base(given)}/telegram/{bot.username}"
    made = {"username": bot.username, "webhook": secret is not None, "url": url, "secret": secret}
    show(made, as_json=as_json, text=_webhook_text(bot, url, secret))


def _public_base(given: Settings) -> str:
    """Telegram calls nothing but https."""
    return given.base_url if given.base_url.startswith("https://") else "https://YOUR_HOST"


def _webhook_text(bot: Bot, url: str, secret: str | None) -> str:
    if secret is None:
        call = _CALL.format(method="deleteWebhook", fields="")
        return f"the webhook of @{bot.username} is off. Tell Telegram:\n\n{call}"
    allowed = r"allowed_updates=[\"message\",\"my_chat_member\"]"
    fields = "".join(
        f'data-urlencode = "{field}"\n' for field in (f"url={url}", f"secret_token={secret}", allowed)
    )
    call = _CALL.format(method="setWebhook", fields=fields)
    return f"{secret}\n\nThis secret is not shown again. Your proxy has to pass {url} on to the private listener. Tell Telegram:\n\n{call}"


def _digest(secret: str | None) -> bytes | None:
    return None if secret is None else sha256(secret.encode()).digest()
