"""How an engine would run the statements that something executes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

WIDTH = 150  # a condition may list a thousand ids
BY_INDEX = ("enable_seqscan = off", "enable_sort = off")
Statements = list[tuple[str, Any]]


@asynccontextmanager
async def overheard(engine: AsyncEngine) -> AsyncIterator[Statements]:
    """The statements that are executed meanwhile, each with its parameters (the first of many)."""
    heard: Statements = []

    def note(_c: Any, _k: Any, statement: str, given: Any, _context: Any, many: bool) -> None:
        heard.append((statement, given[0] if many else given))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield heard
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def plans(engine: AsyncEngine, statements: Statements, *settings: str) -> list[Sequence[str]]:
    """The lines of each statement's plan, on a connection with these settings; nothing is changed."""
    found: list[Sequence[str]] = []
    postgres = engine.dialect.name == "postgresql"
    async with engine.connect() as connection:
        for setting in settings if postgres else ():
            await connection.exec_driver_sql(f"SET LOCAL {setting}")
        for statement, given in statements:
            if not statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")):
                continue
            how = "EXPLAIN (COSTS OFF) " if postgres else "EXPLAIN QUERY PLAN "
            lines = (await connection.exec_driver_sql(how + statement, given)).all()
            found.append([str(line[0] if postgres else line[3])[:WIDTH] for line in lines])
        await connection.rollback()
    return found
