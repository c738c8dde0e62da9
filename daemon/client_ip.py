"""The visitor's address: the rightmost hop of X-Forwarded-For that is not a proxy of ours.

Only a peer inside the trusted networks may name another address. What it names is validated; garbage gives None,
never the proxy's own address: a proxy's address taken for a visitor's makes all visitors one person.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
MAX_HOPS = 16


class ClientIp:
    """Finds the visitor's address behind the operator's proxies."""

    def __init__(self, trusted: Iterable[Network]) -> None:
        self._trusted: Sequence[Network] = tuple(trusted)

    def of(self, peer: str | None, forwarded: Sequence[bytes]) -> str | None:
        """The address in canonical form (IPv4-mapped IPv6 as IPv4), or None. `forwarded`: the headers in their order."""
        address = parse_address(peer or "")
        if address is None or not forwarded or not self._trusts(address):
            return None if address is None else str(address)
        return self._walk(b",".join(forwarded))

    def _walk(self, chain: bytes) -> str | None:
        hops = chain.rsplit(b",", MAX_HOPS)
        if len(hops) > MAX_HOPS:
            return None
        address = None
        for hop in reversed(hops):
            address = parse_address(hop.decode("latin-1").strip())
            if address is None or not self._trusts(address):
                break
        # Where every hop is a proxy of ours, the request began inside: the first of them is all there is to know.
        return None if address is None else str(address)

    def _trusts(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)


def parse_address(text: str) -> Address | None:
    """The address of `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; else None."""
    if len(text) > 64 or "%" in text:
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
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit() and len(text) <= 6
