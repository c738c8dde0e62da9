"""Which SQL it is."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query
from backends.sql.migrate import current, newest


async def versions(engine: AsyncEngine) -> dict[str, str]:
    """The engine's own version and the schema's. Raises StoreUnavailable."""
    schema = await current(engine)
    wanted = newest()
    return {
        "SQL": f"{engine.dialect.name} {await query(engine, _version)}",
        "schema": wanted if schema == wanted else f"{schema or 'none'} (needs {wanted}: trilha migrate)",
    }


async def _version(connection: AsyncConnection) -> str:
    if connection.dialect.name == "sqlite":
        return str((await connection.execute(select(func.sqlite_version()))).scalar_one())
    return str((await connection.execute(select(func.current_setting("server_version")))).scalar_one())
