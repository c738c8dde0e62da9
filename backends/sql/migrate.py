"""Running the migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction

FOLDER = Path(__file__).with_name("migrations")


async def migrate(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring the schema to the newest version; the version before and after. Raises StoreUnavailable."""

    async def upgrade(connection: AsyncConnection) -> str | None:
        before = await connection.run_sync(_current)
        await connection.run_sync(_upgrade)
        return before

    return await transaction(engine, upgrade), newest()


async def current(engine: AsyncEngine) -> str | None:
    """The version the schema has, None for an empty database. Raises StoreUnavailable."""
    return await query(engine, lambda connection: connection.run_sync(_current))


def newest() -> str:
    """The version that this code wants."""
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    return head or ""


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
