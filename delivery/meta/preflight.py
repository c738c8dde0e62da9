"""Preflight: what Meta would refuse an event for. One bad event loses its whole batch, so each is checked before it goes.

The rules are those of the Conversions API's pages on server event, customer information and custom data parameters and on
best practices (baseline requirements for matching). Faults name fields, never values.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from delivery.meta.currencies import CURRENCIES
from delivery.meta.identifiers import is_address, is_fbc, is_fbp
from delivery.meta.letters import DIGEST, DIGEST_OF_NOTHING
from domain.conversions import LIFE_MS, PURCHASE

_OLDEST_S = LIFE_MS // 1000
AHEAD_S = 60
"""Meta states no bound for times to come; a minute is what others allow."""
HASHED = ("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country")
WEBSITE, CHAT = "website", "chat"
ACTION_SOURCES = frozenset({
    WEBSITE, CHAT, "email", "phone_call", "physical_store", "system_generated", "other",
})  # fmt: skip
"""Not `app`, which needs an app's data, nor `business_messaging`, which is Messenger's, WhatsApp's and Instagram's."""
_EVENT_FIELDS = frozenset({
    "event_name", "event_time", "event_id", "action_source", "event_source_url", "user_data", "custom_data",
})  # fmt: skip
_USER_FIELDS = frozenset({
    *HASHED, "external_id", "client_ip_address", "client_user_agent", "fbc", "fbp",
})  # fmt: skip
_NOT_ALONE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
"""Too many people have all of it: events with nothing else are refused."""
_URL = re.compile(r"https?://[^\s/?#]+(?:[/?#]\S*)?")
_ADDRESS = re.compile(r"[\w.+-]@[\w-]{1,63}\.\w")
_MAX_NAME, _MAX_ID, _MAX_URL, _MAX_TEXT, _MAX_LIST, _MAX_FIELDS, _MAX_DEPTH = 50, 64, 2048, 2048, 20, 50, 4
_CONTENT_TEXTS = frozenset({"id", "title", "description", "brand", "category", "delivery_category"})
_CONTENT_FIELDS = _CONTENT_TEXTS | {"quantity", "item_price"}


def faults(event: Mapping[str, Any], *, now_s: int) -> tuple[str, ...]:
    """Everything that Meta would refuse this event for at that time (UTC seconds); nothing when it would take it."""
    return tuple(_faults(event, now_s))


def _faults(event: Mapping[str, Any], now_s: int) -> Iterator[str]:
    if not event.keys() <= _EVENT_FIELDS:
        yield "the event has an unknown field"
    if not _is_text(event.get("event_name"), _MAX_NAME):
        yield "event_name is missing or too long"
    if not _is_text(event.get("event_id"), _MAX_ID):
        yield "event_id is missing or too long"
    yield from _of_time(event.get("event_time"), now_s)
    user = event.get("user_data")
    if not isinstance(user, Mapping) or not user:
        yield "user_data is missing"
        return
    yield from _of_source(event, user)
    yield from _of_user(user, now_s * 1000)
    if "custom_data" in event:
        yield from _of_custom(event["custom_data"])
    if event.get("event_name") == PURCHASE:
        yield from _of_purchase(event.get("custom_data"))


def _of_time(time: Any, now_s: int) -> Iterator[str]:
    if type(time) is not int:
        yield "event_time is not in whole seconds"
    elif time < now_s - _OLDEST_S:
        yield "event_time is older than 7 days"
    elif time > now_s + AHEAD_S:
        yield "event_time is in the future"


def _of_source(event: Mapping[str, Any], user: Mapping[str, Any]) -> Iterator[str]:
    source = event.get("action_source")
    if not _is_one_of(source, ACTION_SOURCES):
        yield "action_source is not one that can be used"
    if source == WEBSITE and "client_user_agent" not in user:
        yield "client_user_agent is missing, which website needs"
    if source == WEBSITE and "event_source_url" not in event:
        yield "event_source_url is missing, which website needs"
    if "event_source_url" in event and not _is_url(event["event_source_url"]):
        yield "event_source_url is not an http(s) URL"


def _of_user(user: Mapping[str, Any], now_ms: int) -> Iterator[str]:
    if not user.keys() <= _USER_FIELDS:
        yield "user_data has an unknown field"
    if any(user.keys() <= few for few in _NOT_ALONE):
        yield "user_data has only what too many people share"
    for key in HASHED:
        if key in user and not all(map(_is_digest, _listed(user[key]))):
            yield f"{key} is not hashed as it must be"
    if "external_id" in user and not all(_is_text(value, 256) for value in _listed(user["external_id"])):
        yield "external_id is not a text or a list of texts"
    if "client_ip_address" in user and not (
        _is_text(user["client_ip_address"], 45) and is_address(user["client_ip_address"])
    ):
        yield "client_ip_address is not a plain address"
    if "client_user_agent" in user and not _is_text(user["client_user_agent"], _MAX_TEXT):
        yield "client_user_agent is empty or too long"
    if "fbc" in user and not (isinstance(user["fbc"], str) and is_fbc(user["fbc"], now_ms)):
        yield "fbc is not of the form fb.1.MILLISECONDS.FBCLID, or its time cannot be"
    if "fbp" in user and not (isinstance(user["fbp"], str) and is_fbp(user["fbp"], now_ms)):
        yield "fbp is not of the form fb.1.MILLISECONDS.NUMBER, or its time cannot be"


def _of_purchase(custom: Any) -> Iterator[str]:
    if not isinstance(custom, Mapping) or not custom.keys() >= {"value", "currency"}:
        yield "a Purchase needs value and currency"


def _of_custom(custom: Any) -> Iterator[str]:
    if not isinstance(custom, Mapping):
        yield "custom_data is not an object"
        return
    if "value" in custom and not _is_amount(custom["value"]):
        yield "value is not a number of at least 0"
    if "currency" in custom and not _is_one_of(custom["currency"], CURRENCIES):
        yield "currency is not one of ISO 4217 that Meta can take"
    if "contents" in custom and not _are_contents(custom["contents"]):
        yield "contents is not a list of things with id, quantity and item_price"
    if "content_ids" in custom and not all(
        _is_text(value, _MAX_TEXT) for value in _listed(custom["content_ids"])
    ):
        yield "content_ids is not a list of texts"
    if len(custom) > _MAX_FIELDS or not _says_something(custom, _MAX_DEPTH):
        yield "custom_data has an empty value, is too large or too deep"
    elif _names_somebody(custom):
        yield "custom_data has an e-mail address"


def _are_contents(contents: Any) -> bool:
    return isinstance(contents, list | tuple) and bool(contents) and all(map(_is_content, contents))


def _is_content(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and "id" in content
        and content.keys() <= _CONTENT_FIELDS
        and all(_is_text(content[name], _MAX_TEXT) for name in _CONTENT_TEXTS & content.keys())
        and _is_count(content.get("quantity", 1))
        and _is_amount(content.get("item_price", 0))
    )


def _says_something(value: Any, depth: int) -> bool:
    """No null, nothing empty, no number that JSON has not, and nothing that JSON has not."""
    if isinstance(value, str):
        return _is_text(value, _MAX_TEXT)
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return _is_number(value)
    if depth == 0 or not value:
        return False
    if isinstance(value, Mapping):
        return all(
            _is_text(name, _MAX_TEXT) and _says_something(held, depth - 1) for name, held in value.items()
        )
    return isinstance(value, list | tuple) and all(_says_something(held, depth - 1) for held in value)


def _names_somebody(value: Any) -> bool:
    """Whether an e-mail address stands anywhere in it, in clear: Meta reproaches the operator with that."""
    if isinstance(value, str):
        return "@" in value and bool(_ADDRESS.search(value))
    if isinstance(value, Mapping):
        return any(_names_somebody(name) or _names_somebody(held) for name, held in value.items())
    return isinstance(value, list | tuple) and any(map(_names_somebody, value))


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and len(value) <= most and bool(value.strip())


def _is_one_of(value: Any, known: frozenset[str]) -> bool:
    return isinstance(value, str) and value in known


def _is_url(value: Any) -> bool:
    return _is_text(value, _MAX_URL) and bool(_URL.fullmatch(value))


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and bool(DIGEST.fullmatch(value)) and value != DIGEST_OF_NOTHING


def _is_number(value: Any) -> bool:
    """One that JSON has, and readers of JSON can hold; neither infinite nor none at all."""
    return (type(value) is int and -(2**63) <= value < 2**63) or (type(value) is float and abs(value) < 1e300)


def _is_amount(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 2**31


def _listed(value: Any) -> tuple[Any, ...]:
    """The values of a list, or the one value; a list that is empty or too long has one that nothing takes."""
    if isinstance(value, list | tuple):
        return tuple(value) if 0 < len(value) <= _MAX_LIST else (None,)
    return (value,)
