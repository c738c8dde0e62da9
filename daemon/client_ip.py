"""The visitor's address: the rightmost hop of X-Forwarded-For that is not a proxy of ours.

Only a peer inside the trusted networks may name another address. What it names is validated; garbage gives None,
never the proxy's own address: a proxy's address taken for a visitor's makes all visitors one person.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

Network = IPv4Network | IPv6Network
MAX_HOPS = 16
MAX_TEXT = 64
MOST_PROXIES = 1024
_MAPPED = b"\0" * 10 + b"\xff\xff"


class ClientIp:
    """Finds the visitor's address behind the operator's proxies."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted = [
            (network.max_prefixlen // 8, int(network.netmask), int(network.network_address))
            for network in trusted
        ]
        # Peers that were found to be proxies, as they come again with every click.
        self._proxies: set[str] = set()

    def of(self, peer: str | None, forwarded: Sequence[bytes]) -> str | None:
        """The address in canonical form (IPv4-mapped IPv6 as IPv4), or None. `forwarded`: the headers in their order."""
        if forwarded and self.is_proxy(peer or ""):
            return self._walk(b",".join(forwarded).decode("latin-1"))
        address = parse_address(peer or "")
        return None if address is None else canonical(address)

    def is_proxy(self, peer: str) -> bool:
        """Whether this peer is a trusted proxy."""
        return peer in self._proxies or self._is_proxy(peer)

    def _is_proxy(self, peer: str) -> bool:
        address = parse_address(peer)
        trusted = address is not None and self._trusts(address)
        if trusted and len(self._proxies) < MOST_PROXIES:
            self._proxies.add(peer)
        return trusted

    def _walk(self, chain: str) -> str | None:
        hops = chain.rsplit(",", MAX_HOPS)
        if len(hops) > MAX_HOPS:
            return None
        address = None
        for hop in reversed(hops):
            address = parse_address(hop.strip())
            if address is None or not self._trusts(address):
                break
        # Where every hop is a proxy of ours, the request began inside: the first of them is all there is to know.
        return None if address is None else canonical(address)

    def _trusts(self, address: bytes) -> bool:
        number = int.from_bytes(address, "big")
        for size, mask, network in self._trusted:  # noqa: SIM110  any() of a generator takes twice as long
            if number & mask == network and len(address) == size:
                return True
        return False


def parse_address(text: str) -> bytes | None:
    """4 or 16 bytes of `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; else None.

    An IPv4 address that is mapped into IPv6 is taken for what it is.
    """
    try:
        return inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return _parse_other(text)


def canonical(address: bytes) -> str:
    """The one spelling of an address."""
    return inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)


def _parse_other(text: str) -> bytes | None:
    if len(text) > MAX_TEXT or "%" in text:
        return None
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(":" + port):
            return None
    try:
        address = inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return None
    return address[12:] if address.startswith(_MAPPED) else address


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6
