"""No connection left: others hold all that PostgreSQL gives (max_connections), as when something leaks them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from chaos.faults._sessions import Sessions
from chaos.stage.stage import DATABASE, Stage

_OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = $1 AND pid <> ALL ($2) AND backend_type = 'client backend'"
)
ROUNDS, END_SECONDS = 200, 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresPool:
    """Takes every connection there is, those of Trilha included. The stage has few of them (`postgres_options`)."""

    says: str = "no connection to SQL is left"
    _held: list[Sessions] = field(default_factory=list, init=False, repr=False)

    def begin(self, stage: Stage) -> None:
        """Returns when nobody else has one. RuntimeError if others were always quicker."""
        self._held.append(Sessions(stage.direct_sql_url))
        ours: list[int] = []
        for _ in range(ROUNDS):
            more = _all_that_are_left(self._held[-1])
            ours += more
            if not self._held[-1].ask(_OTHERS, DATABASE, ours) and not more:
                return
            time.sleep(END_SECONDS)  # which a connection that was cut takes to give its place up
        raise RuntimeError("others took the connections before us, again and again")

    def end(self, stage: Stage) -> None:  # noqa: ARG002  the connections are known
        """All are given back."""
        while self._held:
            self._held.pop().close()


def _all_that_are_left(sessions: Sessions) -> list[int]:
    """Connect until it is refused; the processes that serve us."""
    taken: list[int] = []
    while True:
        try:
            taken.append(sessions.connect())
        except OSError:
            return taken
