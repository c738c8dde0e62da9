"""Sessions: a secret of 32 random bytes that only the browser has; SQL has its SHA-256."""

import hashlib
import hmac

from backends.sql.users import SqlUsers
from domain.ids import random_text
from domain.users import User

MOST_SECRET = 64


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, users: SqlUsers) -> None:
        self._users = users

    async def begin(self, user: User) -> str:
        """The secret of a new session: never one that was known before the sign-in."""
        secret = random_text()
        await self._users.open_session(user, _digest(secret))
        return secret

    async def whose(self, secret: str) -> User | None:
        """The user, if the session has not ended."""
        if not 0 < len(secret) <= MOST_SECRET:
            return None
        return await self._users.session(_digest(secret))

    async def end(self, secret: str) -> None:
        """It is nobody's any more."""
        await self._users.close_session(_digest(secret))

    async def others(self, user: User, secret: str) -> int:
        """How many more sessions of theirs are open than this one."""
        return await self._users.other_sessions(user, _digest(secret))

    async def end_others(self, user: User, secret: str) -> int:
        """End every session of theirs but this one; how many there were."""
        return await self._users.close_other_sessions(user, _digest(secret))


def form_token(secret: str) -> str:
    """What forms of a session carry: made of its secret, which no page elsewhere and no script can read."""
    return hmac.digest(secret.encode(), b"trilha form", "sha256").hex()


def is_form_token(secret: str, token: str) -> bool:
    """True for the session's own."""
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), token.encode())


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
