"""What a database that was restored from a backup has to be told: who was erased since, and what may have been sent since."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, inspect, select, union, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction, upsert
from backends.sql.erasure import SqlErasures
from backends.sql.schema import bot_users, clicks, erasures, links, outbox, starts
from backends.sql.tombstones import PersonKey, close_to_starts
from domain.clock import iso
from domain.errors import StoreUnavailable

PEOPLE_AT_ONCE = 2000
WATCHED = (links, clicks, starts, bot_users, outbox)


async def rows_there(engine: AsyncEngine) -> dict[str, int] | None:
    """Rows of ours by table, without empty ones; None when there are no tables of ours. Raises StoreUnavailable."""

    async def read(connection: AsyncConnection) -> dict[str, int] | None:
        there = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        if not there:
            return None
        found: dict[str, int] = {}
        for table in WATCHED:
            if table.name in there:
                count = (await connection.execute(select(func.count()).select_from(table))).scalar_one()
                found |= {table.name: count} if count else {}
        return found

    try:
        return await query(engine, read)
    except SQLAlchemyError as error:
        raise StoreUnavailable(f"SQL cannot be read: {type(error).__name__}") from error


class SqlRestored:
    """A database as it came out of a backup, before anything runs on it. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine, person_key: PersonKey) -> None:
        self._engine = engine
        self._person_key = person_key

    async def erase_again(self, journal: Mapping[bytes, int]) -> int:
        """Erase whoever was erased after the backup, as of then; how many erasures SQL did not know.

        First those whose id is still here; then the digests of all others, so that no start of theirs that waits in a spool,
        or that Telegram sends again, is taken.
        """
        unknown = await self._unknown(journal)
        sql = SqlErasures(self._engine)
        for telegram_id in await self._people(unknown) if unknown else ():
            key = self._person_key(telegram_id)
            await sql.erase(telegram_id, person_key=key, at_ms=unknown[key], elsewhere=("redis", "spool"))
        if unknown:
            await transaction(self._engine, lambda connection: self._forbid(connection, unknown))
        return len(unknown)

    async def skip_what_may_have_been_sent(self, at_ms: int) -> int:
        """Conversions that waited at the moment of the backup are not sent any more, and say why; how many.

        For backups older than a destination tells copies apart: a conversion of then is more likely sent than not.
        """
        reason = f"waited at the backup of {iso(at_ms)}, and may have been sent since"
        change = (
            update(outbox).where(outbox.c.state == "pending").values(state="skipped", reason=reason[:200])
        )

        async def write(connection: AsyncConnection) -> int:
            return (await connection.execute(change)).rowcount

        return await transaction(self._engine, write)

    async def waiting(self) -> int:
        """Conversions that are still to be sent."""
        wanted = select(func.count()).where(outbox.c.state == "pending")

        async def read(connection: AsyncConnection) -> int:
            return int((await connection.execute(wanted)).scalar_one())

        return await query(self._engine, read)

    async def _unknown(self, journal: Mapping[bytes, int]) -> dict[bytes, int]:
        async def read(connection: AsyncConnection) -> dict[bytes, int]:
            rows = await connection.execute(select(erasures.c.person_key, erasures.c.erased_at))
            return {row[0]: row[1] for row in rows}

        known = await query(self._engine, read)
        return {key: at_ms for key, at_ms in journal.items() if at_ms > known.get(key, -1)}

    async def _people(self, wanted: Mapping[bytes, int]) -> list[int]:
        """The Telegram ids here that those digests are of: each one here is digested, as a digest leads nowhere."""
        columns = (
            clicks.c.owner_telegram_id,
            starts.c.telegram_id,
            bot_users.c.telegram_id,
            outbox.c.telegram_id,
        )
        everybody = union(
            *(select(column.label("telegram_id")).where(column.is_not(None)) for column in columns)
        )

        async def read(connection: AsyncConnection) -> list[int]:
            found: list[int] = []
            async with connection.stream(everybody) as rows:
                async for part in rows.scalars().partitions(PEOPLE_AT_ONCE):
                    found += self._those(part, wanted)
            return found

        return await query(self._engine, read)

    def _those(self, ids: Sequence[int], wanted: Mapping[bytes, int]) -> list[int]:
        return [telegram_id for telegram_id in ids if self._person_key(telegram_id) in wanted]

    async def _forbid(self, connection: AsyncConnection, unknown: Mapping[bytes, int]) -> None:
        await close_to_starts(connection)
        new = upsert(self._engine, erasures)
        statement: Any = new.on_conflict_do_update(
            index_elements=["person_key"],
            set_={"erased_at": new.excluded.erased_at},
            where=new.excluded.erased_at > erasures.c.erased_at,
        )
        rows = [{"person_key": key, "erased_at": at_ms} for key, at_ms in unknown.items()]
        await connection.execute(statement, rows)
