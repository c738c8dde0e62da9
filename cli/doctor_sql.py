"""What `trilha doctor` says of SQL: the schema, and on PostgreSQL replicas, encryption and room for locks."""

from analytics.finding import Finding
from backends.sql.engine import make_engine
from backends.sql.health import Postgres, in_plaintext, postgres_of
from backends.sql.leader import worker_sessions
from backends.sql.migrate import current, newest
from backends.sql.tables import metadata
from cli.common import PATIENCE
from runtime.settings import Settings


async def sql(given: Settings) -> Finding:
    """The first of what is wrong, or how it is."""
    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        version = await current(engine)
        found = await postgres_of(engine)
    finally:
        await engine.dispose()
    if version != newest():
        return Finding(
            "sql", "failed", f"the schema is at {version or 'nothing'}. Mend it with: trilha migrate"
        )
    if warning := _warning(given.sql, found):
        return Finding("sql", "warning", f"{warning} See docs/how-to/run-on-postgresql.md")
    return Finding("sql", "ok", f"{engine.dialect.name}, schema {version}, {len(metadata.tables)} tables")


def _warning(url: str, found: Postgres | None) -> str | None:
    if found is None:
        return None
    if in_plaintext(url):
        return "the connection to another host need not be encrypted: add ssl=verify-full to TRILHA_SQL_URL."
    if found.commits_early:
        return "synchronous_commit is off: a COMMIT that was answered can be lost when the server is."
    if found.replicas and not found.synchronous:
        return f"{found.replicas} replicas and none is synchronous: a failover loses what was settled last."
    if found.locks_wanted > found.locks:
        return (
            f"a statement over all days may need {found.locks_wanted} locks of {found.locks}: "
            "raise max_locks_per_transaction."
        )
    return None


async def workers(given: Settings) -> Finding:
    """How many workers there are on this database, and which of them leads."""
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        found = await worker_sessions(engine)
        single = engine.dialect.name == "sqlite"
    finally:
        await engine.dispose()
    if single:
        return Finding("workers", "ok", "SQLite: the worker of this machine leads")
    nodes = [each.node for each in found]
    if twice := sorted({node for node in nodes if nodes.count(node) > 1}):
        detail = f"two workers say TRILHA_NODE={twice[0]}: give each machine a number of its own"
        return Finding("workers", "warning", f"{detail} (one that has just died is seen for 10 s more)")
    leaders = [each.node for each in found if each.leads]
    if not leaders:
        return Finding(
            "workers", "warning", f"nodes {nodes or 'none'}; none leads. Is `trilha work` running?"
        )
    return Finding("workers", "ok", f"nodes {sorted(nodes)}; node {leaders[0]} leads")
