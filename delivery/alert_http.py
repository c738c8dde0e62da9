"""Alerts by HTTP: to a URL of the operator's, signed as conversions are, and to Telegram by a bot of the operator's."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from delivery.safe_http import Heard, SafeHttp, Unheard
from delivery.webhook import SIGNATURE, sign
from domain.alerts import Message
from domain.clock import Clock, iso
from domain.errors import TrilhaError

TELEGRAM_LONGEST = 4096
_JSON = {"content-type": "application/json", "user-agent": "Trilha"}
# What Telegram's Bot API means by its statuses (core.telegram.org/bots/api#making-requests).
_TELEGRAM = {
    400: "Telegram knows no such chat, or the bot is not in it: write to the bot first",
    401: "Telegram does not accept the bot's token",
    403: "the bot may not write there: start it, or let it into the chat",
    404: "Telegram does not accept the bot's token",
    429: "Telegram wants fewer messages",
}


class WebhookChannel:
    """A Channel: one signed POST for each message. The secret is in no text that leaves it."""

    name = "webhook"

    def __init__(self, *, url: str, secret: str, http: SafeHttp, clock: Clock) -> None:
        self._url, self._secret = url, secret.encode()
        self._http, self._clock = http, clock

    async def tell(self, message: Message) -> str | None:
        body = json.dumps({"alerts": [message_json(message)]}, ensure_ascii=False).encode()
        signature = sign(self._secret, body, self._clock.now_ms() // 1000)
        heard = await self._http.post(self._url, body, _JSON | {SIGNATURE: signature})
        if isinstance(heard, Heard) and 200 <= heard.status < 300:
            return None
        return heard.reason if isinstance(heard, Unheard) else f"the webhook answered {heard.status}"


class TelegramChannel:
    """A Channel: sendMessage of the Bot API. token: of the bot, asked for at each message, and remembered for when SQL is down.

    The token stands in the URL, as Telegram wants it: SafeHttp puts no URL into a log or an error.
    """

    name = "telegram"

    def __init__(
        self, *, base_url: str, chat: int, token: Callable[[], Awaitable[str]], http: SafeHttp
    ) -> None:
        self._base_url, self._chat = base_url.rstrip("/"), chat
        self._token, self._http = token, http
        self._last: str | None = None

    async def tell(self, message: Message) -> str | None:
        try:
            self._last = await self._token()
        except TrilhaError as error:
            if self._last is None:
                return str(error)
        given = {"chat_id": self._chat, "text": message.text[:TELEGRAM_LONGEST]}
        body = json.dumps(given | {"link_preview_options": {"is_disabled": True}}).encode()
        heard = await self._http.post(f"{self._base_url}/bot{self._last}/sendMessage", body, _JSON)
        if isinstance(heard, Unheard):
            return heard.reason
        if heard.status == 200:
            return None
        return _TELEGRAM.get(heard.status, f"Telegram answered {heard.status}")


def message_json(message: Message) -> dict[str, Any]:
    """A message as programs read it. Times are ISO 8601 in UTC."""
    return {
        "state": message.kind,
        "rule": message.rule,
        "subject": message.subject,
        "severity": message.severity,
        "headline": message.headline,
        "text": message.text,
        "since": iso(message.since_ms),
        "at": iso(message.at_ms),
    }
