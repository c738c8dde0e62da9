"""User: a person of the operator's who may use the dashboard."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from domain.errors import ConfigError

Role = Literal["owner", "analyst", "dpo"]
"""owner: everything. analyst: figures and links. dpo: what concerns personal data."""
ROLES: tuple[Role, ...] = get_args(Role)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who has signed in, or may."""

    id: int
    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedUser:
    """A user as the operator sees it; times are UTC milliseconds. `seen_ms`: the last request of a session that is open."""

    user: User
    created_ms: int
    sessions: int
    seen_ms: int | None


def names_beside(detail: Mapping[str, object], names: Mapping[int, str]) -> dict[str, str]:
    """The names of the users whose numbers a line of the audit has: `user` who did it, `whom` it was done to. Who was removed
    has none.
    """
    numbers = ((key, detail.get(key)) for key in ("user", "whom"))
    return {key: names[number] for key, number in numbers if isinstance(number, int) and number in names}


def valid_user_name(text: str) -> str:
    """The name, or ConfigError: 1-64 letters, digits, `.`, `_`, `@` and `-`, starting with a letter or digit."""
    if not _NAME.fullmatch(text):
        raise ConfigError(
            f"not a user's name: {text!r}. Use 1-64 letters, digits, '.', '_', '@' and '-', starting with a letter or digit"
        )
    return text
