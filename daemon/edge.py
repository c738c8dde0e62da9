"""The edge: uvicorn's protocol with the limits that httptools does not have."""

import asyncio
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from daemon.connections import Connections, Place, Reason

MAX_HEAD = 32 * 1024
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_END = b"\r\n\r\n"


def _last_words(status: str, kind: str, body: str, *more: str) -> bytes:
    """An answer that ends its connection."""
    lines = [f"HTTP/1.1 {status}", f"content-type: {kind}", f"content-length: {len(body)}", *more]
    return "\r\n".join([*lines, "cache-control: no-store", "connection: close", "", body]).encode()


_TEXT, _JSON = "text/plain; charset=utf-8", "application/json"
_TOO_LARGE = _last_words("431 Request Header Fields Too Large", _TEXT, "")
_FULL = _last_words("503 Service Unavailable", _TEXT, "", "retry-after: 1")
BAD_TEXT = _last_words("400 Bad Request", _TEXT, "This is not a request that can be understood.\n")
_BAD_JSON = _last_words(
    "400 Bad Request",
    _JSON,
    '{"error":"bad_request","detail":"not HTTP/1.1 with one valid Host and one length at most"}',
)


class BadHead(ValueError):
    """Raised into the parser: this head means different things to different programs."""


class CappedProtocol(HttpToolsProtocol):
    """Answers 431 and closes once request line and headers exceed 32 KiB; httptools itself has no limit.

    It tells `connections` what its connection does, which closes it when that takes too long or somebody else needs the
    room. What is not HTTP/1.1, or ambiguous, gets 400 and is closed.

    An ad URL pasted with its accents unescaped is percent-encoded before parsing: httptools would refuse it with 400,
    and a paid click would be lost.
    """

    bad = _BAD_JSON
    host_always = False  # health checks of old load balancers speak HTTP/1.0 without one
    # The server stops: the next answer of this connection is its last.
    leaving = False

    def __init__(self, *args: Any, connections: Connections, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.place: Place | None = None
        self.group: str | None = None
        self._counted = connections
        self._begun = False
        self._next_head()

    @property
    def idle(self) -> bool:
        """No request is being answered: one may be on its way."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # uvicorn's stub omits the None

    def shutdown(self) -> None:
        """The server stops. Unlike uvicorn's own, this closes nothing: a request may wait unread, and is answered."""
        self.leaving = True
        if not self.idle:
            self.cycle.keep_alive = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refused at once when there is no room."""
        super().connection_made(transport)
        self._counted.watch(self.loop)
        if not self._counted.arrived(self, self.client[0] if self.client else ""):
            self._end(_FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        """Its room is free."""
        super().connection_lost(exc)
        self._counted.left(self)

    def let_go(self) -> None:
        """Close it, without waiting for a client that does not read."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count before parsing, up to the end of the headers: the body is nobody's concern here."""
        if self._in_head and self._head_grows_too_large(data):
            self._refuse(_TOO_LARGE, "too_large")
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(self._escaped(data) if self._in_line else data)
        except httptools.HttpParserUpgrade:
            return  # nobody here speaks anything else; what was asked is answered
        except httptools.HttpParserError:
            self._refuse(self.bad, "invalid")
            return
        if self._begun:  # rarely: nearly every request comes in one piece
            self._more_to_come()

    def on_message_begin(self) -> None:
        """From its first byte on, a request has a time to be complete in."""
        super().on_message_begin()
        self._begun = True

    def on_headers_complete(self) -> None:
        """The head was short enough, and comes once."""
        self._check_head()
        self._in_head = False
        self._counted.busy(self)
        super().on_headers_complete()
        if self.leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The next request of this connection starts from zero."""
        super().on_message_complete()
        if not self.cycle.response_complete:
            self._counted.busy(self)
        self._next_head()

    def on_response_complete(self) -> None:
        """It may stay for another request, for a while."""
        if not self.pipeline:
            self._counted.idle(self)
        super().on_response_complete()

    def _more_to_come(self) -> None:
        if self._in_head:
            self._counted.slow_head(self)
        else:
            self._counted.slow_body(self)

    def _next_head(self) -> None:
        self._head = 0
        self._tail = b""
        self._begun = False
        self._in_head = True
        self._in_line = True

    def _check_head(self) -> None:
        headers = self.headers
        names = [name for name, _ in headers]
        version, hosts = self.parser.get_http_version(), names.count(b"host")
        if version not in {"1.1", "1.0"} or (hosts != 1 and (hosts or self.host_always or version == "1.1")):
            raise BadHead
        if hosts and not _is_host(headers[names.index(b"host")][1]):
            raise BadHead
        if b"content-length" in names and _is_ambiguous(names):
            raise BadHead

    def _refuse(self, answer: bytes, reason: Reason) -> None:
        self._counted.closed(reason)
        self._end(answer)

    def _end(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()

    def _head_grows_too_large(self, data: bytes) -> bool:
        if self._head == 0 and len(data) <= MAX_HEAD and data.endswith(_END):
            return False  # nearly every request: its whole head in one piece
        end = (self._tail + data).find(_END)
        self._head += len(data) if end < 0 else end
        self._tail = data[-3:]
        return self._head > MAX_HEAD

    def _escaped(self, data: bytes) -> bytes:
        if data.isascii():
            self._in_line = b"\n" not in data
            return data
        line, end, rest = data.partition(b"\n")
        self._in_line = not end
        return _NOT_ASCII.sub(_percent, line) + end + rest


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _is_ambiguous(names: Sequence[bytes]) -> bool:
    return names.count(b"content-length") > 1 or b"transfer-encoding" in names


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
