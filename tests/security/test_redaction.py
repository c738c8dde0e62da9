"""Nothing personal or secret leaves by a log line, a metric, an exception or an error of the API, wherever it stands."""

from __future__ import annotations

import ast
import base64
import io
import json
import logging
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any, get_args
from urllib.parse import quote
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from delivery.destination import RefusalKind
from delivery.lane import LaneState
from domain import errors
from domain.click import Visit
from domain.conversions import DeliveryState
from domain.observations import RedirectOutcome
from domain.outcomes import Durability, Receipt
from privacy.redact import MAX_EVENT, MAX_TEXT, MAX_VALUES, PATTERNS, WITHHELD, redact_event, redact_text
from runtime.logs import UNWRITTEN, get_logger, log_uncaught
from runtime.metrics import OTHER, TIERS, Metrics
from tests.daemon_fixture import BOT, SLUG, Door, Site, captured_logs, request_bytes, user_agents
from tests.making import new_id

ROOT = Path(__file__).parents[2]
ROOMS = ("backends", "bot", "cli", "daemon", "delivery", "domain", "privacy", "runtime")

# ---------------------------------------------------------------- what must not be found

B64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
HEX = "0123456789abcdef"


def _of_bytes(size: int, write: Callable[[bytes], str]) -> st.SearchStrategy[str]:
    """Random as keys are: hypothesis alone would try a key of zeros, which no generator makes."""
    return st.randoms(use_true_random=False).map(lambda source: write(source.randbytes(size)))


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _is_a_strangers(address: IPv4Address | IPv6Address) -> bool:
    return not address.is_loopback and not address.is_unspecified


def _v6_spellings(address: IPv6Address) -> st.SearchStrategy[str]:
    low = int(address) & 0xFFFF_FFFF
    dotted = f"{':'.join(address.exploded.split(':')[:6])}:{IPv4Address(low)}"
    forms = [str(address), address.exploded, str(address).upper(), dotted, quote(str(address), safe="")]
    unpadded = ":".join(f"{int(group, 16):x}" for group in address.exploded.split(":"))
    return st.sampled_from([*forms, unpadded])


v4 = st.ip_addresses(v=4).filter(_is_a_strangers)
v6 = st.ip_addresses(v=6).filter(_is_a_strangers)
addresses = st.one_of(
    v4.map(str),
    v4.map(lambda a: str(a).replace(".", "%2E")),
    v4.map(lambda a: str(a).replace(".", "-")),
    v4.map(lambda a: f"::ffff:{a}"),
    v4.map(lambda a: f"::FFFF:{a}"),
    v4.map(lambda a: f"::ffff:{int(a) >> 16:x}:{int(a) & 0xFFFF:x}"),
    v6.flatmap(_v6_spellings),
)
tokens = _of_bytes(46, _url64)
keys = st.one_of(
    _of_bytes(32, bytes.hex),
    _of_bytes(32, lambda raw: raw.hex().upper()),
    _of_bytes(32, lambda raw: base64.b64encode(raw).decode()),
    _of_bytes(32, _url64),
    _of_bytes(32, lambda raw: "trk_" + _url64(raw)),
    _of_bytes(64, lambda raw: base64.b64encode(raw).decode()),
)
digits = st.text("0123456789", min_size=8, max_size=10)
telegram_tokens = st.builds("{}:AA{}".format, digits, _of_bytes(25, lambda raw: _url64(raw)[:33]))
meta_tokens = st.one_of(
    _of_bytes(90, lambda raw: "EAA" + base64.b64encode(raw, b"Zz").decode().rstrip("=")),
    st.builds("{}|{}".format, digits.map(lambda d: d + "00000"), _of_bytes(20, lambda raw: _url64(raw)[:27])),
)
fbclids = st.one_of(
    _of_bytes(45, lambda raw: "IwAR" + _url64(raw)),
    _of_bytes(9, lambda raw: "IwAR" + _url64(raw)),
    _of_bytes(40, lambda raw: "IwY2xjaw" + _url64(raw)),
    _of_bytes(12, lambda raw: _url64(raw) + "_aem_" + _url64(raw[::-1])),
)
meta_ids = st.one_of(
    st.builds("fb.1.{}.{}".format, st.integers(10**12, 10**13 - 1), fbclids),
    st.builds("fb.{}.{}.{}".format, st.integers(0, 3), st.integers(10**12, 10**13 - 1), st.integers(10**8)),
)
words = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", min_size=3, max_size=12)
versions = st.lists(st.integers(0, 999), min_size=2, max_size=4).map(lambda parts: ".".join(map(str, parts)))
comments = st.lists(words, min_size=1, max_size=4).map(lambda parts: f"({'; '.join(parts)})")
products = st.builds("{}/{}".format, words, versions)
agents = st.one_of(
    st.sampled_from([agent for _, agent in user_agents()]),
    st.builds("Mozilla/5.0 {} {}".format, comments, products),
    st.builds("{} {} {}".format, products, comments, words),
    st.builds("{} {}".format, products, comments),
    products,
)
passwords = st.builds("pw{}".format, _of_bytes(9, lambda raw: base64.b64encode(raw).decode()))
anything = st.one_of(
    addresses, tokens, keys, telegram_tokens, meta_tokens, fbclids, meta_ids, agents.filter(lambda a: len(a) < 4000)
)  # fmt: skip
# What stands around: none of it says what is in it.
around = st.sampled_from(
    [
        "{}", "peer {} failed", "({})", "['{}']", "a={}", '{{"a": "{}"}}', "[{}]:443", "{}:65535", "<{}>", "x\n{}\ny", "{},", "at {}.",
        "GET /go/promo?start={} HTTP/1.1", "https://t.me/bot?start={}", "/go/{}", "redis://{}/0", "\t{}\r\n", "é{}ß", "a|{}|b",
    ]
)  # fmt: skip


def leaves(value: Any) -> Iterator[str]:
    """Every text of a value, keys too."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield key
            yield from leaves(held)
    elif isinstance(value, list):
        for held in value:
            yield from leaves(held)
    else:
        yield str(value)


def assert_none(secret: str, page: str) -> None:
    """Neither the secret, nor what it is made of, is in any line."""
    texts = [text for line in page.splitlines() for text in leaves(json.loads(line))]
    for text in [page, *texts]:
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        for part in _telling(secret):
            assert part not in text


def _telling(secret: str) -> list[str]:
    """The longest pieces that would still be of use to somebody."""
    try:
        ip_address(secret)
    except ValueError:
        return [part for part in re.split(r"[^A-Za-z0-9_-]", secret) if len(part) >= 24]
    return []


# ---------------------------------------------------------------- texts


@given(secret=anything, text=around)
@example(secret="2001:db8::1", text="{}")
@example(secret="203.0.113.9", text="[{}]:443")
def test_no_text_keeps_what_is_personal_or_secret_in_it(secret: str, text: str) -> None:
    assert secret not in redact_text(text.format(secret))


@given(secret=anything)
def test_what_is_redacted_stays_so_when_it_is_redacted_again(secret: str) -> None:
    once = redact_text(f"peer {secret} failed")
    assert redact_text(once) == once


@pytest.mark.parametrize("agent", [agent for _, agent in user_agents()])
def test_every_real_user_agent_is_taken_for_one(agent: str) -> None:
    for text in (agent, f"ValueError: {agent}", f"peer {agent}", f"['{agent}']"):
        shown = redact_text(text)
        assert "[user agent]" in shown
        for part in re.findall(r"[A-Za-z0-9]+/[0-9.]+|\([^)]*\)", agent):
            assert part not in shown


@given(password=passwords, tail=st.sampled_from(["", "/0", ":6379/0?x=1", ":5432/db,redis://other"]))
def test_no_password_of_a_url_is_kept(password: str, tail: str) -> None:
    for text in ("redis://:{}@host", "postgresql+asyncpg://trilha:{}@db", "cannot open 'rediss://u:{}@h'"):
        assert password not in redact_text(text.format(password) + tail)


@pytest.mark.parametrize(
    "name",
    [
        "fbclid", "token", "access_token", "secret", "secret_key", "api_key", "password", "user_agent", "User-Agent",
        "Authorization", "Cookie", "X-Forwarded-For", "client_ip", "fbp", "_fbc", "mac-key", "Referer",
    ],
)  # fmt: skip
def test_what_stands_after_a_telling_name_is_not_shown_whatever_it_looks_like(name: str) -> None:
    for text in ("{}={}", "{}: {}", "'{}': '{}'", '{{"{}": "{}"}}', "x?a=1&{}={}&b=2", '\\"{}\\": \\"{}\\"'):
        assert "plainword" not in redact_text(text.format(name, "plainword"))
    event = redact_event(None, "info", {"event": "x", "more": [{name: "plainword"}], name: "plainword"})
    assert "plainword" not in str(event)


@pytest.mark.parametrize(
    "harmless",
    [
        "a spool failed", "trilha/0.1.0", "https://example.com/x?a=1", "version 7.2", "HTTP/1.1", "settling goes on",
        "0192f0c1-7d7a-7abc-8def-0123456789ab", "2026-11-27T10:00:00.123456Z", "12:34:56.789", "10:00:00",
        "127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080", "127.3.2.1", "SQL failed: OperationalError",
        'File "/opt/trilha/lib/python3.11/site-packages/starlette/middleware/errors.py", line 3, in call',
        "in test_nothing_personal_reaches_a_log_whatever_is_done_with_a_click", "-" * 80, "daemon-3f2a.1",
        "SQL has no tables of ours yet. Make them with: trilha migrate",
    ],
)  # fmt: skip
def test_what_is_harmless_stays(harmless: str) -> None:
    assert redact_text(harmless) == harmless


def test_only_addresses_that_name_no_visitor_are_readable() -> None:
    for text in ("128.0.0.1", "1127.0.0.12", "127.0.0.1.203.0.113.9", "0.0.0.1", "::2", "::ffff:127.0.0.1"):
        assert text not in redact_text(text)


# ---------------------------------------------------------------- bounds


def _steps(pattern: Any) -> Iterator[tuple[str, bool]]:
    """Each unbounded repetition of a parsed pattern: its kind, and whether all that follows it may be absent."""
    items = list(pattern)
    for at, (op, args) in enumerate(items):
        last = all(_may_be_absent(item) for item in items[at + 1 :])
        inner: list[Any] = []
        if op in {constants.MAX_REPEAT, constants.MIN_REPEAT, constants.POSSESSIVE_REPEAT}:
            if args[1] == constants.MAXREPEAT:
                yield str(op), last
            inner = [args[2]]
        elif op is constants.SUBPATTERN:
            inner = [args[3]]
        elif op is constants.BRANCH:
            inner = args[1]
        elif op in {constants.ASSERT, constants.ASSERT_NOT}:
            inner = [args[1]]
        for child in inner:
            yield from ((kind, last and end) for kind, end in _steps(child))


def _may_be_absent(item: tuple[Any, Any]) -> bool:
    op, args = item
    return op in {constants.MAX_REPEAT, constants.POSSESSIVE_REPEAT} and args[0] == 0


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:30])
def test_every_pattern_is_a_bounded_beginning_and_one_run_without_a_way_back(
    pattern: re.Pattern[str],
) -> None:
    """So each place of a text is tried in a bounded number of steps or consumed: linear, whatever the input."""
    assert all(kind == "POSSESSIVE_REPEAT" and end for kind, end in _steps(parser.parse(pattern.pattern)))


def test_the_check_of_patterns_sees_what_is_not_linear() -> None:
    for bad in (r"(a+)+b", r"a*b", r"a++b", r"(?:x|a+)", r"\w+_aem_", r"(?=a*b)"):
        found = list(_steps(parser.parse(bad)))
        assert not all(kind == "POSSESSIVE_REPEAT" and end for kind, end in found), bad


class Counted(str):
    """A text that counts how much of it is taken."""

    __slots__ = ()
    taken = 0

    def __str__(self) -> str:
        raise AssertionError("asked the value itself")


@pytest.mark.parametrize(
    "unit",
    [
        "a", "1", ":", ".", "://", "b'", "x@", "1.", "::", "a/1.0 (", "Mozilla/5.0 (", "key=", "1234567:", " ", "\n", "%3A", "'", "\\",
        "203.0.113.9 ", "user_agent=\n", "-1", "_aem_", "bearer ",
    ],
)  # fmt: skip
def test_a_megabyte_is_cropped_before_anything_is_looked_for(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Watched:
        def __init__(self, pattern: re.Pattern[str]) -> None:
            self._pattern = pattern

        def sub(self, replacement: Any, text: str) -> str:
            seen.append(len(text))
            return self._pattern.sub(replacement, text)

    import privacy.redact as module

    steps = tuple((Watched(pattern), replacement) for pattern, replacement in module._STEPS)
    monkeypatch.setattr(module, "_STEPS", steps)
    shown = redact_text(Counted(unit * (1_000_000 // len(unit))))
    assert max(seen) <= 4 * MAX_TEXT
    assert len(shown) <= 4 * MAX_TEXT
    assert "203" not in shown


@given(secret=anything, at=st.integers(-70, 70))
@settings(max_examples=60, deadline=None)
def test_cropping_cuts_no_secret_in_two(secret: str, at: int) -> None:
    half = MAX_TEXT // 2
    before = "x " * ((half - at) // 2)
    text = f"{before}{secret}\n{'y ' * MAX_TEXT}\n{secret}{'z ' * ((half + at) // 2)}"
    shown = redact_text(text)
    assert secret not in shown
    for part in _telling(secret):
        assert part not in shown


def test_an_event_has_a_limit_in_values_in_depth_and_in_characters() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    event = {"event": "x", "endless": endless, "many": ["x"] * 100_000, "long": ["y " * 20_000] * 100}
    shown = redact_event(None, "info", event)
    texts = list(leaves(shown))
    assert len(texts) <= 2 * MAX_VALUES
    assert sum(map(len, texts)) <= 2 * MAX_EVENT


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("203.0.113.9")


class BrokenText(dict[str, Any]):
    def items(self) -> Any:
        raise ValueError("203.0.113.9")


@pytest.mark.parametrize(
    "event",
    [{"event": Broken()}, {"event": "x", "a": [Broken()]}, BrokenText(event="x", level="info"), None, 5],
)
def test_an_event_that_cannot_be_redacted_becomes_a_fixed_phrase(event: Any) -> None:
    shown = redact_event(None, "info", event)
    assert shown["event"] == WITHHELD
    assert set(shown) == {"event", "level"}
    assert "203" not in json.dumps(shown)


def test_values_are_shown_as_json_has_them_and_what_is_harmless_is_kept() -> None:
    click = new_id()
    event = {
        "event": "x",
        "n": 5,
        "f": 0.5,
        "yes": True,
        "none": None,
        "id": click,
        "has_token": True,
        "l": (1, "a"),
    }
    shown = redact_event(None, "info", dict(event))
    assert shown == {**event, "id": f"UUID('{click}')", "l": [1, "a"]}
    assert json.loads(json.dumps(shown)) == shown


def test_a_visit_names_nothing_in_a_log() -> None:
    fields = dict.fromkeys(Visit.__struct_fields__, "") | {"ip": "203.0.113.9", "user_agent": "Foo"}
    shown = str(redact_event(None, "info", {"event": "x", "visit": Visit(**fields)}))
    assert "203" not in shown
    assert "Foo" not in shown


# ---------------------------------------------------------------- log calls


@pytest.fixture(scope="module")
def page() -> Iterator[io.StringIO]:
    """The real pipeline, at the chattiest level."""
    with captured_logs("debug") as stream:
        yield stream


def drained(page: io.StringIO) -> str:
    text = page.getvalue()
    page.seek(0)
    page.truncate()
    return text


class Held:
    """An object whose repr tells all."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Held({self.secret!r})"


def _raised(secret: str, kind: type[Exception] = ValueError) -> Exception:
    """An error as it is caught: with a traceback, a cause, and a note."""
    try:
        try:
            raise OSError(5, secret)  # noqa: TRY301  a cause is part of the traceback
        except OSError as cause:
            error = kind(f"refused {secret}")
            error.add_note(f"note {secret}")
            raise error from cause
    except kind as caught:
        return caught


@contextmanager
def ours_alone() -> Iterator[None]:
    """Without pytest's own handlers, which look at records before they are redacted, and raise where ours do not."""
    named = [
        logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)
    ]
    held = {logger: logger.handlers for logger in (logging.getLogger(), *named)}
    for logger, handlers in held.items():
        logger.handlers = [handler for handler in handlers if type(handler).__module__ == "runtime.logs"]
    try:
        yield
    finally:
        for logger, handlers in held.items():
            logger.handlers = handlers


def _log_everywhere(secret: str) -> int:
    """The secret in every position of a log call; the number of calls."""
    log, plain = get_logger("trilha.test"), logging.getLogger("foreign")
    error = _raised(secret)
    for method in (log.debug, log.info, log.warning, log.error, log.critical):
        method("a fixed phrase", value=secret, nested={"a": [{secret: secret}], "b": (secret, {secret})})
    log.info(secret)
    log.info(f"in a phrase: {secret}")  # noqa: G004  what nobody should do is tried too
    log.info("with %s", secret)
    log.info("x", **{secret: 1})
    log.info("x", value=secret.encode(), more=[bytearray(secret.encode())], view=memoryview(secret.encode()))
    log.info("x", value=Held(secret), error=error, group=ExceptionGroup("many", [error, error]))
    log.bind(bound=secret).info("x")
    log.info("x", timestamp=secret, level=secret, bind=secret, ip=secret, user_agent=secret, token=secret)
    log.error("x", exc_info=error)
    log.info("x", exc_info=(type(error), error, error.__traceback__))
    log.info("x", stack_info=True, value=secret)
    log.info("x", value=repr(secret.encode()), other=repr({"k": secret}), text=json.dumps({"k": secret}))
    for name in ("foreign", "uvicorn.error", "uvicorn.access", "sqlalchemy.engine", "redis", "asyncio"):
        logging.getLogger(name).error("of %s: %r", secret, {secret: [secret]})
        logging.getLogger(name).error(secret, exc_info=error, stack_info=True)
    plain.warning("x %s", Held(secret), extra={"extra": secret, "color_message": secret})
    alone = logging.getLogger("kept.from.the.root")
    alone.propagate = False
    alone.error("of %s", secret)
    plain.error(secret + " %s")
    plain.error(secret + " %d", secret)  # logging's own answer to this shows the arguments
    plain.warning({"msg": secret})
    return 34


@given(secret=anything)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example reads what the one before it left: nothing
@example(secret="203.0.113.9")
@example(secret="SingularBrowser/77.1 (Owner; Maria)")
def test_no_log_call_lets_anything_out_wherever_it_stands(
    page: io.StringIO, capfd: pytest.CaptureFixture[str], secret: str
) -> None:
    with ours_alone():
        calls = _log_everywhere(secret)
    written = drained(page)
    assert written.count("\n") == calls
    assert_none(secret, written)
    assert written.count(UNWRITTEN) == 1
    assert capfd.readouterr() == ("", "")


ERRORS = [
    found for found in vars(errors).values() if isinstance(found, type) and issubclass(found, Exception)
]


@given(secret=anything, kind=st.sampled_from(ERRORS))
@settings(max_examples=100, deadline=None)
def test_no_exception_of_ours_lets_anything_out_by_its_text_or_its_traceback(
    page: io.StringIO, secret: str, kind: type[Exception]
) -> None:
    log, error = get_logger("trilha.test"), _raised(secret, kind)
    log.warning("x", reason=str(error), error=error)
    try:
        raise error
    except kind:
        log.exception("x")
        logging.getLogger("foreign").exception("x")
    written = drained(page)
    assert written.count(kind.__name__) >= 3
    assert_none(secret, written)


def test_errors_that_nobody_catches_are_logged_and_not_printed(
    page: io.StringIO, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(place, name, getattr(place, name))
    log_uncaught()
    try:
        error = _raised("203.0.113.9")
        sys.excepthook(type(error), error, error.__traceback__)
        thread = threading.Thread(target=lambda: int("203.0.113.9"))
        thread.start()
        thread.join()

        class Unraisable:
            def __del__(self) -> None:
                raise ValueError("203.0.113.9")

        Unraisable()
    finally:
        logging.captureWarnings(capture=False)
    written = drained(page)
    assert written.count("ValueError") >= 3
    assert_none("203.0.113.9", written)
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- metrics


@given(secret=anything)
def test_no_metric_takes_a_strangers_text_for_a_label(secret: str) -> None:
    metrics, hostile = Metrics(), secret  # type: Metrics, Any
    metrics.bots({})
    metrics.lanes({})
    before = metrics.render().decode()
    metrics.redirect(hostile, 0.1)
    metrics.tier(hostile, hostile, hostile)
    metrics.breaker(hostile, hostile)
    metrics.start(hostile, hostile)
    metrics.reply(hostile, 0.1)
    metrics.bots({hostile: 1})
    metrics.delivery(hostile, 1)
    metrics.delivery_call(hostile)
    metrics.conversion(hostile, hostile)
    metrics.lanes({hostile: 1})
    metrics.alert(hostile, 1, 1.0)
    metrics.alert_told(hostile, hostile)
    metrics.connections(hostile, 1)
    metrics.connection_closed(hostile, hostile)
    metrics.shed(hostile)
    metrics.api_refused(hostile)
    shown = metrics.render().decode()
    assert secret not in shown.replace(before, "")
    assert {*re.findall(r'="([^"]*)"', shown)} - {*re.findall(r'="([^"]*)"', before)} == {OTHER}


def test_every_method_of_the_observer_that_takes_a_text_is_tried_above() -> None:
    taking_text = set()
    for name, method in vars(Metrics).items():
        if not name.startswith("_") and callable(method):
            kinds = {str(kind) for part, kind in method.__annotations__.items() if part != "return"}
            if kinds & {"<class 'str'>", str(RedirectOutcome)}:
                taking_text.add(name)
    tried = {
        "redirect",
        "tier",
        "breaker",
        "start",
        "conversion",
        "reply",
        "delivery",
        "delivery_call",
        "alert",
        "alert_told",
        "connections",
        "connection_closed",
        "shed",
        "api_refused",
    }
    assert taking_text == tried


def test_what_is_told_in_the_known_words_is_counted_under_them() -> None:
    metrics = Metrics()
    for outcome in get_args(RedirectOutcome):
        metrics.redirect(outcome, 0.1)
    for durability in Durability:
        metrics.receipt(Receipt(durability=durability, visible=True), 1)
    for tier in TIERS:
        for operation in ("put", "find", "probe"):
            for answer in ("ok", "failed", "skipped", "rejected"):
                metrics.tier(tier, operation, answer)
        for state in ("closed", "half_open", "open"):
            metrics.breaker(tier, state)
    for kind in ("attributed", "taken", "direct", "unknown"):
        for state in ("settled", "deferred"):
            metrics.start(kind, state)
    assert f'"{OTHER}"' not in metrics.render().decode()


def test_what_is_told_of_deliveries_in_the_known_words_is_counted_under_them() -> None:
    metrics = Metrics()
    for outcome in (*get_args(DeliveryState)[1:], "postponed"):
        metrics.delivery(outcome, 1)
    for answer in ("accepted", *get_args(RefusalKind)):
        metrics.delivery_call(answer)
    metrics.lanes(dict.fromkeys(get_args(LaneState), 1))
    shown = metrics.render().decode()
    assert f'"{OTHER}"' not in shown
    assert shown.count('trilha_lanes{state="') == len(get_args(LaneState))


# ---------------------------------------------------------------- the API


SAMPLES = [
    "203.0.113.77", "2001:db8:1:2::77", "::ffff:203.0.113.77", "SingularBrowser/77.1 (Owner; Maria)",
    "Mozilla/5.0 (Linux; Android 14; Singular) AppleWebKit/537.36", "IwAR0Zx9singularQw_aem_Kk",
    "fb.1.1800000000000.1234567890", "123456789:AAFsingularsingularsingularsingular1", "EAA" + "Singular1" * 10,
    "trk_" + "Singular12" * 4, _url64(bytes(range(46))), base64.b64encode(bytes(range(200, 232))).decode(),
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory, page: io.StringIO) -> Any:
    """A daemon behind a trusted proxy, which is us."""
    site = Site(tmp_path_factory.mktemp("redaction"), trusted_proxies=["127.0.0.0/8"])
    await site.prepare()
    async with site.running() as running:
        yield running


def _bodies(secret: str) -> list[bytes]:
    good = {"bot": BOT, "telegram_id": 7, "token": None}
    wrong = [
        {secret: 1}, {**good, secret: secret}, {**good, "bot": secret}, {**good, "token": secret}, {**good, "telegram_id": secret},
        {**good, "update_id": secret}, {"bot": [secret]}, [secret], secret, {**good, "bot": {secret: secret}},
    ]  # fmt: skip
    return [*(json.dumps(body).encode() for body in wrong), secret.encode(), b'{"bot": "' + secret.encode()]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("secret", SAMPLES)
async def test_no_error_of_the_api_says_back_what_it_was_sent_and_none_is_logged(
    door: Door, page: io.StringIO, secret: str
) -> None:
    drained(page)
    in_path = quote(secret, safe="")
    headers = {"user-agent": secret, "x-forwarded-for": secret, "cookie": f"_fbp={secret}", "referer": secret}
    answers = [await door.api.post("/v1/starts", content=body, headers=headers) for body in _bodies(secret)]
    for path in (
        f"/v1/clicks/{in_path}",
        f"/v1/explain/{in_path}",
        f"/v1/explain?order={in_path}&bot={in_path}&telegram_id={in_path}&language={in_path}",
        f"/v1/explain?language={in_path}",
        f"/v1/explain?telegram_id={in_path}",
        f"/{in_path}",
        f"/v1/{in_path}?{in_path}={in_path}",
        f"/go/{in_path}",
    ):
        answers.append(await door.api.get(path, headers=headers))
        answers.append(await door.api.put(path, headers=headers))
    answers.append(await door.api.get("/v1/clicks/x", headers={"authorization": f"Bearer {secret}"}))
    answers.append(await door.api.get(f"/readyz?{in_path}", headers=headers))
    answers.append(await door.api.get(f"/metrics?{in_path}", headers=headers))
    assert {answer.status_code for answer in answers} <= {200, 401, 404, 405, 422}
    for answer in answers:
        assert secret not in answer.text
        assert secret not in str(answer.headers)
        assert json.dumps(secret)[1:-1] not in answer.text
    for target in (f"/go/{in_path}", f"/{in_path}?a={in_path}"):
        gone = await door.get(target, headers)
        assert secret.encode() not in gone.raw
    await door.get(f"/go/{SLUG}?fbclid={in_path}&utm_source={in_path}", headers)
    await door.raw(request_bytes(f"/go/{SLUG}?x=\x00{in_path}", headers))
    assert secret not in drained(page)


# ---------------------------------------------------------------- the inventory of log calls


METHODS = {"debug", "info", "warning", "error", "exception", "critical", "log", "msg", "fatal", "bind"}
NOT_TO_BE_LOGGED = re.compile(
    r"(^|_)(ip|ua|agent|user_agent|token|fbclid|fbc|fbp|secret|key|password|address|addr|cookie|referer|telegram_id|url|body|"
    r"headers?|visit|original|authorization)(_|s?$)"
)


def _sources() -> Iterator[tuple[Path, ast.Module]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def _log_calls() -> list[tuple[str, ast.Call]]:
    found = []
    for path, tree in _sources():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in METHODS
            ):
                receiver = node.func.value
                if isinstance(receiver, ast.Name) and receiver.id in {"_log", "log", "logger", "logging"}:
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def test_every_log_call_has_a_fixed_phrase_and_names_that_promise_nothing_personal() -> None:
    calls = _log_calls()
    assert len(calls) >= 15
    for where, call in calls:
        assert len(call.args) == 1, where
        assert isinstance(call.args[0], ast.Constant), where
        assert isinstance(call.args[0].value, str), where
        for keyword in call.keywords:
            assert keyword.arg, where
            assert not NOT_TO_BE_LOGGED.search(keyword.arg), f"{where} {keyword.arg}"


def test_every_logger_is_made_by_get_logger_and_has_the_name_that_the_inventory_looks_for() -> None:
    for path, tree in _sources():
        # The one writes the log; the other one silences a library's.
        if path in {ROOT / "runtime" / "logs.py", ROOT / "bot" / "mtproto" / "__init__.py"}:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"logging", "structlog", "warnings"}, path
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                made = node.value.func
                if isinstance(made, ast.Name) and made.id == "get_logger":
                    assert [target.id for target in node.targets if isinstance(target, ast.Name)] == [
                        "_log"
                    ], path


def test_only_commands_print() -> None:
    for path, tree in _sources():
        if path.relative_to(ROOT).parts[0] != "cli":
            names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
            assert not names & {"print", "pprint"}, path


def test_the_names_that_must_not_be_logged_are_recognised() -> None:
    for name in (
        "ip",
        "client_ip",
        "user_agent",
        "token",
        "tokens",
        "api_key",
        "fbclid",
        "secret",
        "telegram_id",
    ):
        assert NOT_TO_BE_LOGGED.search(name)
    for name in ("kind", "tier", "error", "reason", "percent", "bind", "spool", "work", "tokenless"):
        assert not NOT_TO_BE_LOGGED.search(name)


def test_a_click_id_is_readable_and_so_a_click_can_be_followed() -> None:
    click: UUID = new_id()
    assert str(click) in redact_text(f"click {click} waits")
    assert click.hex in redact_text(f"trilha:click:{click.hex}")
