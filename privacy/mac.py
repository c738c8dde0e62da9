"""Mac: HMAC-SHA-256 (RFC 2104) under one key, with the key's two padded blocks hashed once.

The redirect makes three of them for every click. `hmac.digest` prepares the key anew each time and takes five times as
long (4.0 against 0.8 µs); the result is the same, and a test holds it equal to `hmac.digest` and to the vectors of RFC 4231.
"""

import hashlib

_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class Mac:
    """A key, ready for use. `of` gives 32 bytes; compare them with `hmac.compare_digest` only."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        padded = (key if len(key) <= _BLOCK else hashlib.sha256(key).digest()).ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(padded.translate(_INNER))
        self._outer = hashlib.sha256(padded.translate(_OUTER))

    def of(self, message: bytes) -> bytes:
        """HMAC-SHA-256 of the message."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
