"""Running the migrations."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.sql.before import check_before
from backends.sql.engine import make_engine, query, transaction

FOLDER = Path(__file__).with_name("migrations")
PARTITIONED, NOT_YET_PARTITIONED = "0010", "0009"
PATIENCE = 6 * 3600.0


async def migrate(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring the schema to the newest version; the version before and after. Raises StoreUnavailable."""
    before = await current(engine)
    if engine.dialect.name != "postgresql":
        await transaction(engine, lambda connection: connection.run_sync(_upgrade))
        return before, newest()
    # What a statement may take is bounded by the migrations themselves, on the server.
    patient = make_engine(engine.url.render_as_string(hide_password=False), patience=PATIENCE)
    try:
        if before is not None and before < PARTITIONED:
            await transaction(patient, lambda connection: connection.run_sync(_upgrade, NOT_YET_PARTITIONED))
            await check_before(patient)
        await transaction(patient, lambda connection: connection.run_sync(_upgrade))
    finally:
        await patient.dispose()
    return before, newest()


async def current(engine: AsyncEngine) -> str | None:
    """The version the schema has, None for an empty database. Raises StoreUnavailable."""
    return await query(engine, lambda connection: connection.run_sync(_current))


def newest() -> str:
    """The version that this code wants."""
    head = ScriptDirectory(str(FOLDER)).get_current_head()
    return head or ""


def is_known(version: str) -> bool:
    """Whether this code has that version, or it is of a later Trilha."""
    return any(each.revision == version for each in ScriptDirectory(str(FOLDER)).walk_revisions())


def _upgrade(connection: Connection, to: str = "head") -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()
