"""Passwords of the dashboard's users: Argon2id (RFC 9106), with the parameters that its library recommends."""

import asyncio

from domain.errors import ConfigError

SHORTEST, LONGEST = 12, 1024
EXTRA = "the dashboard is not installed: pip install 'trilha[dashboard]'"


class Passwords:
    """Hashes and checks, in a thread: 50 ms and 64 MiB each, two at once at most. ConfigError: not installed."""

    def __init__(self) -> None:
        try:
            from argon2 import PasswordHasher
        except ModuleNotFoundError:
            raise ConfigError(EXTRA) from None
        self._hasher = PasswordHasher()
        self._turn = asyncio.Semaphore(2)
        # What a name that nobody has is checked against, so that the answer takes as long.
        self._nobody: str | None = None

    async def hash(self, password: str) -> str:
        """The hash of a valid password, in its own encoding."""
        async with self._turn:
            return await asyncio.to_thread(self._hasher.hash, valid_password(password))

    async def matches(self, password: str, hashed: str | None) -> bool:
        """True when it is that hash's. None, a user that there is not, takes as long as any and is False."""
        async with self._turn:
            return await asyncio.to_thread(self._verify, password[:LONGEST], hashed)

    def outdated(self, hashed: str) -> bool:
        """True when its parameters are not those of today."""
        return self._hasher.check_needs_rehash(hashed)

    def _verify(self, password: str, hashed: str | None) -> bool:
        from argon2.exceptions import Argon2Error, InvalidHashError

        if self._nobody is None:
            self._nobody = self._hasher.hash("nobody")
        try:
            self._hasher.verify(hashed or self._nobody, password)
            return hashed is not None
        except (Argon2Error, InvalidHashError):
            return False


def valid_password(text: str) -> str:
    """The password, or ConfigError: 12 to 1024 characters, of any kind."""
    if not SHORTEST <= len(text) <= LONGEST:
        raise ConfigError(f"a password has {SHORTEST} to {LONGEST} characters. A few random words do well")
    return text
