"""Access tokens of pixels and the secrets of their apps: sealed in SQL (privacy/secret_box.py), each bound to its pixel."""

import re
from dataclasses import dataclass, field
from typing import Literal

from domain.errors import ConfigError
from domain.pixels import SealedCredentials
from privacy.keyring import Keyring
from privacy.secret_box import open_secret, seal_secret

TokenState = Literal["sealed", "unreadable", "none"]
# Meta promises neither a length nor an alphabet; tokens begin with EAA and have some 200 characters, those of apps have
# a `|` in them. Beside that, whatever a bearer token may have in a header (RFC 6750) is taken. Refused is the rest, as what
# came along when it was copied, and what was cut off.
_TOKEN = re.compile(r"[A-Za-z0-9_|.~+/=-]{20,512}")
# 32 hexadecimal digits today.
_APP_SECRET = re.compile(r"[A-Za-z0-9]{16,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What Meta asks of whoever sends to a pixel: an access token and, where its app requires a proof, the app's secret."""

    token: str = field(repr=False)
    app_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldCredentials:
    """A pixel's credentials. None: there are none, or no key of ours opens them (`unreadable`)."""

    state: TokenState
    credentials: Credentials | None = None


class PixelTokens:
    """Seals and opens the credentials of pixels under the key ring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, pixel: str, given: Credentials) -> SealedCredentials:
        """The credentials as SQL may have them."""
        key = self._keyring.destination_key()
        secret = given.app_secret
        return SealedCredentials(
            token=seal_secret(given.token, key, _token_of(pixel)),
            app_secret=None if secret is None else seal_secret(secret, key, _app_secret_of(pixel)),
        )

    def open(self, pixel: str, sealed: SealedCredentials) -> HeldCredentials:
        """The credentials that the pixel is sent to with. Without its secret, a token would be refused: both open, or neither."""
        if sealed.token is None:
            return HeldCredentials(state="none")
        key = self._keyring.destination_key()
        token = open_secret(sealed.token, key, _token_of(pixel))
        secret = None
        if sealed.app_secret is not None:
            secret = open_secret(sealed.app_secret, key, _app_secret_of(pixel))
        if token is None or (secret is None and sealed.app_secret is not None):
            return HeldCredentials(state="unreadable")
        return HeldCredentials(state="sealed", credentials=Credentials(token=token, app_secret=secret))


def valid_access_token(text: str) -> str:
    """An access token as Meta's Events Manager gives it, or ConfigError, which does not show what was given."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise ConfigError(
            "this is no access token of Meta's: one word of 20 to 512 letters, digits and `_|.~+/=-`, "
            "which begins with EAA. Events Manager makes one under Settings, Conversions API"
        )
    return token


def valid_app_secret(text: str) -> str:
    """The secret of a Meta app, or ConfigError, which does not show what was given."""
    secret = text.strip()
    if not _APP_SECRET.fullmatch(secret):
        raise ConfigError(
            "this is no app secret of Meta's: developers.facebook.com shows it under App settings, Basic, "
            "as 32 characters of 0-9 and a-f"
        )
    return secret


def _token_of(pixel: str) -> str:
    return f"trilha pixel token {pixel}"


def _app_secret_of(pixel: str) -> str:
    return f"trilha pixel app secret {pixel}"
