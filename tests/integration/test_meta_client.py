"""The client of Meta over sockets that answer, and over sockets that fail as networks do."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from chaos.servers import HOST, free_port
from delivery.destination import Accepted, Refusal
from delivery.meta.client import MetaClient
from delivery.meta.errors import MAX_BODY
from delivery.meta.quality import EventQuality
from privacy.pixel_tokens import Credentials
from tests.daemon_fixture import captured_logs
from tests.making import PATIENT

PIXEL = "1234567890123456"
TOKEN = "EAAJtestZCOnlyZBnoRealTokenAtAll0123456789ZDZD"
APP_SECRET = "0123456789abcdef0123456789abcdef"
OURS = Credentials(token=TOKEN)
BODIES = [b'{"event_name":"Lead","n":1.10}', '{"event_name":"Ação"}'.encode()]
Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Heard:
    """A request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Listens on a socket of this machine, and answers what it is told to."""

    reply: Reply
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *rest = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, _, value in (row.partition(": ") for row in rest)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.heard.append(Heard(line, headers, body))
                await self.reply(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(reply: Reply, seconds: float = PATIENT) -> AsyncIterator[tuple[Server, MetaClient]]:
    server = Server(reply)
    listener = await asyncio.start_server(server.serve, HOST, 0)
    server.url = f"http://{HOST}:{listener.sockets[0].getsockname()[1]}"
    client = MetaClient(server.url, seconds=seconds)
    try:
        yield server, client
    finally:
        await client.close()
        listener.close()


def says(body: bytes, status: str = "200 OK", **headers: str) -> Reply:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{lines}\r\n".encode() + body)
        await writer.drain()

    return reply


def meta_says(value: Any, status: str = "200 OK") -> Reply:
    return says(json.dumps(value).encode(), status)


TAKEN = meta_says({"events_received": 2, "messages": [], "fbtrace_id": "Atrace"})


async def test_events_go_out_as_they_are_with_the_token_in_the_header_and_nowhere_else() -> None:
    async with serving(TAKEN) as (server, meta):
        assert await meta.events(PIXEL, OURS, BODIES) == Accepted(trace="Atrace")
    [heard] = server.heard
    assert heard.line == f"POST /v26.0/{PIXEL}/events HTTP/1.1"
    assert heard.headers["authorization"] == f"Bearer {TOKEN}"
    assert heard.headers["content-type"] == "application/json"
    assert heard.body == b'{"data":[%b,%b]}' % (*BODIES,)
    assert TOKEN.encode() not in heard.body


async def test_a_test_code_and_a_proof_of_the_app_are_part_of_the_body() -> None:
    code = 'TEST"1'
    async with serving(TAKEN) as (server, meta):
        await meta.events(PIXEL, Credentials(token=TOKEN, app_secret=APP_SECRET), BODIES, test_code=code)
    [heard] = server.heard
    proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), "sha256").hexdigest()
    assert heard.body.startswith(b'{"data":[%b,%b],' % (*BODIES,))
    rest = {name: value for name, value in json.loads(heard.body).items() if name != "data"}
    assert rest == {"appsecret_proof": proof, "test_event_code": code}
    assert APP_SECRET not in str(server.heard)


async def test_calls_one_after_another_share_a_connection() -> None:
    async with serving(TAKEN) as (server, meta):
        for _ in range(3):
            await meta.events(PIXEL, OURS, BODIES)
    assert (len(server.heard), server.connections) == (3, 1)


async def test_a_pixel_that_does_not_answer_takes_no_connection_from_another() -> None:
    silent, never = asyncio.Event(), asyncio.Event()

    async def reply(writer: asyncio.StreamWriter) -> None:
        if len(server.heard) <= 200:
            if len(server.heard) == 200:
                silent.set()
            await never.wait()
        await TAKEN(writer)

    async with serving(reply) as (server, meta):
        stuck = [asyncio.create_task(meta.events("111111", OURS, BODIES)) for _ in range(200)]
        async with asyncio.timeout(PATIENT):
            await silent.wait()
            assert isinstance(await meta.events("222222", OURS, BODIES), Accepted)
        never.set()
        await asyncio.gather(*stuck)


async def test_what_is_wrong_is_said_by_the_answer_with_what_meta_warns_of() -> None:
    error = {"error": {"message": "…", "type": "OAuthException", "code": 190, "fbtrace_id": "Atrace"}}
    async with serving(meta_says(error, "400 Bad Request")) as (_, meta):
        refused = await meta.events(PIXEL, OURS, BODIES)
    assert isinstance(refused, Refusal)
    assert (refused.kind, refused.code, refused.trace) == ("configuration", "190", "Atrace")
    body = b'{"events_received":2,"fbtrace_id":"Atrace"}'
    warns = says(body, **{"X-Ad-Api-Version-Warning": "v26.0 will be deprecated"})
    async with serving(warns) as (_, meta):
        assert await meta.events(PIXEL, OURS, BODIES) == Accepted(
            trace="Atrace", warning="v26.0 will be deprecated"
        )


async def test_a_redirect_is_not_followed_so_that_nobody_else_hears_the_token() -> None:
    async with serving(TAKEN) as (elsewhere, _):
        moved = says(b"", "302 Found", location=f"{elsewhere.url}/v26.0/{PIXEL}/events")
        async with serving(moved) as (server, meta):
            answer = await meta.events(PIXEL, OURS, BODIES)
    assert isinstance(answer, Refusal)
    assert (len(server.heard), elsewhere.heard) == (1, [])


async def test_nobody_there_is_temporary() -> None:
    meta = MetaClient(f"http://{HOST}:{free_port()}")
    answer = await meta.events(PIXEL, OURS, BODIES)
    assert answer == Refusal(
        kind="temporary", code="connection", reason="the connection to Meta failed: ConnectError"
    )
    await meta.close()


async def test_a_url_that_is_none_is_an_answer_too() -> None:
    meta = MetaClient("https://meta\x7f")
    for call in (meta.events(PIXEL, OURS, BODIES), meta.quality(PIXEL, OURS)):
        answer = await call
        assert isinstance(answer, Refusal)
        assert (answer.kind, answer.code) == ("temporary", "connection")
    await meta.close()


async def _hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _stops_in_the_middle(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"events_rec')
    await writer.drain()
    writer.close()


async def _says_nonsense(writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\xff nonsense \r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("reply", [_hangs_up, _stops_in_the_middle, _says_nonsense])
async def test_a_connection_that_breaks_is_temporary(reply: Reply) -> None:
    async with serving(reply) as (_, meta):
        for call in (meta.events(PIXEL, OURS, BODIES), meta.quality(PIXEL, OURS)):
            answer = await call
            assert isinstance(answer, Refusal)
            assert (answer.kind, answer.code) == ("temporary", "connection")


async def test_an_answer_that_drips_ends_with_the_time_of_the_whole_call() -> None:
    async def drips(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(drips, seconds=0.3) as (_, meta), asyncio.timeout(PATIENT):
        answer = await meta.events(PIXEL, OURS, BODIES)
    assert answer == Refusal(kind="temporary", code="timeout", reason="Meta did not answer in time")


async def test_of_an_answer_without_an_end_no_more_is_read_than_the_first_64_kib() -> None:
    sent = 0

    async def goes_on(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
            await writer.drain()
            sent += 0x1000

    async with serving(goes_on) as (_, meta):
        answer = await meta.events(PIXEL, OURS, BODIES)
    assert isinstance(answer, Refusal)
    assert (answer.kind, answer.code) == ("temporary", "http 200")
    assert sent > MAX_BODY


async def test_an_answer_that_is_packed_although_we_did_not_ask_for_it_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"events_received":2}')
    async with serving(says(packed, **{"content-encoding": "gzip"})) as (server, meta):
        answer = await meta.events(PIXEL, OURS, BODIES)
    assert isinstance(answer, Refusal)
    assert server.heard[0].headers["accept-encoding"] == "identity"


async def test_quality_is_read_for_each_event_and_what_meta_leaves_out_is_left_out() -> None:
    key = {"identifier": "fbc", "coverage": {"percentage": 77.5}}
    full = {
        "event_name": "Purchase",
        "event_match_quality": {"composite_score": 6.2, "match_key_feedback": [key]},
        "data_freshness": {"upload_frequency": "real_time"},
    }
    async with serving(meta_says({"web": [full, {"event_name": "Lead"}]})) as (server, meta):
        found = await meta.quality(PIXEL, Credentials(token=TOKEN, app_secret=APP_SECRET))
    assert found == (
        EventQuality(event="Lead", score=None),
        EventQuality(event="Purchase", score=6.2, coverage={"fbc": 77.5}),
    )
    [heard] = server.heard
    assert heard.line.startswith("GET /v26.0/dataset_quality?dataset_id=" + PIXEL)
    assert "appsecret_proof=" in heard.line
    assert TOKEN not in heard.line
    assert heard.headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"web":{}}', b'{"web":[{"event_name":7}]}', b"\xff"])
async def test_a_quality_that_cannot_be_read_is_a_refusal(body: bytes) -> None:
    async with serving(says(body)) as (_, meta):
        assert isinstance(await meta.quality(PIXEL, OURS), Refusal)


async def test_no_token_and_no_secret_is_in_a_log_an_answer_or_a_repr() -> None:
    ours = Credentials(token=TOKEN, app_secret=APP_SECRET)
    with captured_logs() as page:
        async with serving(_says_nonsense) as (_, meta):
            said = [repr(await meta.events(PIXEL, ours, BODIES)), repr(await meta.quality(PIXEL, ours))]
        async with serving(TAKEN) as (_, meta):
            said.append(repr(await meta.events(PIXEL, ours, BODIES)))
    everything = "".join([*said, page.getvalue(), repr(ours), str(ours)])
    assert TOKEN not in everything
    assert APP_SECRET not in everything
