"""The private listener: health, metrics, and /v1 for bots that are not ours. Every /v1 call needs a bearer key.

Telegram's webhook is here too, behind secrets of its own; a proxy forwards nothing but that from outside.
"""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analytics.inspect import BotName, Inspect, click_json, view_json
from bot.associate import Associate, StartAnswer, StartRequest
from daemon.answers import JsonAnswer, capped_body, error
from daemon.conversions import conversion_json, report_request
from daemon.explain import Explain
from daemon.gate import Gate
from daemon.openapi import describe
from daemon.shapes import ConversionBody, StartBody
from daemon.telegram_webhook import TelegramWebhook
from delivery.report import Report
from domain.clock import iso
from domain.errors import (
    InvalidConversion,
    InvalidToken,
    StoreUnavailable,
    TrilhaError,
    UnknownBot,
    UnknownClick,
)
from privacy.redact import redact_text
from runtime.version import VERSION

MAX_BODY = 16 * 1024
T = TypeVar("T")
_CODES: dict[type[TrilhaError], str] = {
    InvalidToken: "invalid_token",
    InvalidConversion: "invalid_conversion",
    UnknownBot: "unknown_bot",
    UnknownClick: "unknown_click",
}
_REFUSALS: tuple[type[TrilhaError], ...] = tuple(_CODES)
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What `/readyz` asks: whether redirects can be answered, and how the stores are."""

    catalog_loaded: Callable[[], bool]
    catalog_checked_ms: Callable[[], int | None]
    tiers: Callable[[], dict[str, str]]
    ring_waiting: Callable[[], int]


class Api:
    """The handlers of the private listener."""

    def __init__(
        self,
        *,
        associate: Associate,
        report: Report,
        inspect: Inspect,
        explain: Explain,
        bot_name: BotName,
        gate: Gate,
        health: Health,
        metrics: Callable[[], Awaitable[bytes]],
        webhook: TelegramWebhook,
    ) -> None:
        self._associate = associate
        self._report = report
        self._inspect = inspect
        self._explain = explain
        self._bot_name = bot_name
        self._gate = gate
        self._health = health
        self._metrics = metrics
        self._webhook = webhook

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/healthz", self.healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
                Route("/telegram/{bot}", self.telegram, methods=["POST"]),
                Route("/v1/starts", self._guarded(self.starts), methods=["POST"]),
                Route("/v1/clicks/{token}", self._guarded(self.click), methods=["GET"]),
                Route("/v1/explain", self._guarded(self.explain), methods=["GET"]),
                Route("/v1/explain/{token}", self._guarded(self.explain), methods=["GET"]),
                Route("/v1/conversions", self._guarded(self.conversions), methods=["POST"]),
                Route("/v1/openapi.json", self._guarded(self.openapi), methods=["GET"]),
            ],
            exception_handlers={404: _not_found, 405: _bad_method, Exception: _failed},
        )

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return PlainTextResponse("ok\n")

    async def readyz(self, _request: Request) -> Response:
        """200 when redirects can be answered: that takes the catalog, not the stores. The stores are shown."""
        ready = self._health.catalog_loaded()
        checked = self._health.catalog_checked_ms()
        body = {
            "ready": ready,
            "catalog_checked_at": iso(checked) if checked is not None else None,
            "tiers": self._health.tiers(),
            "ring_waiting": self._health.ring_waiting(),
            "process": os.getpid(),
            "version": VERSION,
        }
        return JsonAnswer(body, status_code=200 if ready else 503)

    async def metrics(self, _request: Request) -> Response:
        """Prometheus' text format."""
        return Response(await self._metrics(), media_type="text/plain; version=0.0.4")

    async def telegram(self, request: Request) -> Response:
        """Telegram's webhook. Wrong secrets count like wrong keys."""
        answer = await self._webhook.update(request)
        return self._gate.wrong(request, answer) if answer.status_code == 401 else answer

    async def starts(self, request: Request) -> Response:
        """Redeem a token, or note a direct start."""
        body = await _body(request, StartBody)
        if isinstance(body, Response):
            return body
        asked = StartRequest(
            bot=body.bot, telegram_id=body.telegram_id, token=body.token, update_id=body.update_id
        )
        try:
            answer = await self._associate.start(asked)
        except _REFUSALS as found:
            return _refused(found)
        except StoreUnavailable:
            return error(503, "unavailable", "the start could not be kept; send it again", retry=True)
        return JsonAnswer(start_json(answer))

    async def click(self, request: Request) -> Response:
        """What is known of one click."""
        try:
            view = await self._inspect.click(request.path_params["token"])
        except InvalidToken as found:
            return _refused(found)
        if view.click is None and not (view.row and view.row.owner):
            if view.certain:
                return error(404, "not_found", "no store has this click")
            return error(503, "unavailable", "a store that may have this click cannot be asked", retry=True)
        return JsonAnswer(view_json(view, self._bot_name))

    async def explain(self, request: Request) -> Response:
        """Why a sale is missing: of a token, a person or an order."""
        try:
            return await self._explain.told(request)
        except _REFUSALS as found:
            return _refused(found)

    async def conversions(self, request: Request) -> Response:
        """Report a conversion."""
        body = await _body(request, ConversionBody)
        if isinstance(body, Response):
            return body
        try:
            answer = await self._report.report(report_request(body))
        except _REFUSALS as found:
            return _refused(found)
        except StoreUnavailable:
            return error(503, "unavailable", "the conversion could not be kept; send it again", retry=True)
        return JsonAnswer(conversion_json(answer))

    async def openapi(self, _request: Request) -> Response:
        """The description of this listener, for programs."""
        return JsonAnswer(describe())

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            return self._gate.stopped(request) or await handler(request)

        return guarded


def _refused(found: TrilhaError) -> Response:
    """422. Of a token it is not told what is wrong with it."""
    detail = "the token is not ours, or too old" if isinstance(found, InvalidToken) else str(found)
    return error(422, _CODES[type(found)], detail)


def start_json(answer: StartAnswer) -> dict[str, Any]:
    """The object of the API and of `trilha start --json`."""
    click = answer.click
    shown = (
        {"id": str(click.id), "clicked_at": iso(click.at_ms), **click_json(click, answer.enrichment)}
        if click
        else None
    )
    return {"owner": answer.owner, "click": shown, "state": answer.state, "direct": answer.direct}


async def _body(request: Request, shape: type[T]) -> T | Response:
    raw = await capped_body(request, MAX_BODY)
    if raw is None:
        return error(413, "too_large", "the body may have 16 KiB")
    try:
        return msgspec.json.decode(raw, type=shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as found:
        return error(422, "invalid_body", redact_text(_without_names(str(found))))


def _without_names(text: str) -> str:
    """What msgspec says of a body, without the one thing in it that is the sender's own: the name of an unknown field."""
    told, unknown, _ = text.partition(" unknown field ")
    return f"{told}{unknown.rstrip()}" if unknown else text


async def _not_found(_request: Request, _cause: Exception) -> Response:
    return error(404, "not_found", "no such path")


async def _bad_method(_request: Request, cause: Exception) -> Response:
    answer = error(405, "bad_method", "this path takes another method")
    answer.headers["Allow"] = cause.headers["Allow"]  # type: ignore[attr-defined]  # the router's: RFC 9110, 15.5.6
    return answer


async def _failed(_request: Request, _cause: Exception) -> Response:
    return error(500, "failed", "this failed; the log says why")
