"""The audit's lines, for whoever does what must be told later."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import transaction
from backends.sql.schema import audit
from domain.clock import Clock


class SqlAudit:
    """Adds lines to the audit, which nobody can change. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def note(self, action: str, detail: Mapping[str, Any]) -> None:
        """Add a line. `detail` holds numbers of users, counts and what links, bots and keys are called: nothing of a visitor."""
        line = audit.insert().values(at=self._clock.now_ms(), action=action, detail=dict(detail))

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(line)

        await transaction(self._engine, write)
