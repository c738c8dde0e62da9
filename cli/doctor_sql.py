"""What `trilha doctor` says of SQL: the schema, and on PostgreSQL replicas, encryption and room for locks."""

from sqlalchemy.engine import make_url

from analytics.finding import Finding
from backends.sql.engine import make_engine
from backends.sql.health import Postgres, postgres_of
from backends.sql.migrate import current, newest
from backends.sql.tables import metadata
from cli.common import PATIENCE
from runtime.settings import Settings

_HERE = {"", "localhost", "127.0.0.1", "::1"}
_TLS = {"require", "verify-ca", "verify-full"}


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


def in_plaintext(url: str) -> bool:
    """Whether a host that is not this one may be spoken to without encryption."""
    place = make_url(url)
    said = place.query.get("host", ())
    hosts = [place.host or "", *([said] if isinstance(said, str) else said)]
    elsewhere = [host for host in hosts if not host.startswith("/") and _name(host) not in _HERE]
    return bool(elsewhere) and not {place.query.get("ssl"), place.query.get("sslmode")} & _TLS


def _name(host: str) -> str:
    return host if host.count(":") > 1 else host.partition(":")[0]
