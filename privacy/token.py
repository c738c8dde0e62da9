"""ClickToken: what travels in the deep link. 46 bytes, base64url without padding, 62 characters.

    byte 0       version (high four bits, now 1) and MAC key id (low four bits)
    bytes 1-2    node that minted it
    bytes 3-5    link id
    bytes 6-21   click id, a UUIDv7
    bytes 22-29  ad key
    bytes 30-45  HMAC-SHA-256 over bytes 0-29, first 16 bytes

Big-endian throughout. No personal data is in it (ADR 0003). Test vectors: docs/reference/token.md.
"""

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal
from uuid import UUID

from msgspec import Struct

from domain.attribution import ClickRef
from domain.click import Ad
from domain.clock import Clock
from domain.errors import ConfigError, InvalidToken
from domain.ids import uuid7_ms
from privacy.keyring import Keyring

VERSION = 1
LENGTH = 62
_BODY = 30
_MAC = 16
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_SHAPE = re.compile(r"[A-Za-z0-9_-]{62}")
DAY_MS = 86_400_000
CLOCK_SKEW_MS = 3_600_000


class ClickToken(Struct, frozen=True):
    """A minted token. Its repr hides it: whoever holds the text can redeem the click."""

    text: str

    def __repr__(self) -> str:
        """Names nothing."""
        return "ClickToken(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFault:
    """Why a token is refused. other_key: it names a MAC key that this ring does not have. expired: it is ours, of a click at
    `at_ms` (UTC milliseconds), which is too long ago or, by this machine's clock, yet to come.
    """

    kind: Literal["malformed", "other_key", "forged", "expired"]
    at_ms: int | None = None


class Minter:
    """Mints tokens at the redirect, and verifies them offline. Costs no I/O."""

    def __init__(self, keyring: Keyring, clock: Clock, *, node: int, attribution_days: int) -> None:
        if not 0 <= node <= 0xFFFF:
            msg = f"node must be 0 to 65535, not {node}"
            raise ConfigError(msg)
        self._keyring = keyring
        self._clock = clock
        self._node = node
        self._window_ms = attribution_days * DAY_MS

    def mint(self, click_id: UUID, link_id: int, ad_key: bytes) -> ClickToken:
        """The token of a click: the same click, link and ad always give the same token under one MAC key."""
        key_id, key = self._keyring.mac_key()
        head = VERSION << 60 | key_id << 56
        body = (head | self._node << 40 | link_id << 16).to_bytes(8, "big")[:6] + click_id.bytes + ad_key
        return ClickToken(_encode(body + self._keyring.mac(key).of(body)[:_MAC]))

    def verify(self, text: str) -> ClickRef:
        """What the token says, or InvalidToken (malformed, forged, expired). No store is asked (I5)."""
        raw = _decode(text)
        body, mac = raw[:_BODY], raw[_BODY:]
        key = self._keyring.mac_key_by_id(body[0] & 0x0F)
        # An unknown key id is compared against a MAC too, so that it takes the time of a wrong one.
        expected = self._keyring.mac(key or b"\0" * 32).of(body)[:_MAC]
        if not hmac.compare_digest(expected, mac) or key is None:
            raise InvalidToken("forged")
        click_id = UUID(bytes=body[6:22])
        age = self._clock.now_ms() - uuid7_ms(click_id)
        if not -CLOCK_SKEW_MS <= age <= self._window_ms:
            raise InvalidToken("expired")
        return ClickRef(
            id=click_id,
            link_id=int.from_bytes(body[3:6], "big"),
            node=int.from_bytes(body[1:3], "big"),
            ad_key=body[22:30],
        )

    def fault(self, text: str) -> TokenFault | None:
        """What is wrong with a token, for the operator; None: nothing. Nobody else is told. Costs no I/O."""
        try:
            self.verify(text)
        except InvalidToken as refused:
            if refused.reason == "malformed":
                return TokenFault(kind="malformed")
            raw = _decode(text)
            if self._keyring.mac_key_by_id(raw[0] & 0x0F) is None:
                return TokenFault(kind="other_key")
            if refused.reason == "forged":
                return TokenFault(kind="forged")
            return TokenFault(kind="expired", at_ms=uuid7_ms(UUID(bytes=raw[6:22])))
        return None


@lru_cache(maxsize=4096)
def ad_key(ad: Ad) -> bytes:
    """8 bytes: BLAKE2b over the five names, each after its length, so that no two ads run together."""
    digest = hashlib.blake2b(digest_size=8)
    for name in (ad.source, ad.campaign, ad.medium, ad.content, ad.term):
        raw = name.encode()
        digest.update(len(raw).to_bytes(4, "big") + raw)
    return digest.digest()


def looks_like_token(text: str) -> bool:
    """True for anything of a token's length and alphabet; says nothing about its MAC."""
    return _SHAPE.fullmatch(text) is not None


def _encode(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False)[:LENGTH].translate(_URL_SAFE).decode("ascii")


def _decode(text: str) -> bytes:
    if not looks_like_token(text):
        raise InvalidToken("malformed")
    try:
        raw = base64.urlsafe_b64decode(text + "==")
    except (binascii.Error, ValueError):
        raise InvalidToken("malformed") from None
    # 62 characters hold 4 bits more than 46 bytes: only the spelling we mint is a token.
    if _encode(raw) != text or raw[0] >> 4 != VERSION:
        raise InvalidToken("malformed")
    return raw
