"""The only source of randomness and of identifiers."""

import os
import secrets
import uuid
from collections.abc import Iterator
from struct import Struct
from typing import Any
from uuid import UUID

import msgspec

_UUID7 = Struct(">IHHQ")
_VERSION, _VERSION_REST = 0x7000, 0x0FFF
_VARIANT, _VARIANT_REST = 0b10 << 62, 0x3FFF_FFFF_FFFF_FFFF
# From its 16 bytes, as MessagePack has them: a sixth of the time that UUID(int=…) takes.
_uuid = msgspec.msgpack.Decoder(UUID).decode
_UUID_HEAD = b"\xc4\x10"


class _Random:
    """Pieces of one shape, cut from the operating system's random bytes: one system call serves 256 of them.

    No piece is given out twice: not to two threads (`next` is atomic), and not to a child that was forked.
    """

    __slots__ = ("_pieces", "_shape")

    def __init__(self, shape: str) -> None:
        self._shape = Struct(shape)
        self._pieces: Iterator[tuple[Any, ...]] = iter(())
        os.register_at_fork(after_in_child=self._forget)

    def take(self) -> tuple[Any, ...]:
        """The next piece."""
        piece = next(self._pieces, None)
        if piece is None:
            self._pieces = self._shape.iter_unpack(os.urandom(256 * self._shape.size))
            piece = next(self._pieces)
        return piece

    def _forget(self) -> None:
        self._pieces = iter(())


_ids = _Random(">HQ")
_nonces = _Random("12s")


class ClickIds:
    """Makes click ids: UUIDv7 (RFC 9562), so that they sort by time and carry their millisecond."""

    __slots__ = ()

    def new(self, at_ms: int) -> UUID:
        """A fresh id for a click at `at_ms` (UTC milliseconds since the epoch)."""
        high, low = _ids.take()
        return _uuid(
            _UUID_HEAD
            + _UUID7.pack(
                at_ms >> 16 & 0xFFFF_FFFF,
                at_ms & 0xFFFF,
                _VERSION | high & _VERSION_REST,
                _VARIANT | low & _VARIANT_REST,
            )
        )


def uuid7_of(at_ms: int, digest: bytes) -> UUID:
    """The same UUIDv7 of that millisecond for the same digest (10 bytes or more), always: 74 bits of it are in the id."""
    high, low = int.from_bytes(digest[:2], "big"), int.from_bytes(digest[2:10], "big")
    head, rest = at_ms >> 16 & 0xFFFF_FFFF, at_ms & 0xFFFF
    packed = _UUID7.pack(head, rest, _VERSION | high & _VERSION_REST, _VARIANT | low & _VARIANT_REST)
    return UUID(bytes=packed)


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
    nonce: bytes = _nonces.take()[0]
    return nonce


def random_text() -> str:
    """A URL-safe secret of 256 bits, for API keys."""
    return secrets.token_urlsafe(32)


def jitter(base: float, spread: float) -> float:
    """`base` moved by at most `spread` (a fraction) to either side, so that a herd does not march in step."""
    return base * (1 + spread * (secrets.randbelow(2001) - 1000) / 1000)
