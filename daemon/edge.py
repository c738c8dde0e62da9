"""The edge: uvicorn's protocol with the limits that httptools does not have.

The public listener has a protocol of its own. It answers GET and HEAD without bodies, so an exchange is one write, and
one timer a connection does for keep-alive and for clients that send their headers byte by byte.
"""

import asyncio
import re
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from runtime.logs import get_logger

MAX_HEAD = 32 * 1024
IDLE_SECONDS = 15.0
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_END = b"\r\n\r\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
)
_FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_log = get_logger("trilha.edge")


class CappedProtocol(HttpToolsProtocol):
    """Answers 431 and closes once request line and headers exceed 32 KiB; httptools itself has no limit.

    An ad URL pasted with its accents unescaped is percent-encoded before parsing: httptools would refuse it with 400,
    and a paid click would be lost.
    """

    # The server stops: the next answer of this connection is its last.
    leaving = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_head()

    @property
    def idle(self) -> bool:
        """No request is being answered: one may be on its way."""
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr]  # as below

    def shutdown(self) -> None:
        """The server stops. Unlike uvicorn's own, this closes nothing: a request may wait unread, and is answered."""
        self.leaving = True
        if not self.idle:
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Count before parsing, up to the end of the headers: the body is nobody's concern here."""
        if self._in_head and self._head_grows_too_large(data):
            self.transport.write(_TOO_LARGE)
            self.transport.close()
            return
        super().data_received(self._escaped(data) if self._in_line else data)

    def on_headers_complete(self) -> None:
        """The head was short enough."""
        self._in_head = False
        super().on_headers_complete()
        if self.leaving:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The next request of this connection starts from zero."""
        super().on_message_complete()
        self._next_head()

    def _next_head(self) -> None:
        self._head = 0
        self._tail = b""
        self._in_head = True
        self._in_line = True

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


class RedirectProtocol(CappedProtocol):
    """For the public listener: no body is read, no second write is made, no timer is set for each request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._seen = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that completes no request for 15 seconds is closed."""
        super().connection_made(transport)
        self._seen = self.loop.time()
        self.timeout_keep_alive_task = self.loop.call_later(IDLE_SECONDS, self.timeout_keep_alive_handler)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Names are compared in lower case."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start the exchange, or let it wait for the one before it (pipelining)."""
        self._in_head = False
        path, query = _split(self.url)
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"] = unquote(path.decode("ascii")) if b"%" in path else path.decode("ascii")
        scope["raw_path"] = path
        scope["query_string"] = query
        before = self.cycle
        asked = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        keep_alive = asked and not self.leaving
        self.cycle = exchange = Exchange(self, keep_alive=keep_alive)  # type: ignore[assignment]
        if before is None or before.response_complete:  # type: ignore[redundant-expr]  # uvicorn's stub omits the None
            self._start_asgi_task(exchange, self.app)  # type: ignore[arg-type]
        else:
            before.keep_alive |= self.leaving  # no longer the last one
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]

    def on_body(self, body: bytes) -> None:
        """A click has none; whoever sends one is not made to wait for it."""

    def on_message_complete(self) -> None:
        """The next request of this connection starts from zero."""
        self._next_head()

    def on_response_complete(self) -> None:
        """The next exchange of a pipeline may start."""
        self.server_state.total_requests += 1
        self._seen = self.loop.time()
        if self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()
            exchange, app = self.pipeline.pop()
            self._start_asgi_task(exchange, app)

    def timeout_keep_alive_handler(self) -> None:
        """Close what has been idle; look again later at what has not."""
        left = self._seen + IDLE_SECONDS - self.loop.time()
        if left <= 0:
            self.transport.close()
        elif not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)

    def _unset_keepalive_if_required(self) -> None:
        """The timer looks for itself; it ends with the connection."""
        if self.transport.is_closing() and self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None


class _Deaf:
    """Nobody waits for the body of a request."""

    def set(self) -> None:
        """Ignore."""


_DEAF = _Deaf()


class Exchange:
    """One request and its answer, as the ASGI application and uvicorn's server see it."""

    __slots__ = (
        "_protocol",
        "_start",
        "disconnected",
        "keep_alive",
        "message_event",
        "response_complete",
        "scope",
    )

    def __init__(self, protocol: RedirectProtocol, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self._start: dict[str, Any] | None = None
        self.scope = protocol.scope
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False
        self.message_event = _DEAF

    async def run_asgi(self, app: Any) -> None:
        """Let the application answer; a bug in it costs this one answer."""
        try:
            await app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001  nothing of the request may reach the log
            _log.error("an answer failed", error=type(error).__name__)
            if not self.response_complete:
                self.keep_alive = False
                self._finish(_FAILED)

    async def receive(self) -> dict[str, Any]:
        """There is no body."""
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        """The start is kept until the body comes: one answer is one write."""
        if self._start is None:
            self._start = message
            return
        parts = [STATUS_LINE[self._start["status"]]]
        for name, value in self._start["headers"]:
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n", message["body"])
        self._finish(b"".join(parts))

    def _finish(self, answer: bytes) -> None:
        self.response_complete = True
        if self.disconnected:
            return
        transport = self._protocol.transport
        transport.write(answer)
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()


def _split(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target."""
    if target.startswith(b"/") and b"#" not in target:
        path, _, query = target.partition(b"?")
        return path, query
    url = httptools.parse_url(target)  # in absolute form, as proxies are asked
    return url.path, url.query or b""


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]
