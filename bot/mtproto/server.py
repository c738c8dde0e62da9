"""Which Telegram a client talks to: Telegram's own, or a server of the operator's, for tests and demos."""

import inspect
from collections.abc import Mapping
from hashlib import sha1
from pathlib import Path
from typing import Any

import pyrogram
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pyrogram.connection import Connection
from pyrogram.connection import connection as connections
from pyrogram.crypto import rsa
from pyrogram.raw.core.primitives import Bytes

from domain.errors import ConfigError
from runtime.settings import Bind, Settings


def client_options(settings: Settings) -> Mapping[str, Any]:
    """What a Pyrogram client is told so that it reaches the server in force. ConfigError: an unusable key."""
    if settings.telegram_server is None:
        return {}
    if settings.telegram_server_key is None:
        raise ConfigError(
            "TRILHA_TELEGRAM_SERVER needs TRILHA_TELEGRAM_SERVER_KEY: the server's public RSA key"
        )
    _trust(_public_key(settings.telegram_server_key))
    return _leading_to(settings.telegram_server)


def accepts(option: str) -> bool:
    """True when this Pyrogram has the option; 2.0.106 lacks some."""
    return option in inspect.signature(pyrogram.Client.__init__).parameters


def _leading_to(at: Bind) -> Mapping[str, Any]:
    if accepts("connection_factory"):
        return {"connection_factory": _connection_to(at)}
    # Pyrogram 2.0.106 has no such option: it asks this name for an address.
    connections.DataCenter = lambda *_args, **_kwargs: (at.host, at.port)
    return {}


def _connection_to(at: Bind) -> type[Connection]:
    class ConnectionToServer(Connection):  # type: ignore[misc]  # untyped to us
        """Goes there, whatever data centre is asked for."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options | {"server_address": at.host, "port": at.port})

    return ConnectionToServer


def _public_key(file: Path) -> RSAPublicKey:
    try:
        key = load_pem_public_key(file.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"TRILHA_TELEGRAM_SERVER_KEY cannot be read: {type(error).__name__}") from None
    if not isinstance(key, RSAPublicKey):
        raise ConfigError("TRILHA_TELEGRAM_SERVER_KEY holds no RSA key")
    return key


def _trust(key: RSAPublicKey) -> None:
    """Under its fingerprint: the last 64 bits of the SHA-1 of both numbers, as TL writes bytes (core.telegram.org/mtproto)."""
    numbers = key.public_numbers()
    written = b"".join(Bytes(_big_endian(number)) for number in (numbers.n, numbers.e))
    fingerprint = int.from_bytes(sha1(written, usedforsecurity=False).digest()[-8:], "little", signed=True)
    rsa.server_public_keys[fingerprint] = rsa.PublicKey(numbers.n, numbers.e)


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
