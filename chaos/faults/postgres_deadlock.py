"""Deadlock: somebody takes what Trilha takes, in the other order, and it is Trilha that PostgreSQL gives up."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from chaos.faults._sessions import Sessions
from chaos.stage.stage import DATABASE, Stage

_WAITING = "SELECT count(*) FROM pg_locks WHERE relation = $1::text::regclass AND NOT granted"
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = $1"
PAUSE_SECONDS, JOIN_SECONDS = 0.02, 30.0


@dataclass(slots=True)
class _Adversary:
    """A thread of its own, and how many deadlocks it has brought about."""

    stop: threading.Event
    thread: threading.Thread


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresDeadlock:
    """Locks `last`, waits until a transaction that has written to `first` wants it too, and then wants `first`.

    Again and again; Trilha is always the one that is given up, as the other side is patient.
    """

    first: str = "clicks"
    last: str = "outbox"
    _running: list[_Adversary] = field(default_factory=list, init=False, repr=False)

    @property
    def says(self) -> str:
        """For the report."""
        return f"deadlocks between {self.first} and {self.last}"

    def begin(self, stage: Stage) -> None:
        """Returns while it begins."""
        stop = threading.Event()
        thread = threading.Thread(target=self._adversary, args=(stage.direct_sql_url, stop), daemon=True)
        self._running.append(_Adversary(stop, thread))
        thread.start()

    def end(self, stage: Stage) -> None:
        """Nobody is in the way any more. RuntimeError if PostgreSQL has seen no deadlock: then nothing was tried."""
        if not self._running:
            return
        adversary = self._running.pop()
        adversary.stop.set()
        adversary.thread.join(JOIN_SECONDS)
        if not _deadlocks(stage.direct_sql_url):
            raise RuntimeError("PostgreSQL has seen no deadlock")

    def _adversary(self, url: str, stop: threading.Event) -> None:
        while not stop.is_set():
            sessions = Sessions(url)
            try:
                sessions.connect(
                    "SET deadlock_timeout = '1min'",
                    "BEGIN",
                    f"LOCK TABLE {self.last} IN ACCESS EXCLUSIVE MODE",
                )
                while not stop.wait(PAUSE_SECONDS) and not sessions.ask(_WAITING, self.last):
                    pass
                if not stop.is_set():
                    sessions.ask(f"LOCK TABLE {self.first} IN ACCESS EXCLUSIVE MODE")
            finally:
                sessions.close()


def _deadlocks(url: str) -> int:
    sessions = Sessions(url)
    try:
        sessions.connect()
        return int(sessions.ask(_DEADLOCKS, DATABASE))
    finally:
        sessions.close()
