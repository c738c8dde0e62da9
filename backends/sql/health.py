"""How a PostgreSQL is set up, as far as Trilha's promises depend on it."""

from dataclasses import dataclass

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query

# Two statements over all days at once.
_AT_ONCE = 2
_HERE = {"", "localhost", "127.0.0.1", "::1"}
_TLS = {"require", "verify-ca", "verify-full"}
_ASKED = text(
    "SELECT (SELECT count(*) FROM pg_stat_replication) AS replicas, "
    "(SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) AS synchronous, "
    "current_setting('synchronous_commit') IN ('off', 'local') AS commits_early, "
    "current_setting('max_locks_per_transaction')::bigint * current_setting('max_connections')::bigint AS locks, "
    "(SELECT count(*) FROM pg_inherits WHERE inhparent = to_regclass('clicks')) AS parts, "
    "(SELECT count(*) FROM pg_index WHERE indrelid = to_regclass('clicks')) AS indexes"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """replicas: that are connected; synchronous: those that a COMMIT waits for. locks: that the server has room for;
    locks_wanted: by two statements that look into every partition of the clicks.
    """

    replicas: int
    synchronous: int
    commits_early: bool
    locks: int
    locks_wanted: int


async def postgres_of(engine: AsyncEngine) -> Postgres | None:
    """What it says of itself; None for SQLite. Raises StoreUnavailable."""
    if engine.dialect.name != "postgresql":
        return None

    async def read(connection: AsyncConnection) -> Postgres:
        row = (await connection.execute(_ASKED)).one()
        return Postgres(
            replicas=row.replicas,
            synchronous=row.synchronous,
            commits_early=row.commits_early,
            locks=row.locks,
            locks_wanted=_AT_ONCE * row.parts * (1 + row.indexes),
        )

    return await query(engine, read)


def in_plaintext(url: str) -> bool:
    """Whether a host that is not this one may be spoken to without encryption."""
    place = make_url(url)
    said = place.query.get("host", ())
    hosts = [place.host or "", *([said] if isinstance(said, str) else said)]
    elsewhere = [host for host in hosts if not host.startswith("/") and _name(host) not in _HERE]
    return bool(elsewhere) and not {place.query.get("ssl"), place.query.get("sslmode")} & _TLS


def _name(host: str) -> str:
    return host if host.count(":") > 1 else host.partition(":")[0]
