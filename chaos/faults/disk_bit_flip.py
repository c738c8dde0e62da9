"""A bit flips on the disk, in one record of a spool."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from backends.codec import decode_click
from chaos.faults._spool_files import DATABASE, batches, left_spool, records
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskBitFlip:
    """Flips one bit of one click that was acknowledged and waits in a spool. Only for a spool that nobody has open.

    `hit`: that click, as 32 hex digits. This was its only copy: it can be found to be damaged, and never be restored.
    """

    says: str = "a bit flips in a record"
    hit: set[str] = field(default_factory=set)

    def begin(self, stage: Stage) -> None:
        """One record of the spool is no longer what was written."""
        folder = left_spool(stage)
        waiting = batches(folder)
        batch = waiting[len(waiting) // 2]
        self.hit.add(flip(folder / DATABASE, batch))

    def end(self, stage: Stage) -> None:
        """What is damaged stays so."""


def flip(file: Path, batch: bytes) -> str:
    """Flip the lowest bit in the middle of the batch's first record, and say which click that is."""
    at, record = next(records(batch))
    with file.open("r+b") as open_file:
        place = open_file.read().index(batch) + at + len(record) // 2
        open_file.seek(place)
        open_file.write(bytes([batch[at + len(record) // 2] ^ 1]))
    return decode_click(record).id.hex
