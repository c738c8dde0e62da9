"""Addresses as numbers, and which of them can be anywhere at all."""

import socket
from bisect import bisect_right
from ipaddress import IPv4Network, ip_network

MAPPED = 0xFFFF  # ::ffff:a.b.c.d, an IPv4 address as an IPv6 socket shows it

# IANA's special-purpose registries: private, shared (carrier NAT), loopback, link-local, documentation, multicast …
_NOWHERE = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
)  # fmt: skip
_STARTS = [int(IPv4Network(network).network_address) for network in _NOWHERE]
_ENDS = [int(IPv4Network(network).broadcast_address) for network in _NOWHERE]
_DOCUMENTATION = int(ip_network("2001:db8::").network_address) >> 96


def public_number(ip: str) -> tuple[int, int] | None:
    """A public address as a number, and its bits: 32 or 128. None for what is no address, or nowhere in particular."""
    try:
        if ":" not in ip:
            return _public4(int.from_bytes(socket.inet_pton(socket.AF_INET, ip), "big"))
        number = int.from_bytes(socket.inet_pton(socket.AF_INET6, ip), "big")
    except (OSError, ValueError, TypeError):
        return None
    if number >> 32 == MAPPED:
        return _public4(number & 0xFFFF_FFFF)
    # Global unicast is 2000::/3 (RFC 4291); the rest is private, link-local, multicast or not given out.
    return (number, 128) if number >> 125 == 1 and number >> 96 != _DOCUMENTATION else None


def _public4(number: int) -> tuple[int, int] | None:
    place = bisect_right(_STARTS, number) - 1
    return None if place >= 0 and number <= _ENDS[place] else (number, 32)
