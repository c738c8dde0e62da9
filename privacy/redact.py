"""Redaction: the last gate before a log line leaves the process."""

import re
from collections.abc import MutableMapping
from typing import Any

_PATTERNS = (
    (re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{62}(?![A-Za-z0-9_-])"), "[token]"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b"), "[ip]"),
    # Takes a clock time such as 12:34:56 for an address too: rather that than a visitor in a log.
    (re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,8}[0-9A-Fa-f]{0,4}(?![\w:])"), "[ip]"),
    (re.compile(r"(?i)\bMozilla/\d[^\"']*"), "[user agent]"),
    (re.compile(r"(?i)\bfbclid=[^&\s\"']+"), "fbclid=[redacted]"),
    (re.compile(r"(?i)\bbearer\s+\S+"), "Bearer [redacted]"),
    (re.compile(r"://[^/@\s]+@"), "://[redacted]@"),
)


def redact_text(text: str) -> str:
    """The text without addresses, tokens, user agents, fbclids, bearer keys and URL passwords."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: every string value of the event is redacted."""
    for key, value in event.items():
        if isinstance(value, str) and key not in {"timestamp", "bind"}:
            event[key] = redact_text(value)
    return event
