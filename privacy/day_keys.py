"""Day keys of a store of its own: a 0600 JSON file with one random 32-byte key a UTC day.

Destroying a day's key makes what it encrypted unreadable in every copy of the store. A key is made when its day is first
written to, and never again: the caller says which days may still be.
"""

import base64
import json
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from domain.errors import ConfigError, StoreUnavailable
from domain.ids import random_key
from privacy.secret_file import Stamp, alone, replace_text, stamp

KEY_BYTES = 32
FORMAT = 1


class DayKeys:
    """The file as one process sees it; read again when another process has changed it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._keys: Mapping[int, bytes] = {}

    def get(self, day: int) -> bytes | None:
        """The key of that UTC day, or None. ConfigError: the file is damaged or open to others."""
        self._refresh()
        return self._keys.get(day)

    def days(self) -> list[int]:
        """The days that have a key."""
        self._refresh()
        return sorted(self._keys)

    def get_or_make(self, day: int) -> bytes:
        """The key of that day, made if there is none. ConfigError as above; StoreUnavailable: it cannot be written."""
        return self.get(day) or self._make(day)

    def destroy_before(self, day: int) -> list[int]:
        """Destroy the keys of all earlier days, and say which. They are off the file once this returns."""
        with self._changing():
            gone = [held for held in self._keys if held < day]
            if gone:
                self._write({held: key for held, key in self._keys.items() if held >= day})
        return sorted(gone)

    def _make(self, day: int) -> bytes:
        with self._changing():
            if day not in self._keys:
                self._write({**self._keys, day: random_key()})
            return self._keys[day]

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone with the file, as it is now."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(self._path):
                self._refresh()
                yield
        except OSError as error:
            raise StoreUnavailable(f"{self._path} cannot be written: {error.strerror}") from error

    def _refresh(self) -> None:
        seen = stamp(self._path)
        if seen != self._stamp:
            self._keys, self._stamp = _read(self._path), seen

    def _write(self, keys: Mapping[int, bytes]) -> None:
        days = {str(day): base64.b64encode(key).decode() for day, key in sorted(keys.items())}
        replace_text(self._path, json.dumps({"format": FORMAT, "days": days}, indent=1))
        self._keys, self._stamp = keys, stamp(self._path)


def _read(path: Path) -> dict[int, bytes]:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigError(f"the key file {path} cannot be read: {type(error).__name__}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"the key file {path} can be read by others. Mend it with: chmod 600 {path}")
    try:
        return _from_json(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"the key file {path} is damaged. Restore it from a backup") from None


def _from_json(text: str) -> dict[int, bytes]:
    data = json.loads(text)
    if data["format"] != FORMAT:
        raise ValueError
    keys = {int(day): base64.b64decode(key, validate=True) for day, key in data["days"].items()}
    if any(len(key) != KEY_BYTES for key in keys.values()):
        raise ValueError
    return keys
