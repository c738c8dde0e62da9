"""The public listener's own protocol: pipelines, keep-alive, idle clients, bodies nobody wants."""

from __future__ import annotations

import asyncio
import gc
from functools import partial

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from chaos.servers import HOST
from daemon import connections
from tests.daemon_fixture import ANSWER_SECONDS, SLUG, Answer, Door, Site


def asked(
    target: str, *headers: str, method: str = "GET", version: str = "1.1", host: str = "go.example.com"
) -> bytes:
    lines = [f"{method} {target} HTTP/{version}", f"Host: {host}", *headers, "", ""]
    return "\r\n".join(lines).encode()


call = partial(asked, host="localhost")


async def answers(reader: asyncio.StreamReader, number: int) -> list[Answer]:
    """That many answers of one connection, by their Content-Length."""
    found = []
    async with asyncio.timeout(ANSWER_SECONDS):
        for _ in range(number):
            head = await reader.readuntil(b"\r\n\r\n")
            answer = Answer.of(head)
            body = (
                await reader.readexactly(int(answer.all("content-length")[0]))
                if answer.status != 302
                else b""
            )
            found.append(Answer.of(head + body))
    return found


async def test_a_pipeline_is_answered_in_its_order_on_one_connection(door: Door) -> None:
    reader, writer = await asyncio.open_connection(HOST, door.port)
    targets = [
        f"/go/{SLUG}?utm_source=s0",
        "/go/nobody",
        f"/go/{SLUG}?utm_source=s2",
        "/elsewhere",
        f"/go/{SLUG}",
    ]
    writer.write(b"".join(map(asked, targets)))
    assert [answer.status for answer in await answers(reader, 5)] == [302, 404, 302, 404, 302]
    writer.write(asked(f"/go/{SLUG}"))
    assert [answer.status for answer in await answers(reader, 1)] == [302]
    writer.close()


async def test_each_answer_of_a_pipeline_is_its_own_click(door: Door, site: Site) -> None:
    reader, writer = await asyncio.open_connection(HOST, door.port)
    writer.write(b"".join(asked(f"/go/{SLUG}?utm_source=s{number}") for number in range(20)))
    found = await answers(reader, 20)
    writer.close()
    await site.settle()
    sources = {row.id: row.params["utm_source"] for row in await site.rows()}
    assert [sources[site.read(answer.token).id] for answer in found] == [f"s{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("headers", "version", "closes"),
    [((), "1.1", False), (("Connection: close",), "1.1", True), ((), "1.0", True)],
)
async def test_the_connection_is_kept_as_the_client_asks(
    door: Door, headers: tuple[str, ...], version: str, closes: bool
) -> None:
    reader, writer = await asyncio.open_connection(HOST, door.port)
    writer.write(asked(f"/go/{SLUG}", *headers, version=version))
    [answer] = await answers(reader, 1)
    assert (answer.status, answer.all("connection")) == (302, ["close"] if closes else [])
    if closes:
        assert await asyncio.wait_for(reader.read(), ANSWER_SECONDS) == b""
    else:
        writer.write(asked(f"/go/{SLUG}"))
        assert (await answers(reader, 1))[0].status == 302
    writer.close()


async def test_a_body_is_passed_over_and_the_next_request_is_read(door: Door) -> None:
    reader, writer = await asyncio.open_connection(HOST, door.port)
    writer.write(asked(f"/go/{SLUG}", "Content-Length: 100000") + b"x" * 100_000 + asked("/go/nobody"))
    assert [answer.status for answer in await answers(reader, 2)] == [302, 404]
    writer.close()


@pytest.mark.parametrize("sent", [b"", b"GET /go/promo HTTP/1.1\r\nHo", asked(f"/go/{SLUG}")])
async def test_a_client_that_completes_no_request_is_let_go(
    site: Site, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """One that says nothing, one that stops within its headers, and one that has had its answer."""
    monkeypatch.setattr(connections, "PUBLIC_IDLE_SECONDS", 0.2)
    async with site.running() as door:
        reader, writer = await asyncio.open_connection(HOST, door.port)
        writer.write(sent)
        said = await asyncio.wait_for(reader.read(), ANSWER_SECONDS)
        assert said.startswith(b"HTTP/1.1 302") == sent.endswith(b"\r\n\r\n")
        writer.close()


async def test_a_bug_costs_one_answer_and_says_nothing_of_the_request(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.redirect.Redirect._answer", None)
    answer = await door.get(f"/go/{SLUG}?fbclid=IwSECRET")
    assert (answer.status, answer.body) == (500, b"")
    monkeypatch.undo()
    assert (await door.get()).status == 302


async def test_a_call_is_freed_without_the_garbage_collector(door: Door) -> None:
    """Collecting what thousands of calls leave would hold up the redirects."""
    reader, writer = await asyncio.open_connection(HOST, door.site.settings.private_bind.port)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            writer.write(call("/v1/nothing"))
            await answers(reader, 1)
        alive = sum(isinstance(held, RequestResponseCycle) for held in gc.get_objects())
    finally:
        gc.enable()
    assert alive <= 2
    writer.close()


async def test_a_caller_that_waits_to_be_told_to_go_on_is_told(door: Door) -> None:
    reader, writer = await asyncio.open_connection(HOST, door.site.settings.private_bind.port)
    lines = (f"Authorization: Bearer {door.site.key}", "Content-Length: 2", "Expect: 100-continue")
    writer.write(call("/v1/starts", *lines, method="POST"))
    told = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)
    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"{}")
    assert [answer.status for answer in await answers(reader, 1)] == [422]
    writer.close()


async def test_the_private_listener_answers_head_without_a_body(door: Door) -> None:
    reader, writer = await asyncio.open_connection(HOST, door.site.settings.private_bind.port)
    writer.write(call("/healthz", "Connection: close", method="HEAD"))
    said = await asyncio.wait_for(reader.read(), ANSWER_SECONDS)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\r\n\r\n")
    writer.close()
