"""What Meta's answers mean: by the error's code and subcode, not by the HTTP status, as it throttles with 400 too.

The codes are those of the Graph API's and the Conversions API's pages on errors, and of what has been seen of it.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from delivery.destination import Accepted, Answer, Refusal, RefusalKind
from domain.conversions import RECEIVED
from privacy.redact import printable, redact_text

MAX_BODY = 65_536
"""Bytes of an answer that is read; a longer one is not Meta's."""
MAX_REASON = 200
MAX_RETRY_AFTER = 3600.0
_THROTTLED = frozenset({4, 17, 32, 613, *range(80_000, 80_015)})
_CONFIGURATION = frozenset({10, 102, 104, 190, 294, 2500, 2635, *range(200, 300)})
"""The token (102, 104, 190, 2500), what it may do (10, 200 to 299, 294), and the API's version (2635)."""
_TEMPORARY = frozenset({1, 2, 341, 368, 5000, 21_009})
_EVENT = frozenset({3, 100, 105})
_NO_SUCH_DATASET = (100, 33)
_PROOF = "appsecret_proof"
"""What a bare 100 says where the token's app demands a proof, or is given a wrong one: no event is at fault."""
_OF_STATUS: Mapping[int, RefusalKind] = {
    400: "event",
    401: "configuration",
    403: "configuration",
    404: "configuration",
    413: "event",
    422: "event",
    429: "throttled",
}
_OF_STATUS_ALONE: Mapping[int, RefusalKind] = {413: "event", 429: "throttled"}
"""Without a code somebody on the way answered, who says little: but half of what was too large may be small enough."""
_TRACE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.ASCII)
_PERSONAL = re.compile(r"[^\s@]{0,100}@\S+|\+?\d(?:[\s().-]{0,2}\d){7,}+")
_WARNING = "x-ad-api-version-warning"


def refusal(status: int, body: bytes, headers: Mapping[str, str]) -> Refusal:
    """What an answer that is no success means. Never raises.

    An unknown code goes by its status, the only thing left that says whose fault it is. 400 is laid to an event: cutting
    the batch in two finds the one at fault and lets the others through, where trying again would hold them all up until
    they are too old, for the sake of one. 401, 403 and 404 hold the lane; anything else is tried again.
    """
    error = _object(_object(_decoded(body)).get("error"))
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    unproven = code == 100 and _PROOF in str(error.get("message"))
    kind = _kind(status, code, subcode, transient=error.get("is_transient") is True)
    return Refusal(
        kind="configuration" if unproven else kind,
        code=_code_text(status, code, subcode),
        reason=_shown(error.get("error_user_msg"), error.get("message")) or f"http {status} without a reason",
        trace=_trace(error),
        retry_after=_retry_after(headers),
        warning=_warning(headers),
    )


def accepted(body: bytes, headers: Mapping[str, str], sent: int) -> Answer:
    """What an answer of success means: it is one only if Meta received as many events as were sent. Never raises."""
    answer = _object(_decoded(body))
    received = _number(answer.get("events_received"))
    if received == sent:
        return Accepted(trace=_trace(answer), warning=_warning(headers) or _messages(answer))
    if received is None:
        return refusal(200, body, headers)
    return Refusal(
        kind="event",
        code=f"{RECEIVED} {received}"[:20],
        reason=_messages(answer) or f"received {received} of {sent} events"[:MAX_REASON],
        trace=_trace(answer),
        warning=_warning(headers),
    )


def _kind(status: int, code: int | None, subcode: int | None, *, transient: bool) -> RefusalKind:
    if code is None:
        return _OF_STATUS_ALONE.get(status, "temporary")
    if code in _THROTTLED:
        return "throttled"
    if transient or code in _TEMPORARY:
        return "temporary"
    if code in _CONFIGURATION or (code, subcode) == _NO_SUCH_DATASET:
        return "configuration"
    return "event" if code in _EVENT else _OF_STATUS.get(status, "temporary")


def _code_text(status: int, code: int | None, subcode: int | None) -> str:
    """`100/2804003`, `190`, or `http 502` when the answer has no code."""
    if code is None:
        return f"http {status}"
    return (f"{code}/{subcode}" if subcode else str(code))[:20]


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if len(body) <= MAX_BODY else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int | None:
    return value if type(value) is int else None


def _shown(*texts: Any) -> str:
    """The first of them that is one, as a terminal may have it, and without what may be a person's."""
    text = next((text for text in texts if isinstance(text, str) and text.strip()), "")
    # Redacted before it is cropped: half a secret looks like none.
    return _PERSONAL.sub("[…]", " ".join(printable(redact_text(text)).split()))[:MAX_REASON]


def _messages(answer: Mapping[str, Any]) -> str | None:
    found = answer.get("messages")
    return _shown("; ".join(filter(_is_text, found))) or None if isinstance(found, list) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _trace(answer: Mapping[str, Any]) -> str | None:
    """None, too, where it looks like a secret: whoever answers may say back what it was sent."""
    trace = answer.get("fbtrace_id")
    if not isinstance(trace, str) or not _TRACE.fullmatch(trace):
        return None
    return trace if redact_text(trace) == trace else None


def _warning(headers: Mapping[str, str]) -> str | None:
    return _shown(_header(headers, _WARNING)) or None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, an hour at most. A date is not heard: whose clock it is by is not known."""
    text = (_header(headers, "retry-after") or "").strip()
    return min(float(text), MAX_RETRY_AFTER) if _SECONDS.fullmatch(text) else None


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return next((value for key, value in headers.items() if key.lower() == name), None)
