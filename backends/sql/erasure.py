"""Erasing a person: one transaction in SQL, and the list of what is then still to be discarded elsewhere (ADR 0016)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent, query, transaction, upsert
from backends.sql.schema import audit, bot_users, clicks, erasures, outbox, starts, unerased
from backends.sql.tombstones import bury_with_person, clear_conversions, close_to_starts
from domain.errors import StoreUnavailable

Copies = Literal["redis", "spool", "sql"]
THE_FILES = UUID(int=0)
"""Stands in `unerased` for the database's own files, which are scrubbed as a whole."""
CHUNK = 500
_TOUCHED = (clicks, starts, outbox, bot_users)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What one erasure found, in counts, and the number of its line in the audit. `bot_users`: bots that knew the person."""

    audit_id: int
    clicks: int
    starts: int
    conversions: int
    bot_users: int

    @property
    def nothing(self) -> bool:
        """True when SQL had nothing of the person."""
        return not (self.clicks or self.starts or self.conversions or self.bot_users)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line of the audit. `detail` holds counts and names of stores."""

    id: int
    at_ms: int
    action: str
    detail: Mapping[str, Any]


class SqlErasures:
    """Erasures and their audit on one engine. Everything raises StoreUnavailable; repeating anything is safe."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def erase(
        self,
        telegram_id: int,
        *,
        person_key: bytes,
        at_ms: int,
        begun: Iterable[UUID] = (),
        elsewhere: Sequence[Copies] = (),
    ) -> Erased:
        """Erase what SQL has of a person, in every bot, and forbid every start of theirs up to `at_ms` for good.

        `begun` are the clicks that starts of theirs outside SQL name: they are buried too, unless somebody else owns
        them. Every click that is buried is noted as still to be discarded in each store of `elsewhere`.
        """

        async def write(connection: AsyncConnection) -> Erased:
            await close_to_starts(connection)
            await connection.execute(self._forbid(person_key, at_ms))
            owned = select(clicks.c.id).where(clicks.c.owner_telegram_id == telegram_id)
            ids = sorted({*(await connection.execute(owned)).scalars(), *begun})
            buried = await self._bury(connection, ids, telegram_id)
            gone = await connection.execute(delete(starts).where(starts.c.telegram_id == telegram_id))
            cleared = await _clear_conversions(connection, telegram_id, buried)
            known = await connection.execute(delete(bot_users).where(bot_users.c.telegram_id == telegram_id))
            found = {
                "clicks": len(buried),
                "starts": gone.rowcount,
                "conversions": cleared,
                "bot_users": known.rowcount,
            }
            await self._remember(connection, buried, elsewhere, scrub=any(found.values()))
            line = await _note(connection, "erase", found, at_ms)
            return Erased(audit_id=line, **found)

        return await transaction(self._engine, write)

    async def erased_at(self, person_key: bytes) -> int | None:
        """When that person was last erased, UTC milliseconds; None: never."""
        wanted = select(erasures.c.erased_at).where(erasures.c.person_key == person_key)

        async def read(connection: AsyncConnection) -> int | None:
            return (await connection.execute(wanted)).scalar_one_or_none()

        return await query(self._engine, read)

    async def last(self) -> int:
        """When anybody was last erased, UTC milliseconds; 0: never."""

        async def read(connection: AsyncConnection) -> int:
            found: int | None = (
                await connection.execute(select(func.max(erasures.c.erased_at)))
            ).scalar_one()
            return found or 0

        return await query(self._engine, read)

    async def all(self) -> dict[bytes, int]:
        """When each person was last erased, UTC milliseconds, by the digest that stands for them."""

        async def read(connection: AsyncConnection) -> dict[bytes, int]:
            return {row[0]: row[1] for row in await connection.execute(select(erasures))}

        return await query(self._engine, read)

    async def to_do(self, store: Copies, limit: int = 10_000) -> list[UUID]:
        """Clicks whose copies in that store are still to be discarded."""
        wanted = select(unerased.c.click_id).where(unerased.c.store == store).limit(limit)

        async def read(connection: AsyncConnection) -> list[UUID]:
            return list((await connection.execute(wanted)).scalars())

        return await query(self._engine, read)

    async def left(self) -> dict[str, int]:
        """How many copies are still to be discarded, by store."""
        wanted = select(unerased.c.store, func.count()).group_by(unerased.c.store)

        async def read(connection: AsyncConnection) -> dict[str, int]:
            return {row[0]: row[1] for row in await connection.execute(wanted)}

        return await query(self._engine, read)

    async def done(self, store: Copies, ids: Sequence[UUID]) -> None:
        """Those copies are gone."""

        async def write(connection: AsyncConnection) -> None:
            for at in range(0, len(ids), CHUNK):
                which = unerased.c.click_id.in_(ids[at : at + CHUNK]) & (unerased.c.store == store)
                await connection.execute(delete(unerased).where(which))

        await transaction(self._engine, write)

    async def note(self, action: str, detail: Mapping[str, Any], at_ms: int) -> int:
        """Add a line to the audit, without personal data; its number."""
        return await transaction(
            self._engine, lambda connection: _note(connection, action, dict(detail), at_ms)
        )

    async def audit(self, *, since_ms: int = 0, limit: int = 1000) -> list[AuditLine]:
        """The newest lines since then, oldest first."""
        wanted = select(audit).where(audit.c.at >= since_ms).order_by(audit.c.id.desc()).limit(limit)

        async def read(connection: AsyncConnection) -> list[AuditLine]:
            found = (await connection.execute(wanted)).all()
            return [AuditLine(id=r.id, at_ms=r.at, action=r.action, detail=r.detail) for r in reversed(found)]

        return await query(self._engine, read)

    async def scrub(self) -> bool:
        """Take erased bytes out of the database's files as far as the engine can; False when it could not now.

        On SQLite the file is written anew and its log emptied: secure_delete alone leaves copies of rows that were once
        moved from page to page. On PostgreSQL dead rows go with VACUUM.
        """
        try:
            if self._engine.dialect.name == "sqlite":
                return await query(self._engine, _write_anew)
            return await query(self._engine, _vacuum)
        except StoreUnavailable:
            return False

    async def _bury(self, connection: AsyncConnection, ids: Sequence[UUID], telegram_id: int) -> list[UUID]:
        """Those that are theirs or nobody's. Row by row in the order of their ids, as every writer locks them."""
        buried: list[UUID] = []
        for click_id in ids:
            statement = bury_with_person(self._engine, click_id, telegram_id=telegram_id).returning(
                clicks.c.id
            )
            buried += (await connection.execute(statement)).scalars().all()
        return buried

    def _forbid(self, person_key: bytes, at_ms: int) -> Any:
        new = upsert(self._engine, erasures).values(person_key=person_key, erased_at=at_ms)
        later = new.excluded.erased_at > erasures.c.erased_at
        return new.on_conflict_do_update(
            index_elements=["person_key"], set_={"erased_at": new.excluded.erased_at}, where=later
        )

    async def _remember(
        self, connection: AsyncConnection, ids: Iterable[UUID], elsewhere: Sequence[Copies], *, scrub: bool
    ) -> None:
        rows = [{"click_id": click_id, "store": store} for click_id in ids for store in elsewhere]
        if scrub:
            rows.append({"click_id": THE_FILES, "store": "sql"})
        if rows:
            await connection.execute(insert_if_absent(self._engine, unerased), rows)


async def _clear_conversions(connection: AsyncConnection, telegram_id: int, ids: Sequence[UUID]) -> int:
    """Of conversions that name the person, and of those of the clicks; how many were changed."""
    cleared = await clear_conversions(connection, outbox.c.telegram_id == telegram_id)
    for at in range(0, len(ids), CHUNK):
        cleared += await clear_conversions(connection, outbox.c.click_id.in_(ids[at : at + CHUNK]))
    return cleared


async def _note(connection: AsyncConnection, action: str, detail: dict[str, Any], at_ms: int) -> int:
    line = audit.insert().values(at=at_ms, action=action, detail=detail).returning(audit.c.id)
    number: int = (await connection.execute(line)).scalar_one()
    return number


async def _write_anew(connection: AsyncConnection) -> bool:
    await connection.exec_driver_sql("VACUUM")
    done = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
    return not done[0]  # busy, pages in the log, pages moved


async def _vacuum(connection: AsyncConnection) -> bool:
    outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
    for table in _TOUCHED:
        await outside.execute(text(f"VACUUM {table.name}"))
    return True
