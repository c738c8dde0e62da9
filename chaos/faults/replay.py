"""What was spooled is settled again and again: whole, in other batches, in another order, at once and once it is long in SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaos.stage.stage import Stage
from chaos.stage.trilha import wait_until

COPIES = 3
SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Settling stops until it ends. Then the spools come with copies of themselves, each without another third of its
    entries; when all those are settled, with one that is complete.
    """

    says: str = "what is spooled waits, and is then settled five times"

    def begin(self, stage: Stage) -> None:
        """Returns when nothing is settled any more."""
        stage.servers["work"].stop()

    def end(self, stage: Stage) -> None:
        """Returns when every copy was settled. TimeoutError when one was not."""
        if stage.servers["work"].alive:
            return
        spools = [file.parent for file in stage.spool_folder.glob("*/cache.db")]
        copies = stage.folder / "copies"
        thinned = [copied(spool, copies, leave_out=third) for spool in spools for third in range(COPIES)]
        complete = [copied(spool, copies, leave_out=None) for spool in spools]
        orphans = [_put(copy, stage) for copy in thinned]
        stage.servers["work"].start()
        _wait_until_settled(orphans)
        _wait_until_settled([_put(copy, stage) for copy in complete])


def copied(spool: Path, into: Path, *, leave_out: int | None) -> Path:
    """A copy of a spool that may be written to meanwhile; without that third of its entries, if any."""
    copy = into / f"{spool.name}-copy{leave_out}"
    copy.mkdir(mode=0o700, parents=True)
    with (
        closing(sqlite3.connect(f"file:{spool / 'cache.db'}?mode=ro", uri=True, timeout=5)) as source,
        closing(sqlite3.connect(copy / "cache.db", isolation_level=None)) as target,
    ):
        source.backup(target)
        if leave_out is not None:
            target.execute("DELETE FROM Cache WHERE rowid % ? = ?", (COPIES, leave_out))
    return copy


def _put(copy: Path, stage: Stage) -> Path:
    """Beside the spools: it has no writer, and is adopted."""
    return copy.rename(stage.spool_folder / copy.name)


def _wait_until_settled(orphans: list[Path]) -> None:
    """An adopted spool is removed once it is empty."""
    wait_until("the copies are settled", lambda: not any(path.exists() for path in orphans), SECONDS)
