"""Redaction: the last gate before a log line leaves the process.

What it takes out: addresses, user agents, tokens and API keys, Meta's identifiers and access tokens, bot tokens, keys,
passwords of URLs, and bytes. It prefers to take out too much: a MAC address goes as an address, and an SHA-256 as a key.
What stays: click ids (UUIDs), times, and addresses that name no visitor (127.0.0.0/8, 0.0.0.0, `::1` and `::`): the
listeners on them are ours, and whoever comes from them is on this machine.

Work is bounded: a text is cropped before anything is looked for in it, and every pattern is a bounded beginning and at
most one run without a way back, so that no input makes it take more than linear time. A test holds them to that form.
"""

import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from itertools import pairwise
from typing import Any

MAX_TEXT = 16_384
MAX_EVENT = 65_536
MAX_VALUES = 512
MAX_DEPTH = 6
LEVELS = ("debug", "info", "warning", "error", "critical")
WITHHELD = "a log line was withheld: it could not be redacted"
CROPPED = "[cropped]"
HIDDEN = "[redacted]"
Replace = str | Callable[[re.Match[str]], str]

# ---------------------------------------------------------------- names whose values are never shown

_NAMES = frozenset({
    "ip", "ua", "agent", "fbc", "fbp", "key", "addr", "address", "client", "peer", "visitor", "referer", "referrer",
    "telegram_id", "user_id", "chat_id",
})  # fmt: skip
_NAME_PARTS = (
    "user_agent", "useragent", "fbclid", "token", "secret", "passw", "pwd", "credential", "authorization", "cookie",
    "api_key", "apikey", "forwarded",
)  # fmt: skip
_NAME_ENDS = ("_ip", "_key", "_addr", "_address", "_ua", "_fbc", "_fbp")

# ---------------------------------------------------------------- what is found in texts

_LITERAL = re.compile(
    r"""(?<![A-Za-z0-9_])(?:[bB][rR]?|[rR][bB])(?:'(?:[^'\\\n]|\\.)*+'?|"(?:[^"\\\n]|\\.)*+"?)"""
)
_URL = re.compile(r"://\S++")
_TO_LINE_END = re.compile(
    r"""(?i)(user[ _-]?agent|authorization|cookie|forwarded(?:-for)?|referr?er)(["'\\]{0,4}\s{0,4}[=:]\s{0,4})[^\r\n]++"""
)
_TO_WORD_END = re.compile(
    r"(?i)(?<![A-Za-z0-9])(fbclid|fbc|fbp|(?:[a-z]{1,16}[_-])?(?:token|secret|key)|apikey|password|passwd|pwd|credentials?"
    r"""|[?&]start(?:app|group)?|ip|ua)(["'\\]{0,4}\s{0,4}[=:]\s{0,4}["'\\]{0,4})[^\s&;,"'()\[\]{}<>\\]++"""
)
_BEARER = re.compile(r"(?i)bearer\s{1,8}\S++")
_CLICK_PATH = re.compile(r"(/v1/(?:clicks|explain)/)[^\s/?#\"']++")
_KNOWN_FORM = re.compile(
    r"\d{6,12}+(?::|%3[Aa]|\||%7[Cc])[A-Za-z0-9_-]{20,}+"  # a bot's token; an app's access token
    r"|EAA[A-Za-z0-9_.~+/=-]{16,}+"  # Meta's access token
    r"|trk_[A-Za-z0-9_-]{8,}+"  # a key of our API
    r"|fb\.\d{1,2}+\.\d{1,20}+\.[A-Za-z0-9_%-]++"  # fbc and fbp
    r"|(?:IwAR|IwY2|IwZX|PAZX|PAQ0)[A-Za-z0-9_%-]++"  # fbclid as Meta makes them
)
_RUN = re.compile(r"[A-Za-z0-9+/_-]{16,}+={0,2}+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ADDRESS = re.compile(r"(?:%3[Aa]|%2[Ee]|[0-9A-Fa-f:.]){2,}+")
_V4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}(?:\.\d{1,3})*+", re.ASCII)
_V4_IN_A_NAME = re.compile(r"(?<!\d)\d{1,3}(?:-\d{1,3}){3}(?!\d)(?:-\d{1,3})*+", re.ASCII)
_AGENT = re.compile(
    r"(?i)mozilla/|like gecko|android \(|\[?fb(?:an|av|_iab)/"
    r"|\((?:khtml|compatible|like |\+https?:|(?:linux|iphone|ipad|windows|macintosh|x11|android)[;: ])"
    r"|(?<![a-z0-9_.+-])[a-z][a-z0-9_.+-]{0,60}+/\d[a-z0-9_.+-]{0,40}+ {0,4}+\("
)
_PRODUCT = re.compile(
    r"(?<![A-Za-z0-9_.+-])(?!HTTP/|trilha/)[A-Za-z][A-Za-z0-9_.+-]{0,60}+/v?\d{1,10}+\.\d[A-Za-z0-9_.]*+"
)
PATTERNS = (
    _LITERAL, _URL, _TO_LINE_END, _TO_WORD_END, _BEARER, _CLICK_PATH, _KNOWN_FORM, _RUN, _UUID, _ADDRESS, _V4,
    _V4_IN_A_NAME, _AGENT, _PRODUCT,
)  # fmt: skip

_SECRET_LENGTH = 40  # a UUID has 36 characters, 32 bytes have 43 in base64, a ClickToken has 62
_TOKEN_LENGTH = 62
_LONGEST_WORD = 20


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the event, redacted down to its last key and value, and fit for JSON. Never raises."""
    try:
        return _Walk().mapping(event, 0)
    except Exception:  # noqa: BLE001  a line that cannot be redacted is not written, and takes nothing down with it
        return _withheld(event)


def redact_text(text: str) -> str:
    """The text, cropped to about `MAX_TEXT` characters, without anything personal or secret."""
    text = _without_agents(_cropped(str.__str__(text)))
    for pattern, replacement in _STEPS:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str) -> str:
    """The text without what a terminal obeys or does not show: a space in place of each such character."""
    return "".join(character if character.isprintable() else " " for character in text)


class _Walk:
    """One event's way through the redaction, with what is left of its limits."""

    __slots__ = ("_characters", "_values")

    def __init__(self) -> None:
        self._values, self._characters = MAX_VALUES, MAX_EVENT

    def mapping(self, items: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        """Keys are texts too; what stands under a telling name is not looked at."""
        shown: dict[str, Any] = {}
        for key, value in items.items():
            if self._values <= 0:
                shown[CROPPED] = True
                break
            self._values -= 1
            shown[self._text(_text_of(key))] = HIDDEN if _hides(key, value) else self._value(value, depth + 1)
        return shown

    def _value(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, int | float):
            return _number(value)
        if depth > MAX_DEPTH:
            return CROPPED
        if isinstance(value, Mapping):
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset):
            return self._list(value, depth)
        return self._text(_text_of(value))

    def _list(self, values: Iterable[Any], depth: int) -> list[Any]:
        shown: list[Any] = []
        for value in values:
            if self._values <= 0:
                return [*shown, CROPPED]
            self._values -= 1
            shown.append(self._value(value, depth + 1))
        return shown

    def _text(self, text: str) -> str:
        if self._characters <= 0:
            return CROPPED
        redacted = redact_text(text)
        self._characters -= len(redacted)
        return redacted


def _hides(key: object, value: object) -> bool:
    """Whether a name says that its value is personal or secret. `has_token=True` gives nothing away."""
    if not isinstance(key, str) or value is None or isinstance(value, bool):
        return False
    name = key[:_TOKEN_LENGTH].lower().replace("-", "_")
    return name.strip("_") in _NAMES or name.endswith(_NAME_ENDS) or any(part in name for part in _NAME_PARTS)


def _number(value: float | None) -> float | str | None:
    """As a plain number: no subclass decides how it is written, and none has more digits than JSON writes."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if -(2**64) < value < 2**64 else "[number]"
    return float(value)


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return repr(value)


def _withheld(event: object) -> dict[str, Any]:
    """The fixed phrase, and the level if it is one."""
    level = event.get("level") if isinstance(event, dict) else None
    return {"event": WITHHELD, "level": level if type(level) is str and level in LEVELS else "error"}


def _cropped(text: str) -> str:
    """Beginning and end of a long text, cut where no secret can be cut in two: at white space and at line ends.

    The end of a traceback says most, so it is kept; text without a line end is kept from its beginning only.
    """
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2
    head, tail = text[:half], text[-half:]
    end = max(head.rfind(" "), head.rfind("\n"))
    return f"{head[: end + 1]}{CROPPED}{''.join(tail.partition(chr(10))[1:])}"


def _without_agents(text: str) -> str:
    return "\n".join(map(_without_agent, text.split("\n"))) if _AGENT.search(text) else text


def _without_agent(line: str) -> str:
    """A user agent has no marked end, and nothing says where it began: so the rest of its line goes with it, and what is
    before it up to a quote, `=` or `: `.
    """
    found = _AGENT.search(line)
    if not found:
        return line
    before = line[: found.start()]
    kept = max(before.rfind("'") + 1, before.rfind('"') + 1, before.rfind("=") + 1, before.rfind(": ") + 2)
    return line[: kept if kept > 1 else 0] + "[user agent]"


def _without_login(found: re.Match[str]) -> str:
    """A password may hold `/` and `@`: all goes up to the last `@` of the word."""
    before, at, rest = found[0].rpartition("@")
    return f"://{HIDDEN}@{rest}" if at and before else found[0]


def _without_keys(found: re.Match[str]) -> str:
    run = found[0]
    return "[secret]" if _is_secret(_UUID.sub("", run)) else run


def _is_secret(run: str) -> bool:
    if "IwAR" in run or "_aem_" in run:
        return True
    if len(run) < _SECRET_LENGTH:
        return False
    return any(map(_is_long_secret, run.strip("=").replace("+", "/").split("/"))) or _is_base64(run)


def _is_long_secret(part: str) -> bool:
    """Longer than any name we give; a Python name of lower-case words is one, unless it is as long as a token."""
    if len(part) < _SECRET_LENGTH or not part.strip("_-"):
        return False
    words = part.split("_")
    plain = all(word.isalpha() and word.islower() and len(word) <= _LONGEST_WORD for word in words)
    return not plain or len(part) == _TOKEN_LENGTH


def _is_base64(run: str) -> bool:
    """A key with `+` or `/` in it, not a path: random characters change their kind at two places of three, words seldom."""
    kinds = [0 if char.islower() else 1 if char.isupper() else 2 if char.isdigit() else 3 for char in run]
    changes = sum(first != second and 3 not in {first, second} for first, second in pairwise(kinds))
    return 1 in kinds and changes * 4 >= len(run)


def _without_addresses(found: re.Match[str]) -> str:
    run = found[0]
    if "%" in run:
        plain = run.upper().replace("%3A", ":").replace("%2E", ".")
        return "[ip]" if _is_v6(plain) or _V4.search(plain) else run
    if _is_v6(run):
        return run if run in {"::1", "::"} else "[ip]"
    return _V4.sub(_without_v4, run)


def _is_v6(run: str) -> bool:
    """Four groups are enough: the /64 of an address names its visitor too. A time of day has three."""
    return "::" in run or run.count(":") > 2


def _without_v4(found: re.Match[str]) -> str:
    text, before = found[0], found.string[: found.start()][-1:]
    ours = text == "0.0.0.0" or (text.startswith("127.") and text.count(".") == 3)
    return text if ours and not before.isdigit() else "[ip]"


# In this order: names and forms that say where a secret ends come before those that only say what one looks like.
_STEPS: tuple[tuple[re.Pattern[str], Replace], ...] = (
    (_URL, _without_login),
    (_LITERAL, "[bytes]"),
    (_TO_LINE_END, rf"\1\2{HIDDEN}"),
    (_TO_WORD_END, rf"\1\2{HIDDEN}"),
    (_BEARER, f"Bearer {HIDDEN}"),
    (_CLICK_PATH, r"\1[token]"),
    (_KNOWN_FORM, "[secret]"),
    (_RUN, _without_keys),
    (_PRODUCT, "[user agent]"),
    (_ADDRESS, _without_addresses),
    (_V4_IN_A_NAME, "[ip]"),
)
