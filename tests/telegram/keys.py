"""The server's RSA key, which clients must know before they say a word."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyrogram.raw.core import Bytes

RAW_SIZE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerKey:
    """Modulus, private exponent and the file with the public half."""

    modulus: int
    exponent: int
    public_exponent: int
    public_file: Path

    @property
    def fingerprint(self) -> int:
        """By which clients choose it."""
        return fingerprint(self.modulus, self.public_exponent)

    def decrypt(self, encrypted: bytes) -> bytes:
        """What a client encrypted for this server: 255 bytes."""
        return pow(int.from_bytes(encrypted), self.exponent, self.modulus).to_bytes(RAW_SIZE)[1:]


def fingerprint(modulus: int, public_exponent: int) -> int:
    """The low 64 bits of the SHA-1 of the bare rsa_public_key, signed, as MTProto defines it."""
    return int.from_bytes(
        sha1(_string(modulus) + _string(public_exponent)).digest()[-8:], "little", signed=True
    )


def _string(number: int) -> bytes:
    return bytes(Bytes(number.to_bytes((number.bit_length() + 7) // 8)))


def read_public(file: Path) -> rsa.RSAPublicNumbers:
    """The numbers in a PEM file of a public key."""
    key = serialization.load_pem_public_key(file.read_bytes())
    assert isinstance(key, rsa.RSAPublicKey)
    return key.public_numbers()


def server_key(folder: Path) -> ServerKey:
    """The key kept in the folder: made if there is none, so that a server started again is the same to its clients."""
    folder.mkdir(parents=True, exist_ok=True)
    private_file, public_file = folder / "telegram.key", folder / "telegram.pub"
    private = _load(private_file) if private_file.exists() else _make(private_file)
    public_file.write_bytes(
        private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    numbers = private.private_numbers()
    return ServerKey(
        modulus=numbers.public_numbers.n,
        exponent=numbers.d,
        public_exponent=numbers.public_numbers.e,
        public_file=public_file,
    )


def _load(file: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _make(file: Path) -> rsa.RSAPrivateKey:
    key = rsa.generate_private_key(public_exponent=65537, key_size=RAW_SIZE * 8)
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return key
