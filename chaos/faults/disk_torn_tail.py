"""A torn tail: of the last write to a spool's log only a part has reached the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass

from chaos.faults._spool_files import DATABASE, last_frame, left_spool
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTornTail:
    """Cuts the last commit in half, in a spool whose daemon died between writing that commit and its fsync.

    Use the fault `inside` for that: crash at `after_write`. A commit that was fsync'd is never torn, and to cut one is no
    fault that anybody promises anything about.
    """

    says: str = "the last commit is torn"

    def begin(self, stage: Stage) -> None:
        """The log ends in the middle of its last frame."""
        log = left_spool(stage) / f"{DATABASE}-wal"
        begins, ends = last_frame(log.read_bytes())
        os.truncate(log, (begins + ends) // 2)

    def end(self, stage: Stage) -> None:
        """What is torn stays so."""
