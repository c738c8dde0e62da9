"""HTTP/1.1 as far as a client of Meta sees it, with connections that can end badly on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qs, unquote, urlsplit

import httptools

HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER of zero seconds: the other side sees ECONNRESET


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request in full. Header names are lower case; of a query key that is repeated the last one counts."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    keep_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back. `cut`: only half of the body does, and then the connection is closed."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    kind: str = "application/json; charset=UTF-8"
    cut: bool = False

    def raw(self, *, keep_alive: bool) -> bytes:
        """As it goes over the wire."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", f"content-type: {self.kind}"]
        lines += [f"content-length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        lines += [] if keep_alive else ["connection: close"]
        body = self.body[: len(self.body) // 2] if self.cut else self.body
        return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """The connection ends without an answer: in order (FIN), or reset."""

    reset: bool = False


Handle = Callable[[Request], Awaitable[Answer | Drop]]


class Connection(asyncio.Protocol):
    """One client. Requests are answered one after the other. What is under way goes on after the client has hung up,
    as it does at Meta: whoever gave up waiting does not know whether its events were taken.

    `living`: where it stands until its last request is dealt with.
    """

    def __init__(self, handle: Handle, living: set[Connection]) -> None:
        self._handle = handle
        self._living = living
        self._parser = httptools.HttpRequestParser(self)
        self._requests: asyncio.Queue[Request | None] = asyncio.Queue()

    # ------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._living.add(self)
        self.task = asyncio.get_running_loop().create_task(self._serve())
        self.task.add_done_callback(self._ended)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._requests.put_nowait(None)

    def abort(self) -> None:
        """The client is cut off now."""
        self._transport.abort()

    # ------------------------------------------------------------ httptools

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        url = urlsplit(self._url.decode("latin-1"))
        request = Request(
            method=self._parser.get_method().decode(),
            path=unquote(url.path),
            query={name: values[-1] for name, values in parse_qs(url.query).items()},
            headers=self._headers,
            body=b"".join(self._chunks),
            keep_alive=self._parser.should_keep_alive(),
        )
        self._requests.put_nowait(request)

    # ------------------------------------------------------------ answering

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._living.discard(self)
        self._transport.abort()
        if not task.cancelled() and (error := task.exception()):
            said = {"message": "the loopback Meta failed at a request", "exception": error}
            asyncio.get_running_loop().call_exception_handler(said)

    async def _serve(self) -> None:
        while request := await self._requests.get():
            answer = await self._handle(request)
            if self._transport.is_closing():
                continue
            if isinstance(answer, Drop):
                self._drop(answer)
            else:
                self._write(answer, keep_alive=request.keep_alive and not answer.cut)

    def _write(self, answer: Answer, *, keep_alive: bool) -> None:
        self._transport.write(answer.raw(keep_alive=keep_alive))
        if not keep_alive:
            self._transport.close()

    def _drop(self, drop: Drop) -> None:
        if drop.reset:
            own: socket.socket = self._transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()
