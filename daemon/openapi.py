"""`GET /v1/openapi.json`: the private listener described in OpenAPI 3.1. Shapes are generated, paths stand here."""

from functools import cache
from typing import Any

import msgspec

from daemon import shapes

_REF = "#/components/schemas/{name}"
_SHAPES = (
    shapes.StartBody,
    shapes.Start,
    shapes.ClickView,
    shapes.ConversionBody,
    shapes.Conversion,
    shapes.Explanation,
    shapes.Ready,
    shapes.Method,
    shapes.Error,
)
_ERRORS = {
    400: "`invalid_body`: not JSON",
    401: "`unauthorized`",
    404: "`not_found`: no store has this click",
    413: "`too_large`",
    421: "`wrong_host`: asked by a name that is not in TRILHA_PRIVATE_HOSTS",
    422: "`invalid_token`: not a token of ours, or too old",
    429: "`too_many`: of this key, or of wrong ones; come back after `Retry-After` seconds",
    503: "`unavailable`: a store that is needed cannot be asked; come back after `Retry-After` seconds",
}
_BEARER: list[dict[str, Any]] = [{"bearer": []}]
_SECRET: list[dict[str, Any]] = [{"telegramSecret": []}]


@cache
def describe() -> dict[str, Any]:
    """The description, ready for JSON."""
    _, components = msgspec.json.schema_components(_SHAPES, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trilha's private API", "version": "1"},
        "paths": _paths(),
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "telegramSecret": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Telegram-Bot-Api-Secret-Token",
                },
            },
        },
    }


def _paths() -> dict[str, Any]:
    return {
        "/healthz": {"get": _operation("The process answers", {200: _text("ok")})},
        "/readyz": {
            "get": _operation(
                "Whether redirects can be answered",
                {200: _json("Ready", "yes"), 503: _json("Ready", "not yet")},
            )
        },
        "/metrics": {"get": _operation("Prometheus' text format", {200: _text("metrics")})},
        "/telegram/{bot}": {
            "post": _operation(
                "Telegram's webhook",
                {
                    200: _json("Method", "the greeting; empty where there is none"),
                    **_errors(400, 401, 413, 429, 503),
                },
                security=_SECRET,
                parameters=[_parameter("bot", "username of a registered bot")],
                body={"type": "object", "description": "an Update of the Bot API"},
            )
        },
        "/v1/starts": {
            "post": _operation(
                "Redeem a token, or note a direct start; sending it again is safe",
                {
                    200: _json("Start", "what became of it"),
                    **_errors(401, 413, 421, 429, 503),
                    422: _json("Error", "`invalid_body`, `invalid_token` or `unknown_bot`"),
                },
                security=_BEARER,
                body=_ref("StartBody"),
            )
        },
        "/v1/clicks/{token}": {
            "get": _operation(
                "What is known of one click",
                {200: _json("ClickView", "the click"), **_errors(401, 404, 421, 422, 429, 503)},
                security=_BEARER,
                parameters=[_parameter("token", "what the deep link carries")],
            )
        },
        "/v1/explain": {
            "get": _operation(
                "Why a sale is missing: of a person or an order",
                {
                    200: _json("Explanation", "the way of it, also when nothing is known"),
                    **_errors(401, 421, 429),
                    422: _json("Error", "`invalid_query` or `unknown_bot`"),
                },
                security=_BEARER,
                parameters=[
                    _asked("telegram_id", "the person's numeric Telegram id; this or `order`", "integer"),
                    _asked("bot", "username of a registered bot; without it, the person in all bots"),
                    _asked("order", "an order id, of whatever bots"),
                    _LANGUAGE,
                ],
            )
        },
        "/v1/explain/{token}": {
            "get": _operation(
                "Why a sale is missing: of a click",
                {
                    200: _json("Explanation", "the way of it, also when nothing is known"),
                    **_errors(401, 421, 429),
                    422: _json("Error", "`invalid_token` or `invalid_query`"),
                },
                security=_BEARER,
                parameters=[_parameter("token", "what the deep link carries"), _LANGUAGE],
            )
        },
        "/v1/conversions": {
            "post": _operation(
                "Report a conversion; the same order again is the same conversion",
                {
                    200: _json("Conversion", "what became of it"),
                    **_errors(401, 413, 421, 429, 503),
                    422: _json(
                        "Error",
                        "`invalid_body`, `invalid_conversion`, `invalid_token`, `unknown_bot` or `unknown_click`",
                    ),
                },
                security=_BEARER,
                body=_ref("ConversionBody"),
            )
        },
        "/v1/openapi.json": {
            "get": _operation(
                "This description",
                {200: _content("application/json", {"type": "object"}, "it"), **_errors(401, 421, 429)},
                security=_BEARER,
            )
        },
    }


def _operation(
    summary: str,
    responses: dict[int, Any],
    *,
    security: list[dict[str, Any]] | None = None,
    parameters: list[dict[str, Any]] | None = None,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "security": security or [],
        "responses": {str(status): answer for status, answer in sorted(responses.items())},
    }
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _parameter(name: str, meaning: str) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": meaning, "schema": schema}


def _asked(name: str, meaning: str, kind: str = "string") -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": kind}}


_LANGUAGE = _asked("language", "`en` (default) or `pt`, for headline, titles, details and advice")


def _errors(*statuses: int) -> dict[int, Any]:
    return {status: _json("Error", _ERRORS[status]) for status in statuses}


def _json(name: str, meaning: str) -> dict[str, Any]:
    return _content("application/json", _ref(name), meaning)


def _text(meaning: str) -> dict[str, Any]:
    return _content("text/plain", {"type": "string"}, meaning)


def _content(media: str, schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"description": meaning, "content": {media: {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": _REF.format(name=name)}
