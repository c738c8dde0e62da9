"""SQLITE_BUSY: another program has SQLite's file to itself, as a backup tool or somebody's `sqlite3` does."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from chaos.stage.stage import Stage

SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteBusy:
    """Nobody else may write while it is there."""

    says: str = "SQLite's file is locked"
    _held: list[sqlite3.Connection] = field(default_factory=list, init=False, repr=False)

    def begin(self, stage: Stage) -> None:
        """Returns when the lock is held: after whoever was writing before."""
        self._held.append(sqlite3.connect(stage.sqlite_file, timeout=SECONDS, isolation_level=None))
        self._held[-1].execute("BEGIN EXCLUSIVE")

    def end(self, stage: Stage) -> None:  # noqa: ARG002  the connection is known
        """The transaction is rolled back."""
        while self._held:
            self._held.pop().close()
