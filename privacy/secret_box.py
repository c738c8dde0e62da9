"""Secrets as SQL may have them: sealed (AES-256-GCM) under a lasting key of the ring, each bound to what it is for.

byte 0       format (1)
bytes 1-12   nonce
the rest     ciphertext and tag; what the secret is for is authenticated with it, so it cannot move to another place
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.ids import random_nonce

_FORMAT = b"\x01"
_NONCE = 12


def seal_secret(text: str, key: bytes, what_for: str) -> bytes:
    """The secret, sealed."""
    nonce = random_nonce()
    return _FORMAT + nonce + AESGCM(key).encrypt(nonce, text.encode(), what_for.encode())


def open_secret(sealed: bytes, key: bytes, what_for: str) -> str | None:
    """The secret, or None: another key's, another place's, or no sealed secret at all."""
    if sealed[:1] != _FORMAT or len(sealed) <= 1 + _NONCE:
        return None
    nonce, body = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
    try:
        return AESGCM(key).decrypt(nonce, body, what_for.encode()).decode()
    except (InvalidTag, UnicodeDecodeError):
        return None
