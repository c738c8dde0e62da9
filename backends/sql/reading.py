"""Reading for people: statements of the reports, all of one question at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import snapshot

NO_VALUES: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Question:
    """A SELECT that both engines understand, with `:name` for each value.

    Sums are written CAST(SUM(x) AS BIGINT): PostgreSQL's SUM of integers is a decimal.
    """

    sql: str
    values: Mapping[str, Any] = field(default_factory=lambda: NO_VALUES)


class SqlReader:
    """Answers questions. It never writes, and holds up no writer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def ask(self, *questions: Question) -> list[Sequence[Any]]:
        """The rows of each question, whose columns are attributes; all as of one moment. Raises StoreUnavailable."""

        async def read(connection: AsyncConnection) -> list[Sequence[Any]]:
            if connection.dialect.name == "postgresql":
                # A plan for any period is two times slower over three months than the plan for them; to plan takes 0.4 ms.
                await connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")
            return [(await connection.execute(text(q.sql), dict(q.values))).all() for q in questions]

        return await snapshot(self._engine, read)
