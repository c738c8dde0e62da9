"""What Meta demands of an event and of a batch. One event that breaks a rule is the end of its batch."""

from __future__ import annotations

import re
from typing import Any

from tests.meta.custom_data import check_custom_data
from tests.meta.refusals import MESSAGING, TIME, TOO_OLD, Refusal, Refused, bad_event, bad_parameter
from tests.meta.user_data import check_user_data

MOST_EVENTS = 1000
OLDEST_SECONDS = 7 * 24 * 3600
FUTURE_SECONDS = 60  # Meta documents none; others that take the same events allow a minute
SOURCES = frozenset(
    {"email", "website", "app", "phone_call", "chat", "physical_store", "system_generated", "other"}
)
_FIELDS = frozenset(
    {"event_name", "event_time", "event_id", "event_source_url", "action_source", "user_data", "custom_data"}
    | {"opt_out", "data_processing_options", "data_processing_options_country"}
    | {"data_processing_options_state", "referrer_url", "customer_segmentation", "original_event_data"}
    | {"app_data", "messaging_channel"}
)
_TYPES = {
    "opt_out": bool,
    "data_processing_options": list,
    "data_processing_options_country": int,
    "data_processing_options_state": int,
}
_URL = re.compile(r"https?://[^\s/?#@]+([/?#]\S*)?")
_LONGEST_NAME, _LONGEST_ID, _LONGEST_URL = 50, 255, 8192


def check_batch(events: Any) -> None:
    """Before any event is looked at. Raises Refused."""
    if not isinstance(events, list):
        raise Refused(Refusal(code=100, message="(#100) param data must be an array."))
    if not events:
        raise Refused(Refusal(code=100, message="(#100) param data must be non-empty."))
    if len(events) > MOST_EVENTS:
        raise Refused(Refusal(code=100, message=f"(#100) Too many events: at most {MOST_EVENTS}."))


def check_event(event: Any, number: int, now: float) -> None:
    """`number`: its place in the batch. `now`: Unix seconds. Raises Refused."""
    path = f"$['data'][{number}]"
    if not isinstance(event, dict):
        raise bad_parameter(path, "must be an object")
    _check_fields(event, path)
    _check_time(event["event_time"], path, now)
    _check_source(event, path)
    check_user_data(event["user_data"], f"{path}['user_data']")
    check_custom_data(event, f"{path}['custom_data']")


def _check_fields(event: dict[str, Any], path: str) -> None:
    for name in ("event_name", "event_time", "user_data", "action_source"):
        if name not in event:
            raise bad_parameter(f"{path}['{name}']", "is required")
    if unknown := event.keys() - _FIELDS:
        raise bad_parameter(f"{path}['{min(unknown)}']", "is not known")
    for name, value in event.items():
        if has_null(value):
            raise bad_parameter(f"{path}['{name}']", "must not be null")
    _check_text(event, "event_name", path, _LONGEST_NAME)
    _check_text(event, "event_id", path, _LONGEST_ID)
    for name, kind in _TYPES.items():
        if name in event and type(event[name]) is not kind:
            raise bad_parameter(f"{path}['{name}']", f"must be of type {kind.__name__}")


def _check_text(event: dict[str, Any], name: str, path: str, longest: int) -> None:
    value = event.get(name, "-")
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise bad_parameter(f"{path}['{name}']", f"must be text of at most {longest} characters")


def _check_time(at: Any, path: str, now: float) -> None:
    if type(at) is not int:
        raise bad_parameter(f"{path}['event_time']", "must be Unix seconds")
    if at < now - OLDEST_SECONDS:
        says = "The timestamp for this event is too far in the past: at most 7 days."
        raise bad_event(TOO_OLD, says)
    if at > now + FUTURE_SECONDS:
        raise bad_event(TIME, "The timestamp for this event is in the future.")


def _check_source(event: dict[str, Any], path: str) -> None:
    source = event["action_source"]
    if source == "business_messaging":
        raise bad_event(MESSAGING, "The channel must be messenger, whatsapp or instagram.")
    if not isinstance(source, str) or source not in SOURCES:
        raise bad_parameter(f"{path}['action_source']", f"must be one of {', '.join(sorted(SOURCES))}")
    if source == "website":
        _check_website(event, path)
    for name in ("event_source_url", "referrer_url"):
        if name in event and not _is_url(event[name]):
            raise bad_parameter(f"{path}['{name}']", "must be a URL")


def _check_website(event: dict[str, Any], path: str) -> None:
    if "event_source_url" not in event:
        raise bad_parameter(f"{path}['event_source_url']", "is required")
    user_data = event["user_data"]
    if isinstance(user_data, dict) and "client_user_agent" not in user_data:
        raise bad_parameter(f"{path}['user_data']['client_user_agent']", "is required")


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_URL and bool(_URL.fullmatch(value))


def has_null(value: Any) -> bool:
    """Whether there is a null in it, however deep."""
    if isinstance(value, dict):
        return any(has_null(each) for each in value.values())
    if isinstance(value, list):
        return any(has_null(each) for each in value)
    return value is None
