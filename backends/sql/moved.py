"""A SQLite file whose database has moved to PostgreSQL: how it refuses to be used again (ADR 0040)."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from backends.sql.tables import metadata

# The name of a table that there is not. Triggers that write into it fail every write before it begins, and as an engine that
# cannot write, not as a record that is at fault: programs that run on defer what they have into their spools.
NOWHERE = "this_database_was_moved_to_postgresql"
USER_VERSION = 0x7412_4D56
MOVED = (
    "this database was moved to PostgreSQL. Set TRILHA_SQL_URL to the new one and start this process again"
)


async def freeze(connection: AsyncConnection) -> None:
    """Let nobody write it and no program open it from here on. Holds once the caller's transaction is committed."""
    body = f"BEGIN INSERT INTO {NOWHERE} VALUES (1); END"  # noqa: S608  a constant
    for table in metadata.sorted_tables:
        for event in ("INSERT", "UPDATE", "DELETE"):
            name = f"moved_{table.name}_{event.lower()}"
            await connection.exec_driver_sql(f"CREATE TRIGGER {name} BEFORE {event} ON {table.name} {body}")
    await connection.exec_driver_sql(f"PRAGMA user_version = {USER_VERSION}")


def is_moved(cursor: Any) -> bool:
    """Whether the file that this cursor of SQLite's driver is of was moved."""
    cursor.execute("PRAGMA user_version")
    return bool(cursor.fetchone()[0] == USER_VERSION)
