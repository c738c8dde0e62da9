"""What a restore puts in the place of: on PostgreSQL our tables go into a schema of their own, and only then go for good.

pg_restore's own `--clean` cannot drop the partitions of `clicks`, and leaves tables that the backup does not have.
"""

from collections.abc import Iterator

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction
from backends.sql.migrate import current, is_known
from backends.sql.partitions import is_partition
from backends.sql.tables import metadata
from domain.errors import ConfigError

ASIDE = "trilha_before_restore"
_TABLES = text(
    "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = to_regnamespace(:schema) ORDER BY 1"
)
# The functions of our triggers: a restore makes them again under the same names.
_FUNCTIONS = text(
    "SELECT DISTINCT p.oid::regprocedure::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND c.relname IN :tables "
    "AND c.relnamespace = to_regnamespace(:schema) AND p.pronamespace = c.relnamespace"
).bindparams(bindparam("tables", expanding=True))


class Replacing:
    """Tables of ours that give way to a backup. Raises StoreUnavailable; each step is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def check(self) -> None:
        """ConfigError when a later Trilha made them: then nobody here knows which tables are ours."""
        version = await current(self._engine)
        if version is not None and not is_known(version):
            raise ConfigError(
                f"a later Trilha made the tables that are there (schema {version}), and this one does not know them all. "
                "Restore into an empty database: dropdb, createdb"
            )

    async def put_aside(self) -> None:
        """Take our tables out of the way. What an earlier restore left aside is older than they are, and goes."""
        await transaction(self._engine, _put_aside)

    async def bring_back(self) -> None:
        """Undo it, where the backup did not come in."""
        await transaction(self._engine, _bring_back)

    async def drop(self) -> None:
        """End for good what was put aside."""
        await transaction(self._engine, _drop)


async def others_connected(engine: AsyncEngine) -> list[str]:
    """Who else is connected to this database as our user: `name at address`. Raises StoreUnavailable."""
    wanted = text(
        "SELECT COALESCE(NULLIF(application_name, ''), 'a process') || ' at ' || COALESCE(host(client_addr), 'this machine') "
        "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY 1"
    )

    async def read(connection: AsyncConnection) -> list[str]:
        return list((await connection.execute(wanted)).scalars())

    return await query(engine, read)


async def _put_aside(connection: AsyncConnection) -> None:
    here = await _here(connection)
    tables = [name for name in await _names(connection, here) if _is_ours(name)]
    if not tables:
        return
    await _drop(connection)
    await connection.execute(text(f"CREATE SCHEMA {ASIDE}"))
    await _move(connection, tables, here, ASIDE)


async def _bring_back(connection: AsyncConnection) -> None:
    tables = await _names(connection, ASIDE)
    if tables:
        await _move(connection, tables, ASIDE, await _here(connection))
    await _drop(connection)


async def _drop(connection: AsyncConnection) -> None:
    await connection.execute(text(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE"))


async def _move(connection: AsyncConnection, tables: list[str], there: str, target: str) -> None:
    functions = await connection.execute(_FUNCTIONS, {"tables": tables, "schema": there})
    for statement in _moves(tables, list(functions.scalars()), there, target):
        await connection.execute(text(statement))


def _moves(tables: list[str], functions: list[str], there: str, target: str) -> Iterator[str]:
    for name in tables:
        yield f'ALTER TABLE "{there}"."{name}" SET SCHEMA "{target}"'
    for name in functions:
        # As PostgreSQL writes it, with its schema where that is not in the search path.
        plain = name.removeprefix(f"{there}.")
        yield f'ALTER FUNCTION "{there}".{plain} SET SCHEMA "{target}"'


async def _here(connection: AsyncConnection) -> str:
    found: str = (await connection.execute(text("SELECT current_schema()"))).scalar_one()
    return found


async def _names(connection: AsyncConnection, schema: str) -> list[str]:
    return list((await connection.execute(_TABLES, {"schema": schema})).scalars())


def _is_ours(table: str) -> bool:
    return table in metadata.tables or table == "alembic_version" or is_partition(table)
