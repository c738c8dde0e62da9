"""API keys: the file holds names and SHA-256 hashes, never a key."""

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

from domain.errors import ConfigError
from domain.ids import random_text

_LINE = re.compile(r"[A-Za-z0-9_.-]{1,64}:[0-9a-f]{64}")


def make_api_key(path: Path, name: str) -> str:
    """A new key of that name, appended to the 0600 file as its hash. Returned once, never stored."""
    key = "trk_" + random_text()
    line = f"{name}:{_digest(key)}"
    if not _LINE.fullmatch(line):
        raise ConfigError("a key's name is 1-64 letters, digits, '_', '.' or '-'")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "a") as file:
        file.write(line + "\n")
    return key


class ApiKeys:
    """The hashes in force. A file changed by `trilha keys api` is read again at `refresh`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._hashes: tuple[str, ...] = _read(path)

    def refresh(self) -> None:
        """Take over new keys; called in the background."""
        self._hashes = _read(self._path)

    def allows(self, authorization: str) -> bool:
        """True for `Bearer KEY` with a known key. Compared in constant time, against every hash."""
        scheme, _, key = authorization.partition(" ")
        digest = _digest(key)
        known = [hmac.compare_digest(digest, held) for held in self._hashes]
        return scheme.lower() == "bearer" and any(known)


def _digest(key: str) -> str:
    return hashlib.sha256(key.strip().encode()).hexdigest()


def _read(path: Path) -> tuple[str, ...]:
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"the API key file {path} cannot be read: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"the API key file {path} can be read by others. Mend it with: chmod 600 {path}")
    return tuple(line.partition(":")[2] for line in text.splitlines() if _LINE.fullmatch(line))
