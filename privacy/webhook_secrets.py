"""Secrets that calls of webhooks are signed with: sealed in SQL (privacy/secret_box.py), each bound to its webhook's name."""

from domain.errors import ConfigError
from domain.webhooks import Webhook
from privacy.keyring import Keyring
from privacy.secret_box import open_secret, seal_secret

SHORTEST, LONGEST = 32, 200
_FEWEST_DIFFERENT = 8


class WebhookSecrets:
    """Seals and opens them under the key ring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, secret: str, name: str) -> bytes:
        """The secret as SQL may have it."""
        return seal_secret(secret, self._keyring.destination_key(), _said(name))

    def of(self, webhook: Webhook) -> str | None:
        """The secret that its calls are signed with, or None: no key of ours opens it."""
        return open_secret(webhook.secret, self._keyring.destination_key(), _said(webhook.name))


def valid_secret(text: str) -> str:
    """A secret that nobody guesses, or ConfigError, which does not show what was given."""
    secret = text.strip()
    plain = all("!" <= character <= "~" for character in secret)
    if not plain or not SHORTEST <= len(secret) <= LONGEST or len(set(secret)) < _FEWEST_DIFFERENT:
        raise ConfigError(
            f"this is no secret to sign with: give {SHORTEST} to {LONGEST} random characters without spaces, "
            "such as `openssl rand -hex 32` makes, or none, and one is made"
        )
    return secret


def _said(name: str) -> str:
    return f"trilha webhook {name}"
