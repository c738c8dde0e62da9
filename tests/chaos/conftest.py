"""A proxy before each store, healthy at the start of every test."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from chaos.proxy import Proxy
from chaos.servers import HOST, PostgresServer, ValkeyServer


class Client:
    """A blocking client of Valkey that says what it sees on the wire."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), 20)  # seconds
        self.answers = self.socket.makefile("rb")

    def send(self, *lines: str) -> None:
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def answer(self) -> bytes:
        return self.answers.readline().strip()

    def ask(self, line: str) -> bytes:
        self.send(line)
        return self.answer()

    def quiet_for(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        self.socket.settimeout(seconds)
        try:
            self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(20)
        return False

    def close(self) -> None:
        self.answers.close()
        self.socket.close()


@pytest.fixture(scope="module")
def shared_proxy(valkey: ValkeyServer) -> Iterator[Proxy]:
    with Proxy(HOST, valkey.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(valkey_url: str, shared_proxy: Proxy) -> Iterator[Proxy]:
    """Leads to an empty Valkey."""
    shared_proxy.heal()
    yield shared_proxy
    shared_proxy.heal()


@pytest.fixture
def connect() -> Iterator[Callable[[int], Client]]:
    """Clients of a port, closed when the test ends."""
    with ExitStack() as opened:
        yield lambda port: opened.enter_context(closing(Client(port)))


@pytest.fixture
def client(proxy: Proxy, connect: Callable[[int], Client]) -> Client:
    """Connected through the proxy and answered once, so that the way is known to be there."""
    made = connect(proxy.port)
    assert made.ask("PING") == b"+PONG"
    return made


@pytest.fixture(scope="module")
def postgres_proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    with Proxy(HOST, postgres.port) as proxy:
        yield proxy
