"""Hostile requests: never a 5xx, never a foreign Location, nothing personal in a log, and the daemon lives on."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.daemon_fixture import BOT, SLUG, Answer, Door, Site, captured_logs, request_bytes

pytestmark = pytest.mark.asyncio(loop_scope="module")
GO = f"/go/{SLUG}"
IP, AGENT, FBCLID = "179.201.3.44", "SingularBrowser/77.1 (Owner; Maria)", "IwAR0Zx9singularQw_aem_Kk"
PERSONAL = {"X-Forwarded-For": IP, "User-Agent": AGENT, "Referer": f"https://l.facebook.com/?fbclid={FBCLID}"}


@pytest.fixture(scope="module")
def logs() -> Iterator[io.StringIO]:
    """All that is logged, at the chattiest level."""
    with captured_logs("debug") as page:
        yield page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory, logs: io.StringIO) -> AsyncIterator[Door]:
    """A daemon behind a trusted proxy, which is us."""
    site = Site(tmp_path_factory.mktemp("hostile"), trusted_proxies=["127.0.0.0/8"])
    await site.prepare()
    async with site.running() as running:
        yield running


async def attack(door: Door, data: bytes, *allowed: int) -> Answer:
    """Send it; the answer is one of those allowed (0: closed without one), leads nowhere else, and others are served."""
    answer = await door.raw(data)
    assert answer.status in allowed, answer.raw[:500]
    for location in answer.all("location"):
        assert location.startswith(f"https://t.me/{BOT}?start=")
        door.site.read(location.partition("?start=")[2])
    assert not answer.all("set-cookie")
    assert not answer.all("x-injected")
    assert (await door.get()).status == 302
    return answer


@pytest.mark.parametrize(
    "target",
    [
        f"{GO}?url=https://evil.example",
        f"{GO}?url=//evil.example&next=//evil.example&redirect=//evil.example&start=x",
        f"{GO}?utm_source=//evil.example&src=https:/%5Cevil.example",
        f"{GO}?fbclid=@google.com",
        f"{GO}?@google.com",
        f"{GO}#@google.com",
        f"http://evil.example{GO}",
        f"//evil.example{GO}",
        f"{GO}//evil.example",
        f"{GO}/%2F%2Fevil.example",
        f"{GO}@google.com",
        f"{GO}%40google.com",
        f"{GO}\\@evil.example",
        "/go///evil.example",
        "/go/%2F%2Fevil.example",
        "/go/%5C%5Cevil.example",
        "/go/https:/%5Cevil.example",
        "/go/https://evil.example",
        "/go/..%2F..%2Fetc%2Fpasswd",
        "/go/../../etc/passwd",
        "//evil.example",
        "/\\evil.example",
        "https:/\\evil.example",
        "@google.com",
        "*",
    ],
)
async def test_no_target_leads_anywhere_but_to_the_configured_bot(door: Door, target: str) -> None:
    await attack(door, request_bytes(target, PERSONAL), 302, 404, 400, 405)


@pytest.mark.parametrize(
    "header",
    [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "javascript"),
        ("X-Original-URL", "//evil.example"),
        ("X-Rewrite-URL", "/go/other"),
        ("Forwarded", "host=evil.example;for=1.2.3.4"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Origin", "https://evil.example"),
        ("Referer", "javascript:alert(1)"),
        ("Referer", "https://[evil"),
        ("User-Agent", '"quoted" \\u0000\\n {"level":"error"}'),
        ("Cookie", "_fbc=; _fbp=%0d%0aX-Injected: 1;;;=;_fbp"),
        ("Accept-Language", "x" * 5000),
        ("Upgrade", "websocket"),
        ("Expect", "100-continue"),
        ("Range", "bytes=0-1,0-1,0-1"),
        ("If-None-Match", "*"),
    ],
)
async def test_no_header_changes_what_the_visitor_gets(door: Door, header: tuple[str, str]) -> None:
    await attack(door, request_bytes(GO, [*PERSONAL.items(), header]), 302)


async def test_a_foreign_host_header_changes_nothing(door: Door) -> None:
    data = f"GET {GO} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode()
    await attack(door, data, 302)


@pytest.mark.parametrize(
    "tail",
    [
        "%0d%0aX-Injected:%201",
        "%0D%0ASet-Cookie:%20a=b",
        "%00",
        "%c0%ae%c0%ae%c0%af",
        "%ED%A0%80",
        "%u000d",
        "%250d%250aX-Injected:1",
        "%",
        "%zz",
        "%E5%98%8A%E5%98%8DX-Injected:1",
    ],
)
@pytest.mark.parametrize("where", [GO + "?utm_source=", GO + "?fbclid=", GO + "?", GO, "/go/", "/"])
async def test_escapes_in_path_and_query_inject_no_header(door: Door, where: str, tail: str) -> None:
    answer = await attack(door, request_bytes(where + tail, PERSONAL), 302 if "?" in where else 404)
    assert b"X-Injected" not in answer.raw
    assert b"\0" not in answer.raw


@pytest.mark.parametrize(
    "target",
    [
        GO.encode() + b"?a=\x00",
        GO.encode() + b"?a=\r\nX-Injected: 1",
        GO.encode() + b"?a=\nX-Injected: 1",
        GO.encode() + b"\xc0\xaf",
        GO.encode() + b"?utm_source=\xed\xa0\x80",
        b"/go/\xff\xfe",
        b"/go/a b",
    ],
)
async def test_raw_bytes_that_no_url_has_are_refused_whole(door: Door, target: bytes) -> None:
    await attack(door, request_bytes(target, PERSONAL), 302, 400, 404)


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        (["Content-Length: 5", "Transfer-Encoding: chunked"], {400}),
        (["Content-Length: 5", "Content-Length: 6"], {400}),
        (["Content-Length: -1"], {400}),
        (["Content-Length: 99999999999999999999999"], {400}),
        (["Transfer-Encoding: chunked, identity"], {400, 302}),
        (["Transfer-Encoding : chunked"], {400}),
        (["Host: evil.example"], {400}),
        (["X Bad: 1"], {400}),
        ([": empty"], {400}),
        ([" folded: 1"], {400, 302}),
        (["X-A: 1\0"], {400}),
        (["X-A: a\rb"], {400}),
        (["User-Agent: \x1b[31mred"], {400}),
    ],
)
async def test_an_ambiguous_head_is_refused(door: Door, lines: list[str], allowed: set[int]) -> None:
    head = [f"GET {GO} HTTP/1.1", "Host: go.example.com", "Connection: close", *lines]
    await attack(door, "\r\n".join([*head, "", "0", "", ""]).encode("latin-1"), *allowed)


@pytest.mark.parametrize(
    "data",
    [
        f"GET {GO} HTTP/1.1\r\nConnection: close\r\n\r\n",
        f"GET {GO} HTTP/1.0\r\n\r\n",
        f"GET {GO}\r\n\r\n",
        f"GET {GO} HTTP/0.9\r\n\r\n",
        f"GET {GO} HTTP/9.9\r\nHost: a\r\n\r\n",
        f"GET {GO} HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
        f"get {GO} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        f"BREW {GO} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GET  HTTP/1.1\r\nHost: a\r\n\r\n",
        "{}\r\n\r\n",
    ],
)
async def test_what_is_not_plain_http_11_with_one_host_is_refused(door: Door, data: str) -> None:
    await attack(door, data.encode("latin-1"), 400, 404, 405)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "PROPFIND"])
async def test_other_methods_get_405_and_no_echo_of_what_they_sent(door: Door, method: str) -> None:
    answer = await attack(door, request_bytes(GO, PERSONAL, method), 405)
    assert AGENT.encode() not in answer.raw


@pytest.mark.parametrize(
    ("size", "allowed"),
    [(8 * 1024, {302}), (31 * 1024, {302}), (64 * 1024, {431, 0}), (1024 * 1024, {431, 0})],
)
async def test_a_long_url_is_served_or_refused_by_its_size(door: Door, size: int, allowed: set[int]) -> None:
    await attack(door, request_bytes(f"{GO}?utm_source=" + "x" * size), *allowed)


async def test_ten_thousand_headers_are_refused(door: Door) -> None:
    await attack(door, request_bytes(GO, [(f"X-{i}", "y") for i in range(10_000)]), 431, 0)


async def test_a_header_of_20_mb_is_refused(door: Door) -> None:
    await attack(door, request_bytes(GO, {"X-Long": "y" * 20_000_000}), 431, 0)


async def test_a_head_that_never_ends_is_refused_in_small_pieces_too(door: Door) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(f"GET {GO} HTTP/1.1\r\nHost: a\r\n".encode())
    for number in range(700):
        writer.write(f"X-{number}: {'y' * 90}\r\n".encode())
    assert b" 431 " in await reader.readline()
    writer.close()


async def test_an_fbclid_of_10_kb_is_cropped_and_the_visitor_redirected(door: Door) -> None:
    answer = await attack(door, request_bytes(f"{GO}?fbclid=" + "x" * 10_240), 302)
    await door.site.settle()
    assert door.site.opened(await door.site.row(answer.token)).fbclid == "x" * 512


async def test_a_click_too_large_for_any_store_is_still_redirected(door: Door) -> None:
    query = "&".join(f"utm_{i}=" + "%00" * 450 for i in range(20))
    headers = [("User-Agent", "\u00ff" * 1000), ("Referer", "\u00ff" * 1000)]
    await attack(door, request_bytes(f"{GO}?{query}", headers), 302)


@pytest.mark.parametrize(
    "value", ["<script>", "127.0.0.1", "::1", "a," * 2000, "1.2.3.4%0d%0a", "\u00ff", "%00", ""]
)
async def test_garbage_in_the_proxys_header_is_harmless(door: Door, value: str) -> None:
    await attack(door, request_bytes(GO, {"X-Forwarded-For": value}), 302)


async def test_the_first_of_a_repeated_parameter_is_kept_and_escapes_are_decoded_once(door: Door) -> None:
    answer = await attack(door, request_bytes(f"{GO}?src=1&src=2&utm_term=%253Cscript%253E&a=1&a=2"), 302)
    await door.site.settle()
    assert (await door.site.row(answer.token)).params == {"src": "1", "utm_term": "%3Cscript%3E"}


async def test_two_requests_sent_at_once_get_two_answers_in_order(door: Door) -> None:
    first = b"GET /go/none HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await door.raw(first + request_bytes(GO))
    assert answer.status == 404
    assert answer.raw.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 302" in answer.raw


async def test_nothing_personal_reaches_a_log_whatever_is_done_with_a_click(
    door: Door, logs: io.StringIO
) -> None:
    token = await door.click(f"fbclid={FBCLID}&utm_source=FB", PERSONAL)
    for person in (7001, 7002):
        await door.start(token, person)
    await door.api.get(f"/v1/clicks/{token}")
    await door.api.get(f"/v1/clicks/{token[:-2]}zz", headers={"authorization": "Bearer leaked-key-value"})
    await door.raw(request_bytes(f"{GO}?fbclid={FBCLID}&x=\x00", PERSONAL))
    await door.site.settle()
    page = logs.getvalue()
    assert page.count("\n") > 20
    for secret in (IP, AGENT, "SingularBrowser", FBCLID, token, "leaked-key-value", door.site.key):
        assert secret not in page


async def test_every_log_line_is_one_json_object_whatever_was_sent(door: Door, logs: io.StringIO) -> None:
    await door.raw(request_bytes(GO, {"User-Agent": 'a"\\n{"level":"x"}', "Referer": "https://[bad"}))
    for line in logs.getvalue().splitlines():
        assert isinstance(json.loads(line), dict)
