"""TLS to Redis: who has the right certificate is spoken to, and nobody else, and never in the open."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backends.redis import RedisStore
from chaos.servers import HOST, ValkeyServer
from domain.errors import StoreUnavailable
from domain.outcomes import Found
from tests.making import bare_click

SECONDS = 30


class Authority:
    """A CA that makes certificates, each as a file of key and certificate."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def certificate(self, name: str, *, host: str) -> Path:
        """For that address, or name."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            known_as: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            known_as = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._signed(subject, key, x509.SubjectAlternativeName([known_as]))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file = self._folder / f"{name}-cert.pem"
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        return file

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(hours=1),
            not_valid_after=now + dt.timedelta(days=1),
        )
        return builder.add_extension(extension, critical=False).sign(self._key, hashes.SHA256())


@dataclass
class TlsProxy:
    """Ends TLS before a server. `through`: how many connections have got through."""

    port: int = 0
    through: int = 0


@asynccontextmanager
async def proxy(target: int, certificate: Path, *, clients_of: Path | None = None) -> AsyncIterator[TlsProxy]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients_of)
    context.load_cert_chain(certificate)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    made = TlsProxy()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()
        with suppress(OSError, ssl.SSLError):
            await writer.wait_closed()

    serving: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.through += 1
        serving.append(asyncio.current_task())
        back, forth = await asyncio.open_connection(HOST, target)
        await asyncio.gather(pump(reader, forth), pump(back, writer))

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()
    await asyncio.gather(*(task for task in serving if task is not None))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "trilha-ca")


async def works(url: str) -> bool:
    """Whether a click goes there and comes back."""
    store = RedisStore(url, ttl_ms=600_000)
    click = bare_click()
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    await store.probe()
                    break
                except StoreUnavailable as error:
                    if not isinstance(error.__cause__, TimeoutError):  # a slow handshake is tried again
                        raise
        await store.put(click)
        return await store.find(click.id) == Found(click)
    finally:
        await store.close()


async def test_the_right_authority_is_believed(valkey: ValkeyServer, authority: Authority) -> None:
    async with proxy(valkey.port, authority.certificate("valkey", host=HOST)) as door:
        assert await works(f"rediss://{HOST}:{door.port}/0?ssl_ca_certs={authority.file}")
        assert door.through == 1


async def test_an_authority_that_is_not_named_is_not_believed(
    valkey: ValkeyServer, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other-ca")
    async with proxy(valkey.port, authority.certificate("valkey", host=HOST)) as door:
        for query in (f"?ssl_ca_certs={other.file}", ""):
            with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
                await works(f"rediss://:hunter2@{HOST}:{door.port}/0{query}")
        assert door.through == 0


async def test_a_certificate_of_another_host_is_not_believed(
    valkey: ValkeyServer, authority: Authority
) -> None:
    async with proxy(valkey.port, authority.certificate("valkey", host="redis.example")) as door:
        with pytest.raises(StoreUnavailable, match="SSLCertVerificationError"):
            await works(f"rediss://{HOST}:{door.port}/0?ssl_ca_certs={authority.file}")
        assert door.through == 0


async def test_a_server_without_tls_is_not_spoken_to_in_the_open(authority: Authority) -> None:
    """What it is sent begins as TLS does, and holds no password."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(b"+OK\r\n")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(hear, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    for url in (
        f"rediss://:hunter2@{HOST}:{port}/0",
        f"rediss+cluster://:hunter2@{HOST}:{port}",
        f"rediss+sentinel://:hunter2@{HOST}:{port}/main?sentinel_password=hunter3",
    ):
        with pytest.raises(StoreUnavailable):
            await works(f"{url}{'&' if '?' in url else '?'}ssl_ca_certs={authority.file}")
    server.close()
    assert heard
    assert all(data[:1] == b"\x16" and b"hunter" not in data and b"AUTH" not in data for data in heard)


async def test_a_certificate_of_ones_own_is_shown_where_the_server_asks_for_it(
    valkey: ValkeyServer, authority: Authority
) -> None:
    mine = authority.certificate("trilha", host="trilha.example")
    server = authority.certificate("valkey", host=HOST)
    async with proxy(valkey.port, server, clients_of=authority.file) as door:
        ca = f"ssl_ca_certs={authority.file}"
        assert await works(f"rediss://{HOST}:{door.port}/0?{ca}&ssl_certfile={mine}&ssl_keyfile={mine}")
        with pytest.raises(StoreUnavailable):
            await works(f"rediss://{HOST}:{door.port}/0?{ca}")
