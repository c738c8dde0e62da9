"""What a call to a webhook does on real sockets, whatever its host, its receiver and the DNS are up to."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chaos.servers import free_port
from delivery.safe_http import LARGEST_ANSWER, Heard, Resolve, SafeHttp, Unheard, resolve
from domain.errors import ConfigError
from tests.receiver import LOOPBACK, Authority, Receiver, receiving, resolver

HOST, OTHER = "hook.test", "other.test"
SECOND = "127.0.0.2"
METADATA = "169.254.169.254"
PUBLIC = "93.184.216.34"
BODY, HEADERS = b'{"events":[]}', {"trilha-signature": "t=1,v1=ab", "content-type": "application/json"}
PATIENT, SHORT = 30.0, 0.3


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("certificates"))


def client(*answers: Sequence[str], allowed: Sequence[str] = (HOST,), **more: Any) -> SafeHttp:
    """A client whose DNS gives these answers in turn."""
    found, _ = resolver(*(answers or ([LOOPBACK],)))
    return SafeHttp(**({"allowed": allowed, "resolve": found, "seconds": PATIENT} | more))


async def posted(http: SafeHttp, port: int, path: str = "/in?x=1", scheme: str = "http") -> Heard | Unheard:
    return await http.post(f"{scheme}://{HOST}:{port}{path}", BODY, HEADERS)


def kind(answer: Heard | Unheard) -> str:
    assert isinstance(answer, Unheard), answer
    return answer.kind


# ---------------------------------------------------------------- what arrives


async def test_a_call_arrives_as_it_was_given_under_the_hosts_name() -> None:
    async with receiving(Receiver(b"HTTP/1.1 202 Yes\r\nContent-Length: 2\r\n\r\nok")) as receiver:
        assert await posted(client(), receiver.port) == Heard(status=202, body=b"ok")
    call = receiver.call
    assert (call.line, call.body) == ("POST /in?x=1 HTTP/1.1", BODY)
    assert call.header("host") == f"{HOST}:{receiver.port}"
    assert {name: call.header(name) for name in HEADERS} == HEADERS
    names = [name for name, _ in call.headers]
    assert sorted(names) == sorted([*HEADERS, "host", "content-length", "accept-encoding"])


async def test_over_tls_name_and_certificate_are_the_hosts_while_the_connection_goes_to_its_address(
    authority: Authority,
) -> None:
    async with receiving(tls=authority.server(HOST)) as receiver:
        http = client(tls=authority.trusted())
        assert await posted(http, receiver.port, scheme="https") == Heard(status=204)
    assert receiver.names == [HOST]
    assert receiver.call.header("host") == f"{HOST}:{receiver.port}"


async def test_an_address_as_host_is_not_looked_up_and_has_its_certificate_checked(
    authority: Authority,
) -> None:
    found, asked = resolver([METADATA])
    http = SafeHttp(allowed=[LOOPBACK, "[::1]"], resolve=found, tls=authority.trusted(), seconds=PATIENT)
    for host in (LOOPBACK, "::1"):
        async with receiving(host=host, tls=authority.server(host)) as receiver:
            shown = f"[{host}]" if ":" in host else host
            answer = await http.post(f"https://{shown}:{receiver.port}/", BODY, HEADERS)
            assert answer == Heard(status=204)
            assert receiver.call.header("host") == f"{shown}:{receiver.port}"
    assert asked == []


async def test_every_call_is_a_connection_of_its_own_and_keeps_no_cookie() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with receiving(Receiver(answer)) as receiver:
        http = client()
        for _ in range(3):
            assert await posted(http, receiver.port) == Heard(status=200)
    assert receiver.connections == 3
    assert not [name for call in receiver.calls for name, _ in call.headers if name == "cookie"]


async def test_no_proxy_of_the_environment_comes_between(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{LOOPBACK}:{proxy.port}")
        assert await posted(client(), receiver.port) == Heard(status=204)
    assert (proxy.connections, receiver.connections) == (0, 1)


# ---------------------------------------------------------------- certificates


async def test_a_certificate_of_another_name_ends_the_call_before_anything_is_sent(
    authority: Authority,
) -> None:
    async with receiving(tls=authority.server(OTHER)) as receiver:
        answer = await posted(client(tls=authority.trusted()), receiver.port, scheme="https")
    assert kind(answer) == "tls"
    assert receiver.calls == []


async def test_a_certificate_of_an_unknown_authority_ends_it_too(
    authority: Authority, tmp_path: Path
) -> None:
    async with receiving(tls=authority.server(HOST)) as receiver:
        for tls in (None, Authority.make(tmp_path).trusted()):
            assert kind(await posted(client(tls=tls), receiver.port, scheme="https")) == "tls"
    assert receiver.calls == []


async def test_a_receiver_that_speaks_no_tls_hears_no_event(authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await writer.drain()

    heard: list[bytes] = []
    async with receiving(Receiver(behave=plain)) as receiver:
        answer = await posted(client(tls=authority.trusted()), receiver.port, scheme="https")
    assert kind(answer) == "tls"
    assert BODY not in b"".join(heard)


# ---------------------------------------------------------------- where it goes


async def test_a_name_is_looked_up_once_a_call_and_the_connection_goes_where_that_look_up_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The DNS gives another answer each time it is asked, and the machine's own resolver may not be asked at all."""

    def no_second_look_up(*given: Any, **_more: Any) -> Any:
        raise AssertionError(given)

    async with receiving() as first, receiving(host=SECOND, port=first.port) as second:
        found, asked = resolver([LOOPBACK], [SECOND])
        http = SafeHttp(allowed=[HOST], resolve=found, seconds=PATIENT)
        monkeypatch.setattr(socket, "getaddrinfo", no_second_look_up)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_second_look_up)
        assert await posted(http, first.port) == Heard(status=204)
        assert (len(asked), first.connections, second.connections) == (1, 1, 0)
        assert await posted(http, first.port) == Heard(status=204)
        assert (len(asked), first.connections, second.connections) == (2, 1, 1)


async def test_a_name_that_turns_to_this_machine_after_it_was_checked_leads_nowhere(
    authority: Authority,
) -> None:
    """DNS rebinding: public when the webhook is added, loopback when it is called."""
    async with receiving(tls=authority.server(HOST)) as receiver:
        http = client([PUBLIC], [LOOPBACK], allowed=(), tls=authority.trusted())
        await http.check(f"https://{HOST}:{receiver.port}/")
        answer = await posted(http, receiver.port, scheme="https")
    assert kind(answer) == "refused"
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "addresses",
    [
        [LOOPBACK],
        ["10.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        [METADATA],
        ["64:ff9b::7f00:1"],
        ["fe80::1%1"],
        [PUBLIC, LOOPBACK],
        [LOOPBACK, PUBLIC],
        [PUBLIC, "2606:4700::1111", "fd00::1"],
    ],
)
async def test_one_address_that_is_not_public_refuses_all_of_a_name(addresses: list[str]) -> None:
    http = client(addresses, allowed=())
    assert kind(await posted(http, 443, scheme="https")) == "refused"
    with pytest.raises(ConfigError, match="not public"):
        await http.check(f"https://{HOST}/")


@pytest.mark.parametrize("addresses", [[METADATA], [LOOPBACK, METADATA], ["::ffff:127.0.0.1"], ["0.0.0.0"]])
async def test_an_allowed_name_may_lead_to_private_addresses_and_not_to_a_clouds_credentials(
    addresses: list[str],
) -> None:
    async with receiving() as receiver:
        assert kind(await posted(client(addresses), receiver.port)) == "refused"
    assert receiver.connections == 0


@pytest.mark.parametrize("spelling", ["127.1", "0x7f.1", "0177.0.0.1", "2130706433", "localhost", LOOPBACK, "[::1]",
                                      "[::ffff:127.0.0.1]", "0.0.0.0", "user@localhost"])  # fmt: skip
async def test_no_spelling_of_this_machine_is_called(spelling: str, authority: Authority) -> None:
    """With the machine's own resolver, which understands more spellings than anybody remembers."""
    async with receiving(tls=authority.server("localhost")) as receiver:
        http = SafeHttp(resolve=resolve, tls=authority.trusted(), seconds=PATIENT)
        assert kind(await http.post(f"https://{spelling}:{receiver.port}/", BODY, HEADERS)) == "refused"
    assert receiver.connections == 0


async def test_without_tls_only_a_host_that_the_operator_allows_is_called() -> None:
    found, asked = resolver([LOOPBACK])
    async with receiving() as receiver:
        http = SafeHttp(allowed=[f"{OTHER}:{receiver.port}"], resolve=found, seconds=PATIENT)
        assert kind(await posted(http, receiver.port)) == "refused"
        other = await http.post(f"http://{OTHER}:{receiver.port}/", BODY, HEADERS)
        assert other == Heard(status=204)
    assert asked == [OTHER], "a URL that is refused by itself is not looked up"
    assert receiver.connections == 1


async def test_a_name_that_is_not_found_is_no_fault_of_the_operators_and_is_said_when_it_is_added() -> None:
    def failing(failure: Exception) -> Resolve:
        async def fails(_host: str, _port: int) -> list[str]:
            raise failure

        return fails

    for failure in (socket.gaierror(socket.EAI_NONAME, "no"), OSError("x"), UnicodeError("label too long")):
        http = client(resolve=failing(failure))
        assert kind(await posted(http, 443)) == "unreachable"
        with pytest.raises(ConfigError, match="cannot be found"):
            await http.check(f"https://{HOST}/")
    assert kind(await posted(client([]), 443)) == "unreachable"


async def test_the_next_address_is_tried_when_one_takes_no_connection_and_there_are_bounds() -> None:
    async with receiving() as receiver:
        http = client([SECOND, "127.0.0.3", LOOPBACK], ["127.0.0.2", "127.0.0.3", "127.0.0.4", LOOPBACK])
        assert await posted(http, receiver.port) == Heard(status=204)
        assert kind(await posted(http, receiver.port)) == "unreachable"
    assert receiver.connections == 1


async def test_an_address_that_was_reached_is_the_only_one_that_gets_the_events() -> None:
    """Whatever came of it: a second receiver might take them a second time."""

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)

    async with receiving(Receiver(behave=drop)) as first, receiving(host=SECOND, port=first.port) as second:
        assert kind(await posted(client([LOOPBACK, SECOND]), first.port)) == "protocol"
    assert (first.connections, second.connections) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(status: int) -> None:
    async with receiving() as inside:
        location = f"Location: http://{HOST}:{inside.port}/latest/meta-data/\r\n"
        answer = f"HTTP/1.1 {status} Go\r\n{location}Content-Length: 0\r\n\r\n".encode()
        async with receiving(Receiver(answer)) as receiver:
            assert await posted(client(), receiver.port) == Heard(status=status)
    assert (receiver.connections, inside.connections) == (1, 0)


# ---------------------------------------------------------------- bounds


async def test_of_a_body_that_never_ends_its_beginning_is_read() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with receiving(Receiver(behave=flood)) as receiver:
        assert await posted(client(), receiver.port) == Heard(status=200, body=b"x" * LARGEST_ANSWER)


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 40_000, b"HTTP/1.1 200 " + b"x" * 200_000,
                                  b"no http at all\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b""])  # fmt: skip
async def test_what_is_no_answer_is_trouble_on_the_way(head: bytes) -> None:
    async with receiving(Receiver(head)) as receiver:
        assert kind(await posted(client(), receiver.port)) == "protocol"


async def test_a_receiver_that_hangs_is_given_up_wherever_it_hangs(authority: Authority) -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-")
        await receiver.released.wait()

    for behave in (None, half):
        receiver = Receiver(behave=behave)
        receiver.behave = behave or receiver.hang
        async with receiving(receiver):
            http = client(seconds=SHORT, tls=authority.trusted())
            for scheme in ("http", "https"):
                answer = await posted(http, receiver.port, scheme=scheme)
                tls = "tls" if behave else "unreachable"  # what is no TLS is noticed at once
                assert kind(answer) == (tls if scheme == "https" else "timeout")


async def test_a_dns_that_hangs_is_given_up() -> None:
    async def hangs(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    http = client(resolve=hangs, seconds=SHORT)
    assert kind(await posted(http, 443)) == "timeout"
    with pytest.raises(ConfigError, match="cannot be found"):
        await http.check(f"https://{HOST}/")


async def test_a_body_that_stands_still_or_breaks_does_not_unsay_the_status() -> None:
    async def still(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")
        await receiver.released.wait()

    receiver = Receiver(behave=still)
    async with receiving(receiver):
        assert await posted(client(seconds=3.0), receiver.port) == Heard(status=200, body=b"part")
    async with receiving(Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart")) as broken:
        assert await posted(client(), broken.port) == Heard(status=200, body=b"part")


async def test_nobody_there_is_trouble_on_the_way() -> None:
    assert kind(await posted(client(), free_port())) == "unreachable"


# ---------------------------------------------------------------- what is said of it


async def test_neither_logs_at_their_loudest_nor_errors_show_path_body_or_signature(
    caplog: pytest.LogCaptureFixture, authority: Authority
) -> None:
    caplog.set_level(logging.DEBUG)
    path, seen = "/s3cr3t?key=t0ken", []
    async with receiving() as receiver, receiving(tls=authority.server(OTHER)) as other:
        seen.append(await posted(client(), receiver.port, path))
        seen.append(await posted(client(tls=authority.trusted()), other.port, path, "https"))
    seen.append(await posted(client([METADATA]), 1, path))
    seen.append(await posted(client(), free_port(), path))
    seen.append(await client().post(f"https://user:s3cr3t@{HOST}{path}", BODY, HEADERS))
    with pytest.raises(ConfigError) as refused:
        await client([LOOPBACK], allowed=()).check(f"https://{HOST}{path}")
    text = caplog.text + repr(seen) + str(refused.value)
    assert [word for word in ("s3cr3t", "t0ken", "events", "v1=ab") if word in text] == []
