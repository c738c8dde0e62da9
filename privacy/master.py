"""The master secret: what wraps the keys that nodes share through SQL. It never leaves the key ring.

It wraps a day's keys under a key of that day, the end of a chain: each day's link is the HMAC of the link before it. A
ring keeps the link of the oldest day that is not destroyed, so nobody can go back: a row of a destroyed day, in an old
backup of SQL or a page that was freed, is closed for whoever has the ring too (docs/adr/0015).
"""

import hmac
from dataclasses import dataclass, field, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.ids import random_key, random_nonce
from domain.keys import SharedKey

KEY_BYTES = 32
MAX_DAYS = 40_000
_ID_BYTES = 8
_NONCE = 12


def derive(secret: bytes, purpose: bytes) -> bytes:
    """32 bytes of HKDF-SHA-256 (RFC 5869), another for each purpose."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"trilha " + purpose).derive(secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Master:
    """`fixed` wraps MAC keys, `chain` is the link of `day` (UTC days since the epoch). A later generation replaces an
    earlier one. `id` is no secret.
    """

    id: str
    generation: int
    fixed: bytes = field(repr=False)
    chain: bytes = field(repr=False)
    day: int

    @classmethod
    def fresh(cls, *, generation: int, day: int) -> "Master":
        """A new random one that can wrap from that day on."""
        name = random_key()[:_ID_BYTES].hex()
        return cls(id=name, generation=generation, fixed=random_key(), chain=random_key(), day=day)

    @classmethod
    def from_root(cls, root: bytes, *, day: int) -> "Master":
        """The one that every copy of a ring of format 1 has: made of its one secret, with a chain that began on day 0."""
        first = cls(
            id=derive(root, b"master id")[:_ID_BYTES].hex(),
            generation=0,
            fixed=derive(root, b"master, MAC keys"),
            chain=derive(root, b"master, period keys"),
            day=0,
        )
        return first.at(day)

    def at(self, day: int) -> "Master":
        """Moved forward to that day: what was wrapped for a day before it is closed from now on."""
        if day <= self.day:
            return self
        return replace(self, chain=self._link(day), day=day)

    def wrap(self, row: SharedKey, secret: bytes) -> SharedKey:
        """The row with the secret in it (AES-256-GCM; what the row says of itself is authenticated)."""
        nonce = random_nonce()
        cipher = AESGCM(self._key_of(row) or random_key())
        return row.wrapped_as(nonce + cipher.encrypt(nonce, secret, _said(row, self.id)), self.id)

    def unwrap(self, row: SharedKey) -> bytes | None:
        """The secret, or None: it is another master's, of a destroyed day, or altered."""
        key = self._key_of(row)
        if key is None or row.wrapped is None or row.master != self.id or len(row.wrapped) < _NONCE:
            return None
        nonce, body = row.wrapped[:_NONCE], row.wrapped[_NONCE:]
        try:
            return AESGCM(key).decrypt(nonce, body, _said(row, self.id))
        except InvalidTag:
            return None

    def _key_of(self, row: SharedKey) -> bytes | None:
        if row.kind == "mac":
            return derive(self.fixed, b"wrap")
        if not self.day <= row.number <= self.day + MAX_DAYS:
            return None
        return derive(self._link(row.number), b"wrap")

    def _link(self, day: int) -> bytes:
        link = self.chain
        for _ in range(day - self.day):
            link = hmac.digest(link, b"trilha next day", "sha256")
        return link


def _said(row: SharedKey, master: str) -> bytes:
    return f"trilha {row.kind} {row.number} {row.copy} {row.active_ms} {master}".encode()
