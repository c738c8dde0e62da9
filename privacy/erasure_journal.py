"""The journal of erasures: beside the key ring, outside the backups, so that a backup that is restored brings nobody back.

A line for each erasure: the digest of the person (`Keyring.person_key`, 32 hexadecimal digits) and when it was, UTC
milliseconds. SQL has the same digests; what this file adds is that it is not as old as a backup of SQL.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from domain.errors import ConfigError
from privacy.secret_file import alone, private_text, replace_text

NAME = "erasures"
_LINE = re.compile(r"([0-9a-f]{32}) (\d{1,15})")


class ErasureJournal:
    """The file of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def beside(cls, ring: Path) -> "ErasureJournal":
        """The one that belongs to that key ring."""
        return cls(ring.with_name(NAME))

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def read(self) -> dict[bytes, int]:
        """When each person was last erased, by digest; empty without a file. ConfigError when it cannot be read.

        A last line that a power cut has cut short is left out: SQL has it, and the worker writes it again.
        """
        if not self._path.exists():
            return {}
        found: dict[bytes, int] = {}
        for line in private_text(self._path, "the journal of erasures").splitlines():
            if match := _LINE.fullmatch(line):
                key = bytes.fromhex(match[1])
                found[key] = max(found.get(key, 0), int(match[2]))
        return found

    def add(self, erased: Mapping[bytes, int]) -> int:
        """Append those that are not there, fsync'd; how many. ConfigError when it cannot be written."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with alone(self._path):
                known = self.read()
                new = {key: at_ms for key, at_ms in erased.items() if at_ms > known.get(key, -1)}
                if new:
                    self._append("".join(f"{key.hex()} {at_ms}\n" for key, at_ms in new.items()))
        except OSError as error:
            raise ConfigError(f"the journal {self._path} cannot be written: {error.strerror}") from None
        return len(new)

    def forget(self, before_ms: int) -> int:
        """Take out erasures of before that moment: nothing that they were of is kept any longer. How many."""
        if not self._path.exists():
            return 0
        try:
            with alone(self._path):
                known = self.read()
                kept = {key: at_ms for key, at_ms in known.items() if at_ms >= before_ms}
                if kept != known:
                    replace_text(self._path, "".join(f"{key.hex()} {at}\n" for key, at in kept.items()))
        except OSError as error:
            raise ConfigError(f"the journal {self._path} cannot be written: {error.strerror}") from None
        return len(known) - len(kept)

    def _append(self, lines: str) -> None:
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "rb+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                # A line that was cut short must not swallow the next one.
                lines = lines if file.read(1) == b"\n" else "\n" + lines
            file.write(lines.encode())
            file.flush()
            os.fsync(file.fileno())
