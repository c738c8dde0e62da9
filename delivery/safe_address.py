"""Where a webhook may be: the one form of its URL, and the addresses that a connection may go to (ADR 0023).

Everything here is pure. What is not plainly allowed is refused.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from domain.errors import ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
LONGEST_URL = 2000
LONGEST_HOST = 253
_PORTS = {"https": 443, "http": 80}
# One expression reads it, so that no two readers can differ about where the host ends.
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(?P<port>[0-9]{1,5}))?(?P<path>[/?][!-~]*)?"
)
_LABEL = re.compile(r"[0-9a-z_]([0-9a-z_-]{0,61}[0-9a-z_])?")
# As inet_aton reads them: 127.1, 2130706433, 0x7f.0.0.1, 0177.0.0.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_ENTRY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]+)(?::(?P<port>[0-9]{1,5}))?")


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(ip_network(part) for part in text.split())


# Where clouds give out credentials to whoever asks: AWS, Google, Azure and others (link-local), AWS over IPv6, Alibaba,
# Oracle, Azure's wire server. No webhook is there, whatever the operator allows.
_NEVER = _networks(
    "0.0.0.0/8 169.254.0.0/16 100.100.100.200/32 168.63.129.16/32 192.0.0.0/24 224.0.0.0/4 240.0.0.0/4"
    " ::/128 fe80::/10 fec0::/10 fd00:ec2::/32 fd20:ce::254/128 ff00::/8"
)
# IANA's special-purpose registries, as Python knows them, and what its versions disagree about. Of IPv6 only what is given
# out as global unicast counts: no mapped, translated (NAT64) or compatible form of an IPv4 address is in it.
_NOT_PUBLIC_V4 = _networks("100.64.0.0/10 192.88.99.0/24 198.18.0.0/15")
_PUBLIC_V6 = _networks("2000::/3")
_OURS_V6 = _networks("2000::/3 fc00::/7 ::1/128")
_NOT_PUBLIC_V6 = _networks("2001::/23 2001:db8::/32 2002::/16 3fff::/20")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A webhook's URL, read. host: a name in lower case, or an address without brackets. Its path may hold a secret."""

    scheme: Literal["https", "http"]
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def literal(self) -> Address | None:
        """The address that the URL itself names, if it does."""
        return _address(self.host)


class AllowedHosts:
    """Hosts of the operator's own network, each with one port or with all. ConfigError for what is no host."""

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._entries = {_entry(entry) for entry in entries}

    def has(self, target: Target) -> bool:
        """Whether the operator has named this place."""
        return not self._entries.isdisjoint({(target.host, None), (target.host, target.port)})


def parse_url(url: str) -> Target:
    """ConfigError says what is wrong with it, and shows nothing of it."""
    if len(url) > LONGEST_URL:
        raise ConfigError(f"the URL is longer than {LONGEST_URL} characters")
    if not all("!" <= character <= "~" for character in url):
        raise ConfigError(
            "the URL has characters beyond printable ASCII. Write others of a host as xn--…, of a path as %…"
        )
    scheme, _, rest = url.partition("://")
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        raise ConfigError("the URL has a user name in it. Calls are signed: none is needed")
    if "#" in url or "\\" in url:
        raise ConfigError("the URL has a `#` or a backslash in it")
    found = _URL.fullmatch(url)
    if found is None or scheme not in {"https", "http"}:
        raise ConfigError("the URL is not of the form https://host/path")
    path = found["path"] or "/"
    return Target(
        scheme="https" if scheme == "https" else "http",
        host=_host(found["host"]),
        port=_port(found["port"], _PORTS[scheme]),
        path=path if path.startswith("/") else f"/{path}",
    )


def may_connect(address: Address, *, allowed: bool) -> bool:
    """Whether a connection may go there: to public addresses, and to private ones of a host that the operator allows."""
    if _is_in(address, _NEVER):
        return False
    if isinstance(address, IPv6Address):
        return _is_in(address, _OURS_V6 if allowed else _PUBLIC_V6) and (
            allowed or not _is_in(address, _NOT_PUBLIC_V6)
        )
    return allowed or (address.is_global and not _is_in(address, _NOT_PUBLIC_V4))


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)


def _host(text: str) -> str:
    if text.startswith("["):
        address = _address(text[1:-1])
        if address is None:
            raise ConfigError("the URL's host is no IPv6 address")
        return str(address)
    host = text.lower()
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]) and _address(host) is None:
        raise ConfigError("the URL's host is a number. Write an address as 192.0.2.1")
    if len(host) > LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigError("the URL's host is no host name")
    return host


def _port(text: str | None, default: int) -> int:
    port = default if text is None else int(text)
    if not 1 <= port <= 65535:
        raise ConfigError("the URL's port is not one of 1 to 65535")
    return port


def _address(text: str) -> Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _entry(text: str) -> tuple[str, int | None]:
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise ConfigError(f"TRILHA_WEBHOOK_HOSTS: {text[:60]!r} is no host and no host:port")
    try:
        return _host(found["host"]), None if found["port"] is None else _port(found["port"], 0)
    except ConfigError:
        raise ConfigError(f"TRILHA_WEBHOOK_HOSTS: {text[:60]!r} is no host and no host:port") from None
