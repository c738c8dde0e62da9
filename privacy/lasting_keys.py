"""A copy of those keys that may be kept with backups for as long as one likes: it opens nothing that was sealed.

It has the lasting key (tombstones of people, look-ups by fbclid, tokens of bots and of destinations) and the keys of tokens.
It has no master and no key of a day: with those, an old copy and an old backup together would open days that were
destroyed since (ADR 0015, 0038). Whoever restores from it begins new days.
"""

import base64
import json
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from domain.errors import ConfigError
from domain.ids import random_key, random_nonce
from privacy.keys import Keys, MacKey
from privacy.master import KEY_BYTES, derive

KIND = "trilha lasting keys 1"
# 128 MiB and half a second for each guess (RFC 7914; parameters as OWASP's sheet on password storage gives them).
COST, BLOCK, PARALLEL = 2**17, 8, 1
SHORTEST = 12


def fingerprint(keys: Keys) -> str:
    """Which installation a ring is of: the same in all its copies, and no secret."""
    return derive(keys.lasting, b"fingerprint")[:8].hex()


def sealed_copy(keys: Keys, passphrase: str) -> str:
    """The lasting keys of a ring as text, sealed under the passphrase. ConfigError when it is too short."""
    if len(passphrase) < SHORTEST:
        raise ConfigError(f"a passphrase has at least {SHORTEST} characters")
    salt, nonce = random_key(), random_nonce()
    said = {
        "lasting": _text(keys.lasting),
        "mac": {str(n): [_text(mac.key), mac.active_ms] for n, mac in sorted(keys.mac.items())},
    }
    box = AESGCM(_stretched(passphrase, salt))
    sealed = box.encrypt(nonce, json.dumps(said).encode(), KIND.encode())
    return json.dumps(
        {"kind": KIND, "salt": _text(salt), "nonce": _text(nonce), "sealed": _text(sealed)}, indent=1
    )


def opened_copy(text: str, passphrase: str, *, today: int) -> Keys:
    """A ring of those keys, with a master and keys of days of its own. ConfigError: no such copy, or another passphrase."""
    try:
        data = json.loads(text)
        # The kind is authenticated: a copy of another one does not open.
        box = AESGCM(_stretched(passphrase, _bytes(data["salt"])))
        said: Any = json.loads(
            box.decrypt(_bytes(data["nonce"]), _bytes(data["sealed"]), str(data["kind"]).encode())
        )
        lasting = _key(said["lasting"])
        mac = {int(n): MacKey(key=_key(key), active_ms=int(at)) for n, (key, at) in said["mac"].items()}
    except InvalidTag:
        raise ConfigError(
            "the passphrase is another one, or the copy of the keys was damaged or changed"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError("this is no copy of lasting keys") from None
    return replace(Keys.fresh(today), lasting=lasting, mac=mac)


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=COST, r=BLOCK, p=PARALLEL).derive(passphrase.encode())


def _key(text: str) -> bytes:
    key = _bytes(text)
    if len(key) != KEY_BYTES:
        raise ValueError("no key")
    return key


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
