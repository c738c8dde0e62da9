"""The keys that nodes share, in SQL: wrapped, with tombstones for those that are destroyed."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent, query, transaction
from backends.sql.schema import shared_keys
from domain.keys import KeyKind, SharedKey

_KEY = tuple_(shared_keys.c.kind, shared_keys.c.number)


class SqlKeys:
    """A KeyTable. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(self) -> Sequence[SharedKey]:
        newest = (
            select(shared_keys.c.kind, func.max(shared_keys.c.number))
            .where(shared_keys.c.wrapped.is_(None))
            .group_by(shared_keys.c.kind)
        )
        wanted = select(shared_keys).where(or_(shared_keys.c.wrapped.is_not(None), _KEY.in_(newest)))

        async def read(connection: AsyncConnection) -> list[SharedKey]:
            found = await connection.execute(wanted.order_by(*shared_keys.primary_key.columns))
            return [_key(row) for row in found]

        return await query(self._engine, read)

    async def offer(self, keys: Sequence[SharedKey]) -> None:
        async def insert(connection: AsyncConnection) -> None:
            # In one order everywhere: two nodes that offer at once wait for each other, and never in a ring.
            ordered = sorted(keys, key=lambda key: (key.kind, key.number, key.copy))
            await connection.execute(
                insert_if_absent(self._engine, shared_keys), [_values(key) for key in ordered]
            )

        if keys:
            await transaction(self._engine, insert)

    async def replace(self, pairs: Sequence[tuple[SharedKey, SharedKey]]) -> None:
        async def change(connection: AsyncConnection) -> None:
            for before, after in sorted(pairs, key=lambda pair: (pair[0].kind, pair[0].number, pair[0].copy)):
                await connection.execute(
                    shared_keys.update()
                    .where(_is(before), shared_keys.c.wrapped == before.wrapped)
                    .values(wrapped=after.wrapped, master_id=after.master)
                )

        if pairs:
            await transaction(self._engine, change)

    async def destroy(self, kind: KeyKind, *, before: int, at_ms: int) -> None:
        async def change(connection: AsyncConnection) -> None:
            await connection.execute(
                shared_keys.update()
                .where(
                    shared_keys.c.kind == kind,
                    shared_keys.c.number < before,
                    shared_keys.c.wrapped.is_not(None),
                )
                .values(wrapped=None, destroyed_at=at_ms)
            )

        await transaction(self._engine, change)

    async def remove(self, keys: Sequence[SharedKey]) -> None:
        async def change(connection: AsyncConnection) -> None:
            for key in keys:
                await connection.execute(
                    shared_keys.delete().where(_is(key), shared_keys.c.wrapped == key.wrapped)
                )

        if keys:
            await transaction(self._engine, change)


def _is(key: SharedKey) -> Any:
    return and_(
        shared_keys.c.kind == key.kind, shared_keys.c.number == key.number, shared_keys.c.copy == key.copy
    )


def _key(row: Any) -> SharedKey:
    return SharedKey(
        kind=row.kind,
        number=row.number,
        copy=row.copy,
        master=row.master_id,
        wrapped=row.wrapped,
        created_ms=row.created_at,
        active_ms=row.active_from,
        destroyed_ms=row.destroyed_at,
    )


def _values(key: SharedKey) -> dict[str, Any]:
    return {
        "kind": key.kind,
        "number": key.number,
        "copy": key.copy,
        "wrapped": key.wrapped,
        "master_id": key.master,
        "created_at": key.created_ms,
        "active_from": key.active_ms,
        "destroyed_at": key.destroyed_ms,
    }
