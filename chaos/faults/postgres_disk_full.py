"""A full disk under PostgreSQL's tables: it answers, reads, and fails every write that needs another page."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path

from chaos.stage.stage import Stage

BLOCK = b"\0" * 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresDiskFull:
    """A file takes all room that is left. The stage has its tables on a file system of their own (`sql_tmpfs`)."""

    says: str = "the disk of SQL is full"

    def begin(self, stage: Stage) -> None:
        """Returns when there is no room."""
        with _ballast(stage).open("ab", buffering=0) as file:
            for block in (BLOCK, b"\0" * 4096):
                _fill(file, block)

    def end(self, stage: Stage) -> None:
        """There is room again."""
        _ballast(stage).unlink(missing_ok=True)


def _ballast(stage: Stage) -> Path:
    return stage.sql_disk / "ballast"


def _fill(file: RawIOBase, block: bytes) -> None:
    try:
        while file.write(block):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
