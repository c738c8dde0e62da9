"""E-mail addresses as Meta compares them, and those that stand for nobody.

Checkouts and bots make addresses up where a person gave none. The digest of one matches nobody, and counts as an address
that was sent: the match quality that Meta shows would be wrong.
"""

import re

_ADDRESS = re.compile(r"([\w.!#$%&'*+/=?^`{|}~-]{1,64})@((?:[\w-]{1,63}\.)+[\w-]{2,63})")
_NOBODY = re.compile(
    r"(?:no|do-?not|nao)[._-]?(?:reply|responda|responder|email)[0-9]*|(?:sem|no)[._-]?e?-?mail"
)
_RESERVED = frozenset({
    "example", "home", "internal", "invalid", "lan", "local", "localdomain", "localhost", "onion", "test",
})  # fmt: skip
"""Top-level domains that nobody's mail goes to: RFC 2606, RFC 6761, RFC 6762, and what networks call themselves."""
_OTHERS = ("example.com", "example.net", "example.org", "home.arpa", "t.me", "telegram.me", "telegram.org")
_PREFIX = re.compile(r"(?:telegram|tg|user|usuario|id|chat|lead|cliente|client|customer)?[._-]?(?:id)?[._-]?")


def email_address(text: str, telegram_id: int | None) -> str | None:
    """The address, trimmed and in lower case; None when it is none, is reserved, or was made from this Telegram id."""
    found = _ADDRESS.fullmatch(text.strip().lower())
    if not found:
        return None
    local, domain = found[1], found[2]
    if _is_reserved(domain) or _NOBODY.fullmatch(local) or _is_made_of(local, telegram_id):
        return None
    return found[0]


def _is_reserved(domain: str) -> bool:
    return domain.rpartition(".")[2] in _RESERVED or any(f".{domain}".endswith(f".{end}") for end in _OTHERS)


def _is_made_of(local: str, telegram_id: int | None) -> bool:
    identifier = str(telegram_id)
    return local.endswith(identifier) and bool(_PREFIX.fullmatch(local.removesuffix(identifier)))
