"""What TRILHA_REDIS_URL says: which Redis there is, where, how one logs in there, and how TLS is verified.

    redis://[user:pass@]host[:port][/db]      rediss:// the same over TLS      unix://[user:pass@]/path[?db=]
    redis+sentinel://[user:pass@]host[:port],host[:port]/SERVICE[/db]          rediss+sentinel://
    redis+cluster://[user:pass@]host[:port],host[:port]                        rediss+cluster://

No text of a ConfigError shows the URL, which may hold a password.
"""

import ssl
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from domain.errors import ConfigError

Kind = Literal["single", "sentinel", "cluster"]
Expected = Literal["anyone", "master", "replica"]
REDIS_PORT, SENTINEL_PORT = 6379, 26379
SCHEMES = "redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, redis+cluster:// or rediss+cluster://"
# redis-py's own options that mean nothing to a connection which never retries; a URL that it takes is taken here.
_IGNORED = frozenset(
    (
        "client_name",
        "health_check_interval",
        "legacy_responses",
        "max_connections",
        "protocol",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_read_size",
        "socket_timeout",
        "timeout",
    )
)
_TLS = frozenset(
    (
        "ssl_ca_certs",
        "ssl_ca_data",
        "ssl_ca_path",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_cert_reqs",
        "ssl_ciphers",
        "ssl_exclude_verify_flags",
        "ssl_include_verify_flags",
        "ssl_keyfile",
        "ssl_min_version",
        "ssl_password",
    )
)
_OWN = {
    "single": frozenset(("db", "username", "password")),
    "sentinel": frozenset(("replicas", "sentinel_username", "sentinel_password")),
    "cluster": frozenset(("replicas",)),
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a host and a port, or the path of a socket."""

    host: str = "localhost"
    port: int = REDIS_PORT
    path: str = ""

    @property
    def on_this_machine(self) -> bool:
        """True when nothing that is said to it leaves the machine."""
        return bool(self.path) or self.host in ("localhost", "::1") or self.host.startswith("127.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A server and what is said on arrival. `tls`: None for plaintext. `expected`: the role that it must have."""

    address: Address
    username: str = ""
    password: str = ""
    db: int = 0
    tls: ssl.SSLContext | None = None
    expected: Expected = "anyone"

    def at(self, address: Address, expected: Expected = "anyone") -> "Endpoint":
        """The same login at another server."""
        return replace(self, address=address, expected=expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisUrl:
    """`seeds`: the server, the Sentinels, or nodes of the cluster that are asked first. `data` and `sentinel`: logins."""

    kind: Kind
    seeds: tuple[Address, ...]
    data: Endpoint
    sentinel: Endpoint
    service: str = ""
    replicas: bool = False


def parse_redis_url(url: str) -> RedisUrl:
    """What the URL says. ConfigError for one that says nothing, or something that would not be heeded."""
    try:
        return _parse(url)
    except ConfigError:
        raise
    except (ValueError, TypeError, OSError, RedisError):
        # Neither the URL nor the cause: both may hold a password.
        raise ConfigError(f"TRILHA_REDIS_URL must be a {SCHEMES} URL whose files exist") from None


def _parse(url: str) -> RedisUrl:
    parts = urlsplit(url)
    scheme, _, topology = parts.scheme.partition("+")
    kind: Kind = "single"
    if topology == "sentinel":
        kind = "sentinel"
    elif topology == "cluster":
        kind = "cluster"
    elif topology or scheme not in ("redis", "rediss", "unix"):
        raise ValueError("scheme")
    if scheme == "unix" and topology:
        raise ValueError("scheme")
    options = {name: values[0] for name, values in parse_qs(parts.query).items()}
    _known(options, kind, tls=scheme == "rediss")
    tls = _tls_of(parts) if scheme == "rediss" else None
    return _single(url, tls) if kind == "single" else _many(kind, parts, options, tls)


def _known(options: dict[str, str], kind: Kind, *, tls: bool) -> None:
    known = _OWN[kind] | _IGNORED | (_TLS if tls else frozenset())
    if unknown := sorted(set(options) - known):
        # Names only. A misspelt option of TLS must not pass for one that is heeded.
        named = ", ".join(name for name in unknown if name.isidentifier()) or "unreadable names"
        raise ConfigError(
            f"TRILHA_REDIS_URL has options that a {kind} {'rediss' if tls else 'redis'} URL does not: {named}"
        )
    if options.get("replicas", "read") != "read":
        raise ConfigError("TRILHA_REDIS_URL: replicas takes one word only, read")


def _tls_of(parts: SplitResult) -> ssl.SSLContext:
    """redis-py reads the ssl_ options and makes the context: verified by CA and host name unless they say otherwise."""
    where = parse_url(f"rediss://localhost/?{parts.query}")
    options = {name: value for name, value in where.items() if name.startswith("ssl_")}
    context: ssl.SSLContext = SSLConnection(**options).ssl_context.get()  # type: ignore[arg-type]  # by option names
    return context


def _single(url: str, tls: ssl.SSLContext | None) -> RedisUrl:
    where = dict(parse_url(url))
    address = (
        Address(host="", port=0, path=str(where["path"]))
        if "path" in where
        else Address(host=str(where.get("host", "localhost")), port=int(str(where.get("port", REDIS_PORT))))
    )
    if urlsplit(url).scheme == "unix" and not address.path:
        raise ValueError("path")
    data = Endpoint(
        address=address,
        username=str(where.get("username", "")),
        password=str(where.get("password", "")),
        db=int(str(where.get("db") or 0)),
        tls=tls,
    )
    return RedisUrl(kind="single", seeds=(address,), data=data, sentinel=data)


def _many(kind: Kind, parts: SplitResult, options: dict[str, str], tls: ssl.SSLContext | None) -> RedisUrl:
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = login.partition(":")
    port = SENTINEL_PORT if kind == "sentinel" else REDIS_PORT
    seeds = tuple(_address(host, port) for host in hosts.split(","))
    service, _, db = unquote(parts.path).strip("/").partition("/")
    if kind == "cluster" and (service not in ("", "0") or db):
        raise ConfigError("TRILHA_REDIS_URL: a cluster has one database, and its URL no path")
    if kind == "sentinel" and not service:
        raise ConfigError(
            "TRILHA_REDIS_URL: name the service that the Sentinels watch: redis+sentinel://host:26379/SERVICE"
        )
    data = Endpoint(
        address=seeds[0],
        username=unquote(username),
        password=unquote(password),
        db=int(db or 0),
        tls=tls,
    )
    sentinel = replace(
        data,
        username=options.get("sentinel_username", ""),
        password=options.get("sentinel_password", ""),
        db=0,
    )
    return RedisUrl(
        kind=kind, seeds=seeds, data=data, sentinel=sentinel, service=service, replicas="replicas" in options
    )


def _address(given: str, port: int) -> Address:
    parts = urlsplit(f"//{given}")
    if not parts.hostname:
        raise ValueError("host")
    return Address(host=unquote(parts.hostname), port=parts.port or port)
