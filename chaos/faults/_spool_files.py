"""The files of a spool whose writer is gone, and where in them what lies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from struct import unpack_from

from chaos.stage.stage import Stage

DATABASE = "cache.db"
END_SECONDS = 10.0
LOG_HEADER, FRAME_HEADER = 32, 24  # https://sqlite.org/fileformat2.html#walformat
BATCH_HEAD, FRAME = (
    1,
    8,
)  # backends/codec.py: the format of a batch, then a length and a CRC-32 before each record


def left_spool(stage: Stage) -> Path:
    """The folder of the spool that the daemon wrote last, once that daemon is gone. RuntimeError while somebody lives who
    could write to it.
    """
    if stage.trilha("serve").wait_for_end(END_SECONDS) is None or stage.servers["work"].alive:
        raise RuntimeError("a spool is only damaged here when nobody has it open")
    return max(stage.spool_folder.glob(f"*/{DATABASE}"), key=lambda file: _last_written(file.parent)).parent


def last_frame(log: bytes) -> tuple[int, int]:
    """Where the last frame of a log begins and ends that belongs to its latest round. ValueError if it has none."""
    size: int = unpack_from(">I", log, 8)[0]
    salts, found = log[16:24], (0, 0)
    for at in range(LOG_HEADER, len(log) - size - FRAME_HEADER + 1, size + FRAME_HEADER):
        if log[at + 8 : at + 16] != salts:
            break
        found = at, at + size + FRAME_HEADER
    if not found[1]:
        raise ValueError("the log has no frame of its latest round")
    return found


def batches(folder: Path) -> list[bytes]:
    """What lies in the spool of clicks, the oldest first; afterwards all of it is in the database itself, none in its log."""
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        found = connection.execute("SELECT value FROM Cache WHERE key GLOB 'c*' ORDER BY key").fetchall()
    return [bytes(value) for (value,) in found]


def records(batch: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each record of a batch begins in it, and its bytes."""
    at = BATCH_HEAD
    while at < len(batch):
        (length,) = unpack_from(">I", batch, at)
        yield at + FRAME, batch[at + FRAME : at + FRAME + length]
        at += FRAME + length


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.glob(f"{DATABASE}*"))
