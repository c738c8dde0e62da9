"""RawDisk: diskcache's row format without its pickles (CVE-2025-69872) and without its files."""

import sqlite3
from typing import Any

from diskcache import Disk
from diskcache.core import MODE_RAW

FOREIGN = "!"
"""Stands for the key of a row that we did not write."""


class RawDisk(Disk):  # type: ignore[misc]
    """Takes str keys and bytes values only, and refuses every other row, planted ones included (CVE-2025-69872)."""

    def put(self, key: Any) -> tuple[Any, bool]:
        """The key as it is."""
        if not isinstance(key, str):
            raise TypeError("keys are str")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        """The key as it is; a planted one is never unpickled, and `_keys` passes over it."""
        return key if raw and isinstance(key, str) else FOREIGN

    def store(self, value: Any, read: Any, key: Any = None) -> tuple[int, int, None, Any]:  # noqa: ARG002
        """The bytes, in the row itself, whatever their length."""
        if read or not isinstance(value, bytes):
            raise TypeError("values are bytes")
        return 0, MODE_RAW, None, sqlite3.Binary(value)

    def fetch(self, mode: Any, filename: Any, value: Any, read: Any) -> bytes:
        """The bytes of a raw row; anything else is not ours."""
        if mode != MODE_RAW or filename is not None or read or not isinstance(value, bytes | memoryview):
            raise ValueError("not a record of ours")
        return bytes(value)

    def remove(self, file_path: Any) -> None:
        """Nothing: no record of ours lies in a file, and a planted row must not name one to delete."""
