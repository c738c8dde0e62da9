"""`GET /v1/explain`: why a sale is missing, by token, person or order."""

from typing import Protocol

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from analytics.explain.explain import explain
from analytics.explain.explanation import explanation_json
from analytics.explain.facts import Facts
from analytics.explain.words import Words, language_of
from bot.associate import MAX_TELEGRAM_ID
from daemon.answers import JsonAnswer, error
from delivery.particulars import order_key
from domain.advice import Language
from domain.errors import ConfigError, InvalidConversion, InvalidToken


class Gathers(Protocol):
    """Asks every store (analytics/explain/gather.py)."""

    async def token(self, token: str) -> Facts: ...
    async def person(self, telegram_id: int, bot: str | None = None) -> Facts: ...
    async def order(self, order_id: str) -> Facts: ...


class Explain:
    """The handler. A token that is refused raises InvalidToken, as everywhere: of it is not told what is wrong with it."""

    def __init__(self, gathers: Gathers) -> None:
        self._gathers = gathers

    async def told(self, request: Request) -> Response:
        """By the token in the path; without one by `telegram_id` (and `bot`), or by `order`. Raises UnknownBot too."""
        token: str | None = request.path_params.get("token")
        try:
            language = _language(request.query_params)
            facts = await (
                self._gathers.token(token) if token is not None else self._asked(request.query_params)
            )
        except ConfigError as found:
            return error(422, "invalid_query", str(found))
        if facts.refused is not None:
            raise InvalidToken(facts.refused.kind)
        return JsonAnswer(explanation_json(explain(facts, Words(language, facts.rules.zone))))

    async def _asked(self, query: QueryParams) -> Facts:
        person, order = query.get("telegram_id"), query.get("order")
        if (person is None) == (order is None):
            raise ConfigError("exactly one of: telegram_id, order")
        if order is not None:
            return await self._gathers.order(valid_order(order))
        return await self._gathers.person(valid_person(person or ""), query.get("bot"))


def _language(query: QueryParams) -> Language:
    """What was sent is not said back."""
    try:
        return language_of(query.get("language", "en"))
    except ConfigError:
        raise ConfigError("language: en or pt") from None


def valid_person(text: str) -> int:
    """A Telegram id, or ConfigError."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 16 and 1 <= int(text) <= MAX_TELEGRAM_ID):
        raise ConfigError("not a Telegram id: give the person's number")
    return int(text)


def valid_order(text: str) -> str:
    """An order id, or ConfigError."""
    try:
        return order_key(text) or ""
    except InvalidConversion as found:
        raise ConfigError(str(found)) from None
