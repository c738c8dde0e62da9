"""What Meta demands of `user_data`: hashed where it must be, in clear where it must be, and enough of it."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from tests.meta.refusals import CLICK_ID, MATCHING, NOT_HASHED, TOO_LITTLE, bad_event, bad_parameter

HASHED = frozenset({"em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country"})
CLEAR = frozenset({"client_ip_address", "client_user_agent", "fbc", "fbp"})
_OTHERS = frozenset(
    {"subscription_id", "fb_login_id", "lead_id", "anon_id", "madid", "page_id", "page_scoped_user_id"}
    | {"ctwa_clid", "ig_account_id", "ig_sid"}
)
_NOT_ALONE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
DIGEST = re.compile(r"[0-9a-f]{64}")
_LOOKS_HASHED = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")
# Meta's own libraries append a mark of two or eight characters to the cookies that they make.
_MARK = r"(\.[A-Za-z0-9_-]{2}|\.[A-Za-z0-9_-]{8})?"
FBC = re.compile(rf"fb\.[0-9]\.([0-9]{{13}})\.[A-Za-z0-9_-]+{_MARK}")
_FBP = re.compile(rf"fb\.[0-9]\.[0-9]{{13}}\.[0-9]+{_MARK}")
_MOST_CHARACTERS = 4096  # ours; longer is a mistake rather than an identifier


def check_user_data(given: Any, path: str) -> None:
    """Raises Refused."""
    if not isinstance(given, dict):
        raise bad_parameter(path, "is required and is an object")
    for key, value in given.items():
        if key in HASHED:
            _check_hashed(value, key)
        elif key in CLEAR:
            _check_clear(value, key)
        elif key == "external_id":
            _check_strings(value, f"{path}['external_id']")
        elif key not in _OTHERS:
            raise bad_parameter(f"{path}['{key}']", "is not known")
        else:
            _check_string(value, f"{path}['{key}']")
    if any(given.keys() <= alone for alone in _NOT_ALONE):
        raise bad_event(TOO_LITTLE, "This event has too little customer information to be matched.")


def _check_hashed(value: Any, key: str) -> None:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(each, str) and DIGEST.fullmatch(each) for each in values):
        raise bad_event(NOT_HASHED, f"{key} must be SHA-256 in lower-case hexadecimal.")


def _check_clear(value: Any, key: str) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > _MOST_CHARACTERS:
        raise bad_event(MATCHING, f"{key} must be text.")
    if key == "fbc":
        if not FBC.fullmatch(value):
            raise bad_event(CLICK_ID, "fbc must be fb.INDEX.MILLISECONDS.FBCLID.")
    elif key == "fbp":
        if not _FBP.fullmatch(value):
            raise bad_event(MATCHING, "fbp must be fb.INDEX.MILLISECONDS.RANDOM.")
    elif _LOOKS_HASHED.fullmatch(value):
        raise bad_event(MATCHING, f"{key} must not be hashed.")
    elif key == "client_ip_address" and not _is_address(value):
        raise bad_event(MATCHING, "client_ip_address must be an IPv4 or IPv6 address.")


def _is_address(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return "%" not in value and (address.version == 4 or address.ipv4_mapped is None)


def _check_strings(value: Any, path: str) -> None:
    values = value if isinstance(value, list) else [value]
    if not values:
        raise bad_parameter(path, "has an empty list")
    for each in values:
        _check_string(each, path)


def _check_string(value: Any, path: str) -> None:
    if not isinstance(value, str) or not value or len(value) > _MOST_CHARACTERS:
        raise bad_parameter(path, "must be text")
