"""A lock: somebody holds a table in a transaction that does not end, as a forgotten psql session does."""

from __future__ import annotations

from dataclasses import dataclass, field

from chaos.faults._sessions import Sessions
from chaos.stage.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresLock:
    """Nobody may read or write `table` while it is there."""

    table: str = "clicks"
    _held: list[Sessions] = field(default_factory=list, init=False, repr=False)

    @property
    def says(self) -> str:
        """For the report."""
        return f"the table {self.table} is locked"

    def begin(self, stage: Stage) -> None:
        """Returns when the lock is held: after whoever was in the table before."""
        self._held.append(Sessions(stage.direct_sql_url))
        self._held[-1].connect("BEGIN", f"LOCK TABLE {self.table} IN ACCESS EXCLUSIVE MODE")

    def end(self, stage: Stage) -> None:  # noqa: ARG002  the connection is known
        """The transaction is rolled back."""
        while self._held:
            self._held.pop().close()
