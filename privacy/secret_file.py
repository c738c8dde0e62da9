"""Files that hold keys: 0600, changed by one process at a time, put in place at once, and overwritten when they go."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from domain.errors import ConfigError

Stamp = tuple[int, int]


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Be the only one on this machine that changes the file. Raises OSError."""
    with path.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stamp(path: Path) -> Stamp:
    """Changes whenever the file does; the same for every file that is not there."""
    with suppress(OSError):
        found = path.stat()
        return found.st_mtime_ns, found.st_ino
    return 0, 0


def replace_text(path: Path, text: str) -> None:
    """Put the text in the file's place at once, and overwrite what was there: it may hold keys that are destroyed now.

    A disk that writes elsewhere than it read (SSD, copy on write, snapshots) may keep the old blocks all the same.
    """
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    with _overwritten_at_the_end(path):
        draft.replace(path)
        _sync_folder(path.parent)


def private_text(path: Path, what: str) -> str:
    """What a file that an operator wrote holds; ConfigError when it cannot be read, or others than its owner may."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{what} {path} is no text") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{what} {path} can be read by others. Mend it with: chmod 600 {path}")
    return text


@contextmanager
def _overwritten_at_the_end(path: Path) -> Iterator[None]:
    """What the path names now is overwritten once something else has taken its place; not if it has a second name."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except OSError:
        yield
        return
    try:
        yield
        found = os.fstat(handle)
        if found.st_nlink == 0:
            os.write(handle, bytes(found.st_size))
            os.fsync(handle)
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    """So that the new name is what is there after a power cut: a destroyed key does not come back."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
