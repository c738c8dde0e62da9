"""The open-loop generator charges a stalled server for everyone who had to wait, and nothing ends its run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from loadtests.connection import parse_head
from loadtests.openloop import OpenLoop, Outcome

REQUEST = b"GET /go/promo HTTP/1.1\r\nhost: go.example\r\n\r\n"
FOUND = b"HTTP/1.1 302 Found\r\nlocation: https://t.me/bot?start=T%d\r\ncontent-length: 2\r\n\r\nok"
CLOCK_GRAIN = 0.01  # timers may fire this much early

Answer = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[int]:
    """An HTTP server on loopback; `answer` gets the number of the request among all, from 0."""
    count = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                number, count = count, count + 1
                await answer(number, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


async def found(number: int, writer: asyncio.StreamWriter) -> None:
    writer.write(FOUND % number)


async def run(answer: Answer, **options: object) -> Outcome:
    async with server(answer) as port:
        return await OpenLoop("127.0.0.1", port, REQUEST, **options).run()  # type: ignore[arg-type]


async def test_every_request_is_answered_once_and_its_token_collected() -> None:
    outcome = await run(found, rate=500, seconds=0.1, connections=4, collect_tokens=True)
    assert outcome.asked == 50
    assert outcome.statuses == {302: 50}
    assert sorted(outcome.tokens) == sorted(f"T{number}" for number in range(50))
    assert len(outcome.latencies) == len(outcome.late) == 50
    assert outcome.errors == 0


async def test_latency_counts_from_the_intended_moment_when_the_server_stalls() -> None:
    """One connection, stalled by its first request: those that came due meanwhile waited too, each a little less."""
    stall, rate = 0.4, 100.0

    async def stalls(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 0:
            await asyncio.sleep(stall)
        await found(number, writer)

    outcome = await run(stalls, rate=rate, seconds=0.2, connections=1)
    assert outcome.statuses == {302: 20}
    for number, latency in enumerate(outcome.latencies):
        assert latency >= stall - number / rate - CLOCK_GRAIN


@pytest.mark.parametrize("polite", [True, False])
async def test_a_closed_connection_is_counted_and_does_not_end_the_run(polite: bool) -> None:
    """Closed under a request, with half an answer or none: one error. The next request gets a new connection."""

    async def closes(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 5:
            writer.write(b"HTTP/1.1 302 Fou" if polite else b"")
            writer.close()
            return
        await found(number, writer)

    outcome = await run(closes, rate=500, seconds=0.04, connections=2)
    assert outcome.errors == 1
    assert outcome.statuses == {302: 19}


async def test_an_orderly_close_after_an_answer_is_no_error() -> None:
    async def once(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    outcome = await run(once, rate=500, seconds=0.04, connections=2)
    assert outcome.statuses == {302: 20}
    assert outcome.errors == 0


async def test_a_refused_connection_is_an_error_of_its_request() -> None:
    async with server(found) as port:
        pass
    outcome = await OpenLoop("127.0.0.1", port, REQUEST, 500, 0.02).run()
    assert outcome.errors == outcome.asked == 10
    assert outcome.answered == 0


async def test_what_is_never_answered_is_an_error_after_the_grace() -> None:
    async def silent(number: int, writer: asyncio.StreamWriter) -> None:
        if number % 2:
            await found(number, writer)

    outcome = await run(silent, rate=500, seconds=0.02, connections=10, grace=0.2)
    assert outcome.answered + outcome.errors == 10
    assert outcome.errors == 5


async def test_requests_of_a_sequence_are_sent_in_turn_and_statuses_counted() -> None:
    seen = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(6):
            seen.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
            status = b"200 OK" if seen[-1] == b"/a" else b"503 Busy"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    requests = [b"GET /%b HTTP/1.1\r\n\r\n" % name for name in (b"a", b"b", b"c")]
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        outcome = await OpenLoop("127.0.0.1", port, requests, 500, 0.012, connections=1).run()
    assert seen == [b"/a", b"/b", b"/c"] * 2
    assert outcome.statuses == {200: 2, 503: 4}


def test_a_head_that_is_not_understood_is_refused() -> None:
    answer, length = parse_head(
        b"HTTP/1.1 302 Found\r\nLocation: x?start=1\r\nContent-Length: 7\r\nConnection: Close"
    )
    assert (answer.status, answer.location, answer.closes, length) == (302, "x?start=1", True, 7)
    for head in (b"SSH-2.0-OpenSSH", b"HTTP/1.1 abc", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"):
        with pytest.raises(ValueError):
            parse_head(head)
