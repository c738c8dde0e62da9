"""The owner is committed first, and the rows of the outbox in a second transaction, by whoever completed the click.

Every fifth time the connection is lost between the two. The caller tries again, finds the click complete, and has nothing
left to do: its conversion is never reported. Who has had it: whoever writes to a database and then to a queue (the dual
write that the outbox pattern is for), and whoever has the outbox but writes it after COMMIT. Found by: comparing owned clicks
with the outbox's rows once everything is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.sql.engine import query, transaction
from backends.sql.ledger import SqlLedger
from backends.sql.owed import Owed
from backends.sql.schema import clicks
from chaos.inside.patch import replace
from domain.errors import StoreUnavailable

EVERY = 5


class _SecondTransaction:
    """Writes what is owed for the clicks that were completed between `before` and `after`."""

    def __init__(self, of_starts: Any) -> None:
        self._of_starts = of_starts
        self._numbers = count(1)

    async def around(self, ledger: Any, ids: Iterable[UUID], first: Callable[[], Any]) -> Any:
        """The result of the first transaction, after the second. StoreUnavailable when the second did not come about."""
        before = await _complete(ledger, ids)
        result = await first()
        completed = await _complete(ledger, ids) - before
        if completed:
            await self._owe(ledger, completed)
        return result

    async def _owe(self, ledger: Any, ids: set[UUID]) -> None:
        if next(self._numbers) % EVERY == 0:
            raise StoreUnavailable("the connection was lost after the first of two transactions")

        async def write(connection: AsyncConnection) -> None:
            await self._of_starts(ledger._owed, connection, sorted(ids))  # noqa: SLF001  what the ledger would do

        await transaction(ledger._engine, write)  # noqa: SLF001  as above


def plant() -> None:
    """Take what is owed out of the transactions of the facts."""
    second = _SecondTransaction(Owed.of_starts)

    def starting(record_start: Any) -> Any:
        async def record(self: Any, start: Any, click: Any) -> Any:
            ids = [start.click.id] if start.click is not None else []
            return await second.around(self, ids, lambda: record_start(self, start, click))

        return record

    def settling(settle: Any) -> Any:
        async def settled(self: Any, batch: Any, begun: Any, *rest: Any) -> Any:
            ids = {click.id for click in batch} | {
                start.click.id for start in begun if start.click is not None
            }
            return await second.around(self, ids, lambda: settle(self, batch, begun, *rest))

        return settled

    replace(Owed, "of_starts", lambda _: _nothing)
    replace(SqlLedger, "record_start", starting)
    replace(SqlLedger, "settle", settling)


async def _nothing(_self: Any, _connection: AsyncConnection, _ids: Iterable[UUID]) -> None:
    return None


async def _complete(ledger: Any, ids: Iterable[UUID]) -> set[UUID]:
    """Those of the clicks that have both facts."""
    both = clicks.c.clicked_at.is_not(None) & clicks.c.owner_telegram_id.is_not(None)
    wanted = select(clicks.c.id).where(clicks.c.id.in_(list(ids)), both)

    async def read(connection: AsyncConnection) -> set[UUID]:
        return set((await connection.execute(wanted)).scalars())

    return await query(ledger._engine, read)  # noqa: SLF001  beside the ledger's own statements
