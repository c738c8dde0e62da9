"""Folders of ours, and locks in them."""

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import IO

from domain.errors import ConfigError, StoreUnavailable


class FolderLock:
    """A file that one process holds for as long as it lives; freed by its death, `kill -9` included.

    ConfigError while another process holds it; StoreUnavailable when there can be no such file: no room, no descriptor.
    """

    def __init__(self, path: Path, in_use: str) -> None:
        private_folder(path.parent)
        self._file: IO[str] = _opened(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ConfigError(f"{path.parent} is in use by {in_use}") from None

    @classmethod
    def if_free(cls, path: Path) -> "FolderLock | None":
        """The lock, or None while another process holds it."""
        try:
            return cls(path, "another process")
        except ConfigError:
            return None

    def release(self) -> None:
        """Let another process have it."""
        self._file.close()


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a+")
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error


def private_folder(path: Path) -> Path:
    """A folder of ours alone: made 0700; ConfigError when it is a link, another user's, or open to others."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTDIR, errno.ELOOP}:
            raise ConfigError(f"{path} is not a folder") from None
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ConfigError(f"{path} must be a folder of this user's, not a link or another's")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigError(f"{path} is open to others. Mend it with: chmod 700 {path}")
    return path
