"""Events wait for more than 7 days, after which Meta refuses them, and with each of them its whole batch."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from chaos.stage.stage import Stage

DAYS = 8
SQL_SECONDS = 10.0
OLDER = (
    "UPDATE outbox SET event_at = datetime(event_at, ?) || '.000000' "
    "WHERE state = 'pending' AND lane LIKE 'meta/%' AND rowid % ? = 0"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaTooOld:
    """Meta takes nothing; when it does again, one in `each` of the events that waited is 8 days old. For SQLite."""

    each: int = 4

    @property
    def says(self) -> str:
        """For the report."""
        return f"Meta takes nothing, until one waiting event in {self.each} is {DAYS} days old"

    def begin(self, stage: Stage) -> None:
        """Every call is throttled, so that the lane waits."""
        stage.the_meta.trouble("throttle", code=429, retry_after=1)

    def end(self, stage: Stage) -> None:
        """Time passes, as far as the outbox knows, and calls are taken again. RuntimeError when nothing waited."""
        if stage.the_meta.stats()["faults"] and not _age(stage.sqlite_file, self.each):
            raise RuntimeError("no event waited for Meta: there is nothing that could have become too old")
        stage.the_meta.order("clear")


def _age(file: Path, each: int) -> int:
    """How many there are now."""
    with closing(sqlite3.connect(file, timeout=SQL_SECONDS)) as connection, connection:
        return connection.execute(OLDER, (f"-{DAYS} days", each)).rowcount
