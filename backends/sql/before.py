"""Making ready for migration 0010: PostgreSQL's old table of clicks is to become the partition of all that was before.

PostgreSQL wants to know that no row of it is out of bounds. To find that out at the migration itself would stop everybody
for as long as it takes to read the table; so it is found out before, while everybody goes on.
"""

import re

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import transaction

# The first id of a UTC day; of tomorrow's tomorrow, so that there is time to finish. Whoever knows a later id than that
# has a clock that is wrong.
_DAY_MS = "(EXTRACT(EPOCH FROM date_trunc('day', now() AT TIME ZONE 'UTC'))::bigint + 172800) * 1000"
BOUND = f"rpad(lpad(to_hex({_DAY_MS}), 12, '0'), 32, '0')::uuid::text"
_CHECK = (
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
    "WHERE conrelid = CAST(:relation AS regclass) AND conname = 'clicks_before_bound'"
)
_UUID = re.compile(r"'([0-9a-f-]{36})'")


async def check_before(engine: AsyncEngine) -> None:
    """Have PostgreSQL know that no click is later than the bound. Locks for a moment; then it reads the table beside traffic.

    Does nothing where clicks are later than that already: the migration sees to those itself. Repeating it is safe.
    """
    if await transaction(engine, _add_check):
        await transaction(engine, _validate)


async def _add_check(connection: AsyncConnection) -> bool:
    for limit in ("lock_timeout = '4s'", "statement_timeout = '5s'"):
        await connection.execute(text(f"SET LOCAL {limit}"))
    # Of an attempt that was given up; its bound may be near by now.
    await connection.execute(text("ALTER TABLE clicks DROP CONSTRAINT IF EXISTS clicks_before_bound"))
    bound = (await connection.execute(text(f"SELECT {BOUND}"))).scalar_one()
    later = f"SELECT 1 FROM clicks WHERE id >= '{bound}' LIMIT 1"  # noqa: S608 - a UUID of ours
    if (await connection.execute(text(later))).first() is not None:
        return False
    check = f"ALTER TABLE clicks ADD CONSTRAINT clicks_before_bound CHECK (id < '{bound}') NOT VALID"
    await connection.execute(text(check))
    return True


async def _validate(connection: AsyncConnection) -> None:
    await connection.run_sync(patiently, "ALTER TABLE clicks VALIDATE CONSTRAINT clicks_before_bound")


def bound_of(connection: Connection, relation: str) -> str | None:
    """The bound that the table is known to keep, or None."""
    found = connection.execute(text(_CHECK), {"relation": relation}).scalar()
    held = None if found is None or "NOT VALID" in found else _UUID.search(found)
    return held[1] if held else None


def patiently(connection: Connection, statement: str) -> None:
    """Run it for as long as it takes: a migration's other statements have five seconds."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text(statement))
    connection.execute(text("SET LOCAL statement_timeout = '5s'"))
