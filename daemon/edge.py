"""The edge: uvicorn's protocol with a cap on the bytes before a request's end of headers, and listeners' sockets."""

import re
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from domain.errors import ConfigError
from runtime.settings import Bind

MAX_HEAD = 32 * 1024
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_END = b"\r\n\r\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
)


class CappedProtocol(HttpToolsProtocol):
    """Answers 431 and closes once request line and headers exceed 32 KiB; httptools itself has no limit.

    An ad URL pasted with its accents unescaped is percent-encoded before parsing: httptools would refuse it with 400,
    and a paid click would be lost.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0
        self._tail = b""
        self._in_head = True
        self._in_line = True

    def data_received(self, data: bytes) -> None:
        """Count before parsing, up to the end of the headers: the body is nobody's concern here."""
        if self._in_head:
            end = (self._tail + data).find(_END)
            self._head += len(data) if end < 0 else end
            self._tail = data[-3:]
            if self._head > MAX_HEAD:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
                return
        super().data_received(self._escaped(data) if self._in_line else data)

    def on_headers_complete(self) -> None:
        """The head was short enough."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next request of this connection starts from zero."""
        super().on_message_complete()
        self._head = 0
        self._tail = b""
        self._in_head = True
        self._in_line = True

    def _escaped(self, data: bytes) -> bytes:
        line, end, rest = data.partition(b"\n")
        self._in_line = not end
        return data if line.isascii() else _NOT_ASCII.sub(_percent, line) + end + rest


def _percent(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def listen(bind: Bind, setting: str) -> socket.socket:
    """A listening socket, or ConfigError that names the setting to change."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((bind.host, bind.port))
        server.listen(2048)
    except OSError as error:
        server.close()
        msg = f"cannot listen on {bind}: {error.strerror}. Set another address with {setting}"
        raise ConfigError(msg) from None
    return server
