"""The public listener's protocol. It answers GET and HEAD without bodies, so an exchange is one write."""

from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from daemon.edge import BAD_TEXT, CappedProtocol
from runtime.logs import get_logger

_FAILED = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_log = get_logger("trilha.edge")


class RedirectProtocol(CappedProtocol):
    """For the public listener: no body is read, no second write is made, no timer is set for a request or a connection."""

    bad = BAD_TEXT
    host_always = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Names are compared in lower case."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Start the exchange, or let it wait for the one before it (pipelining)."""
        self._check_head()
        self._in_head = False
        self._counted.busy(self)
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
        if not self.pipeline:
            self._counted.idle(self)
        elif not self.transport.is_closing():
            if not self.flow.write_paused:
                self.flow.resume_reading()
            exchange, app = self.pipeline.pop()
            self._start_asgi_task(exchange, app)

    def pause_writing(self) -> None:
        """A client that asks and does not read is asked to wait: its answers would pile up here."""
        super().pause_writing()
        self.flow.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        if not self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def _more_to_come(self) -> None:
        """Nobody waits for a body; a head has its time."""
        if self._in_head:
            self._counted.slow_head(self)


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
