"""`POST /telegram/{bot}`: Telegram's webhook, for bots whose operator runs no Telegram worker.

The greeting is the answer's body, as the Bot API allows: no call goes out, and no bot token is needed.
"""

import hashlib
import hmac
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from bot.associate import Bots, moment
from bot.bot_api import NotAnUpdate, method_of, read_update
from bot.incoming import Blocking, Incoming
from bot.reception import Reception
from daemon.answers import JsonAnswer, capped_body, error
from domain.attribution import Owner
from domain.clock import Clock
from domain.errors import StoreUnavailable, UnknownBot
from domain.links import Bot

SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105  a header's name
MAX_UPDATE = 256 * 1024
# Compared with where there is no key, so that the work is the same. It is the SHA-256 of nothing that is known.
_NO_KEY = "0" * 64


class Blocks(Protocol):
    """Keeps whether a person has blocked a bot. Raises StoreUnavailable: it will be told again."""

    async def note_block(self, owner: Owner, *, blocked: bool, at_ms: int) -> None: ...


class TelegramWebhook:
    """Answers Telegram. Whatever it is not asked to repeat it answers with 200: Telegram sends all else again."""

    def __init__(self, *, bots: Bots, reception: Reception, blocks: Blocks, clock: Clock) -> None:
        self._bots = bots
        self._reception = reception
        self._blocks = blocks
        self._clock = clock

    async def update(self, request: Request) -> Response:
        """One update. An unknown bot, one without a key and a wrong secret are told apart by nobody."""
        bot = self._known(request)
        if bot is None:
            return _refused()
        raw = await capped_body(request, MAX_UPDATE)
        if raw is None:
            return error(413, "too_large", "an update may have 256 KiB")
        try:
            return await self._answer(read_update(raw, bot), bot)
        except NotAnUpdate as found:
            return error(400, "invalid_body", str(found))
        except UnknownBot:  # removed from the catalog while its update came in
            return _refused()
        except StoreUnavailable:
            return error(503, "unavailable", "the update could not be kept; send it again", retry=True)

    def _known(self, request: Request) -> Bot | None:
        """The bot of the path, if the secret is its own. Hashes and compares once, whatever there is to compare with."""
        bot = self._bots.bot(request.path_params["bot"])
        held = bot.webhook_key if bot else None
        given = request.headers.get(SECRET_HEADER, "").encode("latin-1")
        same = hmac.compare_digest(hashlib.sha256(given).hexdigest(), held or _NO_KEY)
        return bot if same and held else None

    async def _answer(self, found: Incoming | Blocking | None, bot: Bot) -> Response:
        if isinstance(found, Blocking):
            owner = Owner(bot_id=bot.id, telegram_id=found.telegram_id)
            at_ms = moment(found.at_ms, self._clock.now_ms())
            await self._blocks.note_block(owner, blocked=found.blocked, at_ms=at_ms)
        elif found is not None and (received := await self._reception.receive(found)):
            return JsonAnswer(method_of(received.outgoing, telegram_id=found.person.telegram_id))
        return Response()


def _refused() -> Response:
    return error(401, "unauthorized", "no such bot has a webhook with this secret")
