"""ENOSPC: the file system that the spools are on has not one block left. Needs a stage with a tmpfs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chaos.stage.stage import Stage

BLOCK = 4096
CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFull:
    """A file takes all that was left. What is written in place, as in a log that is used again, can still be written."""

    says: str = "the spools' file system is full"

    def begin(self, stage: Stage) -> None:
        """Returns when nothing is left."""
        descriptor = os.open(_filler(stage), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in (CHUNK, BLOCK):
                with suppress(OSError):
                    while True:
                        os.write(descriptor, bytes(size))
        finally:
            os.close(descriptor)

    def end(self, stage: Stage) -> None:
        """The file goes, and its room is there again."""
        _filler(stage).unlink(missing_ok=True)


def _filler(stage: Stage) -> Path:
    return stage.spool_folder.parent / "filler"
