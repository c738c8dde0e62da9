"""API keys: the file holds names and SHA-256 hashes, never a key."""

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

from domain.errors import ConfigError
from domain.ids import random_text
from privacy.secret_file import alone, replace_text, stamp

_LINE = re.compile(r"[A-Za-z0-9_.-]{1,64}:[0-9a-f]{64}")


def make_api_key(path: Path, name: str) -> str:
    """A new key of that name, appended to the 0600 file as its hash. Returned once, never stored."""
    key = "trk_" + random_text()
    line = f"{name}:{_digest(key)}"
    if not _LINE.fullmatch(line):
        raise ConfigError("a key's name is 1-64 letters, digits, '_', '.' or '-'")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(path):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "a") as file:
            file.write(line + "\n")
    return key


def api_key_names(path: Path) -> list[str]:
    """Whose keys there are; a name stands there once for each of its keys. ConfigError when the file cannot be used."""
    return [name for name, _ in _read(path)]


def revoke_api_key(path: Path, name: str) -> int:
    """How many keys of that name there were: from now on they open nothing. ConfigError when there was none."""
    gone = 0
    if path.exists():
        with alone(path):
            held = _read(path)
            left = [(who, digest) for who, digest in held if who != name]
            gone = len(held) - len(left)
            if gone:
                replace_text(path, "".join(f"{who}:{digest}\n" for who, digest in left))
    if not gone:
        raise ConfigError(f"no API key is called {name!r}. See them all: trilha keys api-list")
    return gone


class ApiKeys:
    """The hashes in force. A file that has changed since is read again at `refresh`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = stamp(path)
        self._hashes = _hashes(path)

    def refresh(self) -> None:
        """Take over new keys, and let go of revoked ones; called in the background. ConfigError: what was known stays."""
        now = stamp(self._path)
        if now != self._stamp:
            self._hashes = _hashes(self._path)
            self._stamp = now

    def allows(self, authorization: str) -> bool:
        """True for `Bearer KEY` with a known key."""
        return self.known(authorization) is not None

    def known(self, authorization: str) -> str | None:
        """The hash of the key in `Bearer KEY`, if it is one of ours. Compared in constant time, against every hash."""
        scheme, _, key = authorization.partition(" ")
        digest = _digest(key)
        known = [hmac.compare_digest(digest, held) for held in self._hashes]
        return digest if scheme.lower() == "bearer" and any(known) else None


def _digest(key: str) -> str:
    return hashlib.sha256(key.strip().encode()).hexdigest()


def _hashes(path: Path) -> tuple[str, ...]:
    return tuple(digest for _, digest in _read(path))


def _read(path: Path) -> list[tuple[str, str]]:
    try:
        mode, text = path.stat().st_mode, path.read_text()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"the API key file {path} cannot be read: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"the API key file {path} can be read by others. Mend it with: chmod 600 {path}")
    lines = (line.partition(":") for line in text.splitlines() if _LINE.fullmatch(line))
    return [(name, digest) for name, _, digest in lines]
