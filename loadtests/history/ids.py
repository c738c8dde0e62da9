"""Identifiers as the product makes them, from the history's own randomness, as 32 hexadecimal digits."""

from __future__ import annotations

import hashlib
import uuid

_EVENTS = uuid.uuid5(uuid.NAMESPACE_URL, "trilha:event").bytes
_LOW = (1 << 62) - 1


def uuid7(at_ms: int, bits: int) -> str:
    """A UUIDv7 of that millisecond, with 74 random bits."""
    return f"{at_ms:012x}7{bits >> 62:03x}{bits & _LOW | 2 << 62:016x}"


def event_id(name: str) -> str:
    """The UUIDv5 of an event's name: the one that the product would give it."""
    digest = bytearray(hashlib.sha1(_EVENTS + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return digest.hex()


def dashed(hexes: str) -> str:
    """As UUIDs are written in names."""
    return f"{hexes[:8]}-{hexes[8:12]}-{hexes[12:16]}-{hexes[16:20]}-{hexes[20:]}"
