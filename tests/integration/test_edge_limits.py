"""Both listeners against slow, many and ambiguous clients, on real sockets."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from chaos.servers import HOST
from daemon import connections
from daemon.main import _open_files_for
from tests.daemon_fixture import ANSWER_SECONDS, SLUG, Door, Site, captured_logs, exchange

GO = f"GET /go/{SLUG} HTTP/1.1\r\nHost: go.example.com\r\n\r\n".encode()
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PUBLIC, PRIVATE = "public", "private"
both = pytest.mark.parametrize("listener", [PUBLIC, PRIVATE])
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def port_of(site: Site, listener: str) -> int:
    return (site.settings.public_bind if listener == PUBLIC else site.settings.private_bind).port


async def opened(port: int, data: bytes = b"", *, source: str = HOST) -> Streams:
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(source, 0))
    writer.write(data)
    return reader, writer


async def said(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server closes."""
    async with asyncio.timeout(ANSWER_SECONDS):
        with suppress(ConnectionError):
            return await reader.read()
    return b""


async def head(streams: Streams) -> bytes:
    async with asyncio.timeout(ANSWER_SECONDS):
        return await streams[0].readuntil(b"\r\n\r\n")


async def dripped(streams: Streams, first: bytes, drop: bytes) -> bytes:
    """What is said to a client that sends a drop again and again, without an end."""
    reader, writer = streams
    writer.write(first)
    listening = asyncio.create_task(said(reader))
    with suppress(ConnectionError):
        while not listening.done():
            writer.write(drop)
            await asyncio.wait({listening}, timeout=0.05)
    writer.close()
    return await listening


async def closed(door: Door, listener: str, reason: str) -> float:
    return await door.metric(f'trilha_connections_closed_total{{listener="{listener}",reason="{reason}"}}')


@both
async def test_a_head_that_comes_byte_by_byte_is_cut_off(
    site: Site, monkeypatch: pytest.MonkeyPatch, listener: str
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    async with site.running() as door:
        for before in (b"", GO if listener == PUBLIC else HEALTH):
            streams = await opened(port_of(site, listener), before)
            if before:
                await head(streams)
            await dripped(streams, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", b"a")
        assert await closed(door, listener, "slow_head") == 2


@both
@pytest.mark.parametrize("sent", [b"", b"\r\n"])
async def test_a_client_that_asks_nothing_is_let_go(
    site: Site, monkeypatch: pytest.MonkeyPatch, listener: str, sent: bytes
) -> None:
    for name in ("PUBLIC_IDLE_SECONDS", "PRIVATE_IDLE_SECONDS"):
        monkeypatch.setattr(connections, name, 0.4)
    async with site.running() as door:
        assert await dripped(await opened(port_of(site, listener)), sent, sent) == b""
        assert await closed(door, listener, "idle") >= 1


async def test_a_body_that_comes_byte_by_byte_is_cut_off_on_the_private_listener(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.4)
    async with site.running() as door:
        ask = f"POST /v1/starts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.key}\r\n"
        ask += "Content-Length: 9000\r\n\r\n{"
        streams = await opened(port_of(site, PRIVATE))
        assert await dripped(streams, ask.encode(), b" ") == b""
        assert await closed(door, PRIVATE, "slow_body") == 1


async def test_whoever_waits_between_requests_is_served_as_long_as_he_asks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 60.0)
    async with site.running():
        streams = await opened(port_of(site, PUBLIC))
        for piece in (GO[:10], GO[10:], GO + GO[:7], GO[7:]):
            streams[1].write(piece)
            await asyncio.sleep(0.01)
        for _ in range(3):
            assert b" 302 " in await head(streams)
        streams[1].close()


async def test_a_full_house_lets_silent_ones_go_for_a_paid_click(tmp_path: Any) -> None:
    site = Site(tmp_path, max_connections=16)
    await site.prepare()
    async with site.running() as door:
        silent = [await opened(door.port, source=f"127.0.0.{2 + number % 3}") for number in range(16)]
        for _ in range(20):
            assert (await door.get()).status == 302
        assert await said(silent[0][0]) == b""
        assert await closed(door, PUBLIC, "crowded") >= 1
        assert await door.metric('trilha_connections{listener="public"}') <= 16
        for _, writer in silent:
            writer.close()


async def test_an_address_with_too_many_connections_loses_its_own_and_nobody_elses(tmp_path: Any) -> None:
    site = Site(tmp_path, max_connections_per_address=3)
    await site.prepare()
    async with site.running() as door:
        other = await opened(door.port, GO, source="127.0.0.9")
        await head(other)
        greedy = []
        for _ in range(6):
            greedy.append(await opened(door.port, GO, source="127.0.0.8"))
            assert b" 302 " in await head(greedy[-1])
        for reader, _ in greedy[:3]:
            assert await said(reader) == b""
        for streams in (*greedy[3:], other):
            streams[1].write(GO)
            assert b" 302 " in await head(streams)
        assert await closed(door, PUBLIC, "crowded_address") == 3
        for _, writer in (*greedy, other):
            writer.close()


async def test_a_trusted_proxy_may_bring_everybodys_connections(tmp_path: Any) -> None:
    site = Site(tmp_path, max_connections_per_address=3, trusted_proxies=["127.0.0.8/32"])
    await site.prepare()
    async with site.running() as door:
        brought = [await opened(door.port, GO, source="127.0.0.8") for _ in range(12)]
        for streams in brought * 2:
            assert b" 302 " in await head(streams)
            streams[1].write(GO)
        assert await closed(door, PUBLIC, "crowded_address") == 0
        for _, writer in brought:
            writer.close()


async def test_a_client_that_does_not_read_its_answers_holds_no_memory(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks on and on: soon nothing more is read of it, and then it is let go."""
    monkeypatch.setattr(connections, "PUBLIC_IDLE_SECONDS", 1.0)
    async with site.running() as door:
        reader, writer = await opened(door.port)
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        ask = b"GET /go/nobody HTTP/1.1\r\nHost: a\r\n\r\n" * 500
        with suppress(ConnectionError):
            async with asyncio.timeout(ANSWER_SECONDS):
                while not await closed(door, PUBLIC, "idle"):
                    writer.write(ask)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(writer.drain(), 0.2)
        writer.transport.abort()
        assert await door.metric('trilha_redirects_total{outcome="unknown_slug"}') < 200_000
        assert await closed(door, PUBLIC, "idle") >= 1


@both
@pytest.mark.parametrize(
    "lines",
    [
        "",
        "Host: a\r\nHost: a\r\n",
        "Host:\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: user@a\r\n",
        "Host: a:port\r\n",
        "Host: [::1\r\n",
        "Host: a,b\r\n",
        "Host: 127.0.0.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Host: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Host: 127.0.0.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n",
        "Host: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    ],
)
async def test_a_head_that_means_two_things_is_400_and_the_end(door: Door, listener: str, lines: str) -> None:
    port = port_of(door.site, listener)
    ask = f"GET {'/go/' + SLUG if listener == PUBLIC else '/healthz'} HTTP/1.1\r\n{lines}\r\n"
    smuggled = b"0\r\n\r\n" + HEALTH if "Content-Length" in lines else b""  # which is 400 by itself
    answer = await exchange(port, ask.encode() + smuggled)
    assert (answer.status, answer.raw.count(b"content-length:")) == (400, 1)
    assert answer.all("connection") == ["close"]
    if listener == PRIVATE:
        assert answer.body.startswith(b'{"error":"bad_request","detail":"')
    assert await closed(door, listener, "invalid") >= 1


@both
@pytest.mark.parametrize(
    "data",
    [
        b"GET /healthz\r\n\r\n",
        b"GET /healthz HTTP/0.9\r\nHost: a\r\n\r\n",
        b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"{}\r\n\r\n",
        b"\0" * 100,
    ],
)
async def test_what_is_not_http_11_is_400_and_the_end(door: Door, listener: str, data: bytes) -> None:
    answer = await exchange(port_of(door.site, listener), data)
    assert (answer.status, answer.all("connection")) == (400, ["close"])


@both
async def test_garbage_writes_no_line_for_each_of_it(site: Site, listener: str) -> None:
    with captured_logs("debug") as page:
        async with site.running():
            before = page.getvalue().count("\n")
            for _ in range(20):
                await exchange(port_of(site, listener), b"garbage\r\n\r\n")
            assert page.getvalue().count("\n") < before + 10


async def test_an_old_health_check_without_a_host_is_answered(door: Door) -> None:
    answer = await exchange(port_of(door.site, PRIVATE), b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (answer.status, answer.body) == (200, b"ok\n")


async def test_a_hostile_address_stands_in_no_log_and_no_metric(tmp_path: Any) -> None:
    site = Site(tmp_path, max_connections=16, max_connections_per_address=2)
    await site.prepare()
    with captured_logs("debug") as page:
        async with site.running() as door, AsyncExitStack() as stack:
            for number in range(40):
                _, writer = await opened(door.port, b"x", source=f"127.0.77.{number % 9 + 1}")
                stack.callback(writer.close)
            metrics = (await door.api.get("/metrics")).text
        assert "127.0.77" not in metrics + page.getvalue()


def test_the_limit_of_open_files_is_raised_and_one_that_is_too_low_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits: dict[str, Any] = {"now": (256, 4096)}
    set_to: Callable[[int, tuple[int, int]], None] = lambda _, both: limits.update(now=both)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", set_to)
    with captured_logs("info") as page:
        _open_files_for(1000)
        assert (limits["now"], page.getvalue()) == ((4096, 4096), "")
        _open_files_for(16_384)
        assert "TRILHA_MAX_CONNECTIONS" in page.getvalue()
