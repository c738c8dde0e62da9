"""The proxies' configurations of deploy/, run by the real nginx and the real Caddy in front of a daemon."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chaos.servers import HOST, free_port
from runtime.settings import load_settings
from tests.daemon_fixture import ANSWER_SECONDS, SLUG, Answer, Door, Site

DEPLOY = Path(__file__).parents[2] / "deploy"
VISITOR = "127.0.0.2"
SPOOFED = "203.0.113.77"
REDIRECTS, DASHBOARD = "go.example.com", "trilha.example.com"
UP_SECONDS = 30.0


def program(name: str) -> str:
    """A program of Debian's, or a failure that says how to get it: these tests are never left out."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        pytest.fail(f"{name} is not installed, and this test runs it: apt-get install nginx-light caddy")
    return found


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for both names and its key: what an authority would have given."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, REDIRECTS)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(REDIRECTS), x509.DNSName(DASHBOARD)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "fullchain.pem", folder / "privkey.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return chain, private


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Who listens where in a test."""

    tls: int
    plain: int
    redirects: int
    dashboard: int


class Configuration(Protocol):
    """The deployed file with the addresses of a test instead of the deployed ones; the command that runs it."""

    def __call__(self, folder: Path, ports: Ports) -> list[str]: ...


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with each change made, which must concern something that is there."""
    for before, after in changes:
        text, count = re.subn(before, after, text)
        assert count, before
    return text


def nginx(folder: Path, ports: Ports) -> list[str]:
    chain, key = make_certificate(folder)
    site = changed(
        (DEPLOY / "nginx" / "trilha.conf").read_text(),
        (r"listen 443 ", f"listen {HOST}:{ports.tls} "),
        (r"listen 80;", f"listen {HOST}:{ports.plain};"),
        (r"127\.0\.0\.1:8080", f"{HOST}:{ports.redirects}"),
        (r"127\.0\.0\.1:8082", f"{HOST}:{ports.dashboard}"),
        (r"ssl_certificate /\S+;", f"ssl_certificate {chain};"),
        (r"ssl_certificate_key /\S+;", f"ssl_certificate_key {key};"),
        (r"error_log /\S+", f"error_log {folder / 'proxy.log'}"),
    )
    (folder / "trilha.conf").write_text(site)
    own = "".join(
        f"{kind}_temp_path {folder / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        if kind in {"client_body", "proxy"}
    )
    user = "user root;" if os.geteuid() == 0 else ""
    main = f"{user} daemon off; worker_processes 1; pid {folder / 'pid'}; error_log stderr crit; events {{ }}"
    (folder / "nginx.conf").write_text(f"{main} http {{ {own} include {folder / 'trilha.conf'}; }}")
    return [program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, ports: Ports) -> list[str]:
    chain, key = make_certificate(folder)
    site = changed(
        (DEPLOY / "caddy" / "Caddyfile").read_text(),
        (r"(?m)^\{$", f"{{\n\tadmin off\n\tauto_https off\n\thttp_port {ports.plain}"),
        (
            r"(?m)^(go|trilha)\.example\.com \{",
            rf"https://\1.example.com:{ports.tls} {{\n\tbind {HOST}\n\ttls {chain} {key}",
        ),
        (r"127\.0\.0\.1:8080", f"{HOST}:{ports.redirects}"),
        (r"127\.0\.0\.1:8082", f"{HOST}:{ports.dashboard}"),
    )
    (folder / "Caddyfile").write_text(site)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


class Proxy:
    """A proxy that runs, from outside."""

    def __init__(self, ports: Ports, folder: Path, chain: Path) -> None:
        self.ports = ports
        self._folder = folder
        self._tls = ssl.create_default_context(cafile=str(chain))

    async def get(
        self,
        target: str = f"/go/{SLUG}",
        *headers: str,
        host: str = REDIRECTS,
        source: str = VISITOR,
        method: str = "GET",
    ) -> Answer:
        """One exchange over TLS, from an address of its own."""
        reader, writer = await asyncio.open_connection(
            HOST, self.ports.tls, ssl=self._tls, server_hostname=host, local_addr=(source, 0)
        )
        head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "Connection: close", "", ""]
        writer.write("\r\n".join(head).encode())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return Answer.of(await reader.read(-1))
        finally:
            writer.close()
            with suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    def written(self) -> str:
        """Everything that the proxy has written anywhere."""
        return "".join(path.read_text(errors="replace") for path in self._folder.glob("*.log"))


@asynccontextmanager
async def running(
    configuration: Configuration, folder: Path, redirects: int, dashboard: int
) -> AsyncIterator[Proxy]:
    folder.mkdir()
    ports = Ports(tls=free_port(), plain=free_port(), redirects=redirects, dashboard=dashboard)
    command = configuration(folder, ports)
    homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | homes, stdout=output, stderr=output)
    try:
        await _listening(process, ports.tls, folder)
        yield Proxy(ports, folder, folder / "fullchain.pem")
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


async def _listening(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    until = time.monotonic() + UP_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, (folder / "output.log").read_text()
        with suppress(OSError):
            _, writer = await asyncio.open_connection(HOST, port)
            writer.close()
            return
        await asyncio.sleep(0.05)
    pytest.fail((folder / "output.log").read_text())


@dataclass(slots=True)
class Heard:
    """A listener in the dashboard's place: what it was asked, and how many connections it got."""

    port: int
    heads: list[str]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode().lower())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def configuration(request: pytest.FixtureRequest) -> Configuration:
    made: Configuration = request.param
    return made


@pytest_asyncio.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Door]:
    """A daemon that trusts the proxy's address."""
    trusted = load_settings({"TRILHA_TRUSTED_PROXIES": f"{HOST}/32"}).trusted_proxies
    site = Site(tmp_path / "site", trusted_proxies=trusted)
    site.home.mkdir()
    await site.prepare()
    async with site.running() as door:
        yield door


@pytest_asyncio.fixture
async def heard() -> AsyncIterator[Heard]:
    made = Heard(free_port(), [])
    async with await asyncio.start_server(made.answer, HOST, made.port):
        yield made


@pytest_asyncio.fixture
async def proxy(
    configuration: Configuration, behind: Door, heard: Heard, tmp_path: Path
) -> AsyncIterator[Proxy]:
    async with running(configuration, tmp_path / "proxy", behind.port, heard.port) as made:
        yield made


async def address_of(door: Door, answer: Answer) -> str | None:
    """The visitor's address that was sealed with that click."""
    assert answer.status == 302, answer.raw
    await door.site.settle()
    return door.site.opened(await door.site.row(answer.token)).ip


async def test_a_click_through_the_proxy_is_of_the_visitors_address(proxy: Proxy, behind: Door) -> None:
    assert await address_of(behind, await proxy.get(f"/go/{SLUG}?utm_source=fb")) == VISITOR


@pytest.mark.parametrize(
    "lie",
    [
        (f"X-Forwarded-For: {SPOOFED}",),
        (f"X-Forwarded-For: {SPOOFED}, {HOST}", f"X-Real-IP: {SPOOFED}", f"Forwarded: for={SPOOFED}"),
        (f"X-Forwarded-For: {HOST}", f"X-Forwarded-For: {SPOOFED}"),
        ("X-Forwarded-For: " + ", ".join([SPOOFED] * 40),),
    ],
    ids=["one hop", "other headers too", "two headers", "more hops than are read"],
)
async def test_an_address_that_a_visitor_claims_is_not_believed(
    proxy: Proxy, behind: Door, lie: tuple[str, ...]
) -> None:
    assert await address_of(behind, await proxy.get(f"/go/{SLUG}", *lie)) == VISITOR


@pytest.mark.parametrize(
    "target",
    [
        "/metrics",
        "/v1/starts",
        "/v1/openapi.json",
        "/healthz",
        "/readyz",
        "/telegram/shop_bot",
        "/go/../metrics",
        "/go/%2e%2e/metrics",
        "//metrics",
        "/",
    ],
)
async def test_nothing_but_redirects_is_reached_from_outside(proxy: Proxy, target: str) -> None:
    answer = await proxy.get(target)
    assert answer.status == 404, answer.raw
    assert b"trilha" not in answer.raw.lower()


async def test_an_ad_url_of_twelve_kilobytes_is_redirected(proxy: Proxy) -> None:
    assert (await proxy.get(f"/go/{SLUG}?fbclid=" + "a" * 12_000)).status == 302


async def test_the_answer_comes_through_unchanged_and_uncached(proxy: Proxy) -> None:
    one, two = await proxy.get(), await proxy.get()
    assert one.all("cache-control") == ["no-store"]
    assert one.token != two.token
    assert (await proxy.get(method="HEAD")).status == 302


async def test_the_dashboard_is_told_the_visitors_address_and_that_it_is_https(
    proxy: Proxy, heard: Heard
) -> None:
    assert (await proxy.get("/", f"X-Forwarded-For: {SPOOFED}", host=DASHBOARD)).status == 200
    (head,) = heard.heads
    assert f"x-forwarded-for: {VISITOR}\r\n" in head
    assert "x-forwarded-proto: https\r\n" in head
    assert f"host: {DASHBOARD}\r\n" in head


async def test_the_proxy_writes_down_no_address_and_no_parameters(proxy: Proxy) -> None:
    assert (await proxy.get(f"/go/{SLUG}?fbclid=IwAR0secret")).status == 302
    assert VISITOR not in proxy.written()
    assert "IwAR0secret" not in proxy.written()


async def test_it_writes_down_none_of_a_click_that_fails_either(
    configuration: Configuration, heard: Heard, tmp_path: Path
) -> None:
    async with running(configuration, tmp_path / "proxy", free_port(), heard.port) as proxy:
        assert (await proxy.get(f"/go/{SLUG}?fbclid=IwAR0secret")).status in {502, 503}
    assert VISITOR not in proxy.written()
    assert "IwAR0secret" not in proxy.written()


async def test_a_click_that_is_slow_to_be_answered_is_not_sent_a_second_time(
    configuration: Configuration, heard: Heard, tmp_path: Path
) -> None:
    """The listener in the daemon's place takes the request and says nothing until the proxy gives up."""
    asked: list[bytes] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            await reader.read()
        writer.close()

    port = free_port()
    async with (
        await asyncio.start_server(silent, HOST, port),
        running(configuration, tmp_path / "proxy", port, heard.port) as proxy,
    ):
        assert (await proxy.get()).status in {502, 504}
    assert len(asked) == 1


async def test_a_connection_that_breaks_before_an_answer_is_tried_again(
    configuration: Configuration, heard: Heard, tmp_path: Path
) -> None:
    """A connection kept from the click before is closed by a daemon that restarts just when it is used again."""
    asked: list[bytes] = []

    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                asked.append(await reader.readuntil(b"\r\n\r\n"))
                if len(asked) == 2:
                    break
                writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    port = free_port()
    async with (
        await asyncio.start_server(breaking, HOST, port),
        running(configuration, tmp_path / "proxy", port, heard.port) as proxy,
    ):
        assert (await proxy.get()).status == 404
        assert (await proxy.get()).status == 404
    assert len(asked) == 3


async def test_plain_http_leads_to_https_with_all_parameters(
    proxy: Proxy, configuration: Configuration
) -> None:
    if configuration is caddy:  # does so by itself; its own listener is off in these tests
        return
    reader, writer = await asyncio.open_connection(HOST, proxy.ports.plain)
    writer.write(
        f"GET /go/{SLUG}?utm_source=fb HTTP/1.1\r\nHost: {REDIRECTS}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = Answer.of(await reader.read(-1))
    writer.close()
    assert answer.status == 301
    assert answer.location == f"https://{REDIRECTS}/go/{SLUG}?utm_source=fb"
