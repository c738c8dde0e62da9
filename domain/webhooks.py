"""Webhook: a place of the operator's own that conversions are posted to, beside Meta."""

import re
from dataclasses import dataclass, field

from domain.errors import ConfigError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook as SQL has it. secret: sealed under the key ring (privacy/webhook_secrets.py). Its URL may hold a secret too."""

    name: str
    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    created_at_ms: int


def valid_webhook_name(text: str) -> str:
    """A name, which lanes and metrics show; or ConfigError."""
    if not _NAME.fullmatch(text):
        raise ConfigError(
            "not a name of a webhook: write 1 to 40 of a-z, 0-9 and -, beginning with a letter or digit"
        )
    return text
