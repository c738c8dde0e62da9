"""What the page of explanations asks: a port, filled by cli/explain_desk.py; and what somebody typed into its one box."""

import re
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from analytics.explain.facts import Facts
from domain.people import telegram_id_of

Kind = Literal["token", "person", "order"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST = 2000
_IN_A_LINK = re.compile(r"(?:[?&]start=|^/start(?:@\w+)?\s+)([A-Za-z0-9_-]{1,64})")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{60,64}")


class Explains(Protocol):
    """Asks every store. ConfigError for what can be no such thing; StoreUnavailable is told in the facts."""

    async def token(self, token: str) -> Facts:
        """Of a token's click."""
        ...

    async def person(self, telegram_id: int) -> Facts:
        """Of a person, in every bot."""
        ...

    async def order(self, order_id: str) -> Facts:
        """Of an order, in every bot."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """What is looked for. `guessed`: nobody said that it is of this kind."""

    kind: Kind
    value: str
    guessed: bool


def sought(text: str, kind: str) -> Sought | None:
    """What the text is, or what it is said to be; None for an empty one. Of a link to Telegram the token is taken."""
    words = text.strip()[:LONGEST]
    found = _IN_A_LINK.search(words)
    if not words:
        return None
    for known in KINDS:
        if kind == known:
            value = found[1] if found and known == "token" else words
            return Sought(kind=known, value=value, guessed=False)
    if found:
        return Sought(kind="token", value=found[1], guessed=True)
    if telegram_id_of(words) is not None:
        return Sought(kind="person", value=words, guessed=True)
    return Sought(kind="token" if _TOKEN.fullmatch(words) else "order", value=words, guessed=True)
