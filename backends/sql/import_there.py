"""What of an import is there already."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.among import IDS, among, packer
from backends.sql.engine import query
from backends.sql.schema import clicks


class There:
    """Counts clicks that have a row, also those that were erased. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._ids = packer(engine)
        self._wanted = select(func.count()).select_from(clicks).where(among(engine, clicks.c.id))

    async def __call__(self, ids: Sequence[UUID]) -> int:
        """How many of these."""

        async def read(connection: AsyncConnection) -> int:
            return int((await connection.execute(self._wanted, {IDS: self._ids(ids)})).scalar_one())

        return await query(self._engine, read)
