"""The answers of a Meta that throttles or has trouble of its own."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.meta.refusals import Refusal
from tests.meta.wire import Answer

_HUGE_BYTES = 32 * 1024 * 1024
_HTML = (
    b"<!DOCTYPE html><html><head><title>Error</title></head><body>Sorry, something went wrong.</body></html>"
)

THROTTLES = (4, 17, 613, 80004, 429)
"""Error codes; 429 is an HTTP status with Retry-After and no envelope."""
FAILURES = ("500", "502", "503", "1", "2", "transient", "html", "empty", "list", "redirect", "huge")
"""500: an envelope with code 2 and is_transient. 502, 503: HTML. 1, 2: these codes, as HTTP 400 and not marked as
transient. transient: a code that nobody knows, with is_transient. The others are as from a proxy in between: html, empty
and list come with HTTP 200; redirect leads to where a token that follows it is a leak; huge is 32 MiB of HTML.
"""
_MESSAGES = {
    4: "(#4) Application request limit reached",
    17: "(#17) User request limit reached",
    32: "(#32) Page request limit reached",
    613: "(#613) Calls to this api have exceeded the rate limit.",
}


def throttled(code: int, retry_after: int) -> Answer:
    """One of THROTTLES, or any other code. `retry_after`: seconds, only said with HTTP 429."""
    if code == 429:
        body = msgspec.json.encode({"error": {"message": "Too many requests"}})
        return Answer(status=429, body=body, headers={"retry-after": str(retry_after)})
    message = _MESSAGES.get(code, f"(#{code}) There have been too many calls to this ad account.")
    # As it comes: HTTP 400, and now and then not called transient.
    return Refusal(code=code, message=message, transient=code != 17).answer()


def failed(how: str) -> Answer:
    """One of FAILURES."""
    if how in _STRANGE:
        return _STRANGE[how]()
    if how == "500":
        return Refusal(code=2, message="Service temporarily unavailable", status=500, transient=True).answer()
    if how == "transient":
        return Refusal(code=99_999, message="Please try again later.", transient=True).answer()
    return Refusal(code=int(how), message="An unknown error occurred").answer()


def _html(status: int, body: bytes = _HTML) -> Answer:
    return Answer(status=status, body=body, kind="text/html; charset=utf-8")


_STRANGE: dict[str, Callable[[], Answer]] = {
    "502": lambda: _html(502),
    "503": lambda: _html(503),
    "html": lambda: _html(200),
    "empty": lambda: Answer(status=200, body=b""),
    "list": lambda: Answer(status=200, body=b"[]"),
    "redirect": lambda: Answer(status=302, body=b"", headers={"location": "/_fake/followed"}),
    "huge": lambda: _html(200, b" " * _HUGE_BYTES),
}
