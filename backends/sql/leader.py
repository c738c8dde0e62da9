"""One leader among the workers of a database: who holds an advisory lock of PostgreSQL, on a connection of its own (ADR 0035).

The lock is the session's: it is free again when the leader ends, dies, or is cut off. SQLite's file is on one machine, and
its worker leads.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import make_engine, query
from domain.clock import Clock
from domain.ports import Leader

LOOK_SECONDS = 1.0
PATIENCE = 2.0
LEASE_SECONDS = 5.0
"""A leader that has not heard from PostgreSQL for so long leads no more: before PostgreSQL gives up on its session."""
IDLE_SECONDS = 10
"""PostgreSQL ends the session of a worker that it has not heard from for so long, and with it the lock."""
_KEY = (0x54524C48, 1)  # "TRLH"; the second number is for what else may want a leader of its own one day
_TAKE = text("SELECT pg_try_advisory_lock(:first, :second)")
_STILL_THERE = text("SELECT 1")
_NAME = "trilha work, node "
_NAMES = re.compile(rf"{_NAME}(\d+)")
_SESSION = (
    # PostgreSQL 14 and later; an earlier one has TCP's own signs of life alone.
    f"SET idle_session_timeout = '{IDLE_SECONDS}s'",
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)
_WORKERS = text(
    "SELECT a.application_name AS name, COALESCE(bool_or(l.granted), false) AS leads FROM pg_stat_activity a "
    "LEFT JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' AND l.objsubid = 2 "
    "AND l.classid::bigint = :first AND l.objid::bigint = :second "
    "WHERE a.datname = current_database() AND a.application_name LIKE :pattern "
    "GROUP BY a.pid, a.application_name, a.backend_start ORDER BY a.backend_start"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSession:
    """A worker that PostgreSQL knows: its TRILHA_NODE, and whether it leads."""

    node: int
    leads: bool


class Alone:
    """The leader where there is but one machine."""

    leads = True

    async def look(self) -> None:
        """Nobody else could."""

    async def resign(self) -> None:
        """Nobody else would take over."""


class PostgresLeader:
    """Tries to be the leader, and knows whether it is. Its calls come one after the other; none raises.

    It leads while its session holds the lock, and for LEASE_SECONDS at most after PostgreSQL was last heard of.
    """

    def __init__(self, url: str, node: int, clock: Clock) -> None:
        self._engine = make_engine(url, patience=PATIENCE)
        self._name = f"{_NAME}{node}"
        self._clock = clock
        self._connection: AsyncConnection | None = None
        self._holds = False
        self._asked = 0.0

    @property
    def leads(self) -> bool:
        """Whether this worker is the leader now."""
        return self._holds and self._clock.monotonic() - self._asked < LEASE_SECONDS

    async def look(self) -> None:
        """Take the lock if nobody has it, or see that the session that has it is still there."""
        asked = self._clock.monotonic()  # before asking: an answer that came late has grown old on its way
        try:
            connection = self._connection or await self._connect()
            if self._holds:
                await connection.execute(_STILL_THERE)
            else:
                taken = await connection.execute(_TAKE, dict(zip(("first", "second"), _KEY, strict=True)))
                self._holds = bool(taken.scalar_one())
            self._asked = asked
        except (SQLAlchemyError, OSError, TimeoutError):
            await self._lose()

    async def resign(self) -> None:
        """Let another one lead at once. The end of it: nothing is called afterwards."""
        await self._lose()
        await self._engine.dispose()

    async def _connect(self) -> AsyncConnection:
        # In autocommit, as a session in a transaction is never idle.
        self._connection = connection = await self._engine.connect()
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        for setting in _SESSION:
            with suppress(SQLAlchemyError):
                await connection.exec_driver_sql(setting)
        await connection.execute(
            text("SELECT set_config('application_name', :name, false)"), {"name": self._name}
        )
        return connection

    async def _lose(self) -> None:
        """Never a lock without knowing of it: the session is closed, whatever state it is in."""
        connection, self._connection, self._holds = self._connection, None, False
        if connection is not None:
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                await connection.invalidate()
            with suppress(SQLAlchemyError, OSError, TimeoutError):
                await connection.close()


def make_leader(url: str, node: int, clock: Clock) -> Leader:
    """The leadership of a worker of that node, not taken yet. ConfigError for a URL that is none."""
    if url.startswith("sqlite"):
        return Alone()
    return PostgresLeader(url, node, clock)


async def worker_sessions(engine: AsyncEngine) -> list[WorkerSession]:
    """Every worker that is connected to this database, the oldest first; none on SQLite. Raises StoreUnavailable.

    A session that is gone may be seen for IDLE_SECONDS more.
    """
    if engine.dialect.name != "postgresql":
        return []

    async def read(connection: AsyncConnection) -> list[WorkerSession]:
        given = {"first": _KEY[0], "second": _KEY[1], "pattern": f"{_NAME}%"}
        rows = (await connection.execute(_WORKERS, given)).all()
        found = [(_NAMES.fullmatch(row.name), row.leads) for row in rows]
        return [WorkerSession(node=int(name[1]), leads=leads) for name, leads in found if name]

    return await query(engine, read)
