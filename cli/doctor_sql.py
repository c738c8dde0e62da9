"""What `trilha doctor` says of SQL: the schema, and on PostgreSQL replicas, encryption and room for locks."""

from analytics.finding import Finding
from backends.sql.engine import make_engine
from backends.sql.health import Postgres, in_plaintext, postgres_of
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
