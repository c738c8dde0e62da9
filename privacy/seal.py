"""Sealed: what only Meta's Conversions API needs, under the key of its day (AES-256-GCM).

byte 0       format (1)
bytes 1-4    period, UTC days since the epoch
bytes 5-16   nonce
the rest     ciphertext and tag; the click id is authenticated with it, so a blob cannot move to another click
"""

from collections.abc import Iterator
from contextlib import suppress
from struct import Struct
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.ids import random_nonce
from privacy.keyring import Keyring

_FORMAT = 1
_HEAD = Struct(">BI")
_NONCE = 12


class Original(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The raw data of a visit, as it came. Exists outside memory only sealed."""

    ip: str = ""
    user_agent: str = ""
    fbclid: str = ""
    fbc: str = ""
    fbp: str = ""
    referer: str = ""

    def __repr__(self) -> str:
        """Names nothing."""
        return "Original(…)"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Original).decode


class Sealer:
    """Seals and opens originals."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._ciphers: tuple[int, bytes, AESGCM] | None = None

    def seal(self, original: Original, click_id: UUID, period: int) -> bytes | None:
        """The blob, or None when the ring has no key for that period: then nothing raw is kept at all."""
        cipher = self._cipher(period)
        if cipher is None:
            return None
        nonce = random_nonce()
        head = _HEAD.pack(_FORMAT, period)
        return head + nonce + cipher.encrypt(nonce, _encode(original), head + click_id.bytes)

    def open(self, blob: bytes, click_id: UUID) -> Original | None:
        """The original, or None: its key is destroyed, or the blob is not this click's."""
        if len(blob) < _HEAD.size + _NONCE or blob[0] != _FORMAT:
            return None
        nonce_at, body_at = _HEAD.size, _HEAD.size + _NONCE
        head, nonce, body = blob[:nonce_at], blob[nonce_at:body_at], blob[body_at:]
        period = _HEAD.unpack(head)[1]
        for cipher in self._opening(period):
            with suppress(InvalidTag, msgspec.MsgspecError):
                return _decode(cipher.decrypt(nonce, body, head + click_id.bytes))
        return None

    def readable(self, blob: bytes) -> bool:
        """Whether the key of its day is still there. Nothing is opened."""
        if len(blob) < _HEAD.size + _NONCE or blob[0] != _FORMAT:
            return False
        return self._keyring.period_keys(_HEAD.unpack(blob[: _HEAD.size])[1]) is not None

    def _opening(self, period: int) -> Iterator[AESGCM]:
        cipher = self._cipher(period)
        if cipher is None:
            return
        yield cipher
        keys = self._keyring.period_keys(period)
        for alternate in keys.alternates if keys else ():
            yield AESGCM(alternate)

    def _cipher(self, period: int) -> AESGCM | None:
        keys = self._keyring.period_keys(period)
        if keys is None:
            return None
        held = self._ciphers
        if held is None or held[0] != period or held[1] is not keys.seal:
            held = self._ciphers = (period, keys.seal, AESGCM(keys.seal))
        return held[2]
