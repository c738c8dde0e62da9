"""The folder of an archive: every file in it is whole, whatever ends the run."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path

from analytics.archive.manifest import Manifest, manifest_text, read_manifest
from backends.sql.archived import Dataset
from domain.errors import ConfigError

PART = "part-0.parquet"
HALF = ".part-0.parquet.half"  # no reader of *.parquet takes it for one
_MANIFEST, _LOCK = "manifest.json", ".lock"


class Folder:
    """Paths, and files put in place at once. Raises OSError where it cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only run that writes here, made first if it is not there. ConfigError while another one does.

        What a run that was killed has left half is deleted.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._path / _LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(
                    f"another run writes into {self._path}. Try again when it is done"
                ) from None
            for half in self._path.glob(f"*/day=*/{HALF}"):
                half.unlink(missing_ok=True)
            yield

    def manifest(self) -> Manifest | None:
        """What it holds; None: nothing yet. ConfigError for one that cannot be understood."""
        return read_manifest(self._path / _MANIFEST)

    def keep(self, manifest: Manifest) -> None:
        """Write the manifest."""
        half = self._path / f".{_MANIFEST}.half"
        half.write_bytes(manifest_text(manifest))
        _put(half, self._path / _MANIFEST)

    def half(self, table: Dataset, day: date) -> Path:
        """Where the file of that day is written first."""
        return self._of(table, day) / HALF

    def size(self, table: Dataset, day: date) -> int | None:
        """Bytes of that day's file; None: it is not there."""
        with suppress(FileNotFoundError):
            return (self._of(table, day) / PART).stat().st_size
        return None

    def put(self, table: Dataset, day: date) -> int:
        """Put what was written in the place of that day's file; its bytes."""
        half = self.half(table, day)
        size = half.stat().st_size
        _put(half, half.with_name(PART))
        return size

    def remove(self, table: Dataset, day: date) -> None:
        """Delete that day, if it is there."""
        folder = self._of(table, day)
        for name in (HALF, PART):
            (folder / name).unlink(missing_ok=True)
        with suppress(OSError):  # not empty: somebody else's files are not ours to delete
            folder.rmdir()

    def _of(self, table: Dataset, day: date) -> Path:
        return self._path / table / f"day={day.isoformat()}"


def _put(half: Path, whole: Path) -> None:
    """On the disk before it has its name, and its name on the disk afterwards."""
    _sync(half)
    half.replace(whole)
    _sync(whole.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
