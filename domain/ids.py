"""The only source of randomness and of identifiers."""

import os
import secrets
import uuid
from uuid import UUID

_TIME = 0xFFFF_FFFF_FFFF << 80
_RANDOM = 0xFFF << 64 | 0x3FFF_FFFF_FFFF_FFFF
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62


class ClickIds:
    """Makes click ids: UUIDv7 (RFC 9562), so that they sort by time and carry their millisecond."""

    __slots__ = ()

    def new(self, at_ms: int) -> UUID:
        """A fresh id for a click at `at_ms` (UTC milliseconds since the epoch)."""
        random = int.from_bytes(os.urandom(10), "big")
        return UUID(int=(at_ms << 80 & _TIME) | _VERSION_AND_VARIANT | (random & _RANDOM))


def uuid7_ms(identifier: UUID) -> int:
    """The UTC millisecond a UUIDv7 was made in."""
    return identifier.int >> 80


def first_uuid7(at_ms: int) -> UUID:
    """The smallest id a click of that millisecond can have: the bound of a time range over click ids."""
    return UUID(int=(at_ms & 0xFFFF_FFFF_FFFF) << 80)


def named_uuid(namespace: str, name: str) -> UUID:
    """The same id for the same name, always (UUIDv5): what makes a repeated start or event one row."""
    return uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, f"trilha:{namespace}"), name)


def random_uuid() -> UUID:
    """An id without meaning."""
    return uuid.uuid4()


def random_key() -> bytes:
    """32 bytes from the operating system, for use as a key."""
    return secrets.token_bytes(32)


def random_nonce() -> bytes:
    """12 bytes from the operating system, the nonce of one AES-GCM message."""
    return os.urandom(12)


def random_text() -> str:
    """A URL-safe secret of 256 bits, for API keys."""
    return secrets.token_urlsafe(32)


def jitter(base: float, spread: float) -> float:
    """`base` moved by at most `spread` (a fraction) to either side, so that a herd does not march in step."""
    return base * (1 + spread * (secrets.randbelow(2001) - 1000) / 1000)
