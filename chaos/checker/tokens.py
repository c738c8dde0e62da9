"""What a deep link's token says, read without the product's code: see docs/reference/token.md."""

from __future__ import annotations

import base64
from dataclasses import dataclass

LENGTH = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Click id as 32 hex digits, ad key as 16."""

    click: str
    ad_key: str


def read(token: str) -> Read:
    """The ids in a token; whether its MAC is right is the daemon's business. ValueError for what is no token."""
    if len(token) != LENGTH:
        raise ValueError(f"a token has {LENGTH} characters, not {len(token)}")
    raw = base64.urlsafe_b64decode(token + "==")
    return Read(click=raw[6:22].hex(), ad_key=raw[22:30].hex())
