"""What Meta takes as it is, never hashed: the address, fbc and fbp. Each check says whether Meta would take it."""

import ipaddress
import re
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

_FBC = re.compile(r"fb\.\d{1,2}\.(\d{13})\.[A-Za-z0-9_-]{1,2000}(?:\.[A-Za-z0-9_-]{1,32})?", re.ASCII)
_FBP = re.compile(r"fb\.\d{1,2}\.(\d{13})\.\d{1,20}(?:\.[A-Za-z0-9_-]{1,32})?", re.ASCII)
"""13 digits: milliseconds. The last part is what Meta's own Parameter Builder adds to cookies."""
_FBC_DAYS = 97
"""The cookie that it may come from lives 90 days, and an event is late by 7 at most."""
_DAY_MS = 86_400_000
_AHEAD_MS = 60_000
_BLOCKS = tuple(
    ipaddress.ip_network(block)
    for block in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.168.0.0/16", "::/128", "::1/128", "fc00::/7", "fe80::/10"),
    )
)
"""Home, office, carrier and machine: the address of many or of nobody (RFC 1918, 6598, 4193, 4291)."""
_NOT_PUBLIC = tuple((block.network_address.packed, block.broadcast_address.packed) for block in _BLOCKS)
_MAPPED = bytes(10) + b"\xff\xff"
"""What an IPv4 address has before it when it is written as IPv6."""


def is_fbc(text: str, now_ms: int) -> bool:
    """`fb.1.MILLISECONDS.FBCLID`, not from the future nor older than a cookie can be."""
    return _is_stamped(_FBC.fullmatch(text), now_ms - _FBC_DAYS * _DAY_MS, now_ms + _AHEAD_MS)


def is_fbp(text: str, now_ms: int) -> bool:
    """`fb.1.MILLISECONDS.NUMBER`, not from the future. Browsers renew the cookie and keep its time, so it may be old."""
    return _is_stamped(_FBP.fullmatch(text), 10**12, now_ms + _AHEAD_MS)


def is_address(text: str) -> bool:
    """An IPv4 or IPv6 address in its usual form: no port, no zone, no IPv4 written as IPv6."""
    packed = _packed(text)
    return packed is not None and not packed.startswith(_MAPPED)


def public_address(text: str) -> str | None:
    """The address as Meta takes it, IPv4 as IPv4; None for what is none, or is not of the public Internet."""
    packed = _packed(text)
    if packed is None:
        return None
    packed = packed.removeprefix(_MAPPED)
    if any(len(packed) == len(first) and first <= packed <= last for first, last in _NOT_PUBLIC):
        return None
    return inet_ntop(AF_INET6 if len(packed) == 16 else AF_INET, packed)


def _packed(text: str) -> bytes | None:
    """The address as bytes. The C library reads one in a tenth of the time that `ipaddress` takes."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return None


def _is_stamped(found: re.Match[str] | None, first_ms: int, last_ms: int) -> bool:
    return found is not None and first_ms <= int(found[1]) <= last_ms
