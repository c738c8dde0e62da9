"""What alerts are judged by and nothing else reads: figures of bots, of the books' last minutes, of the rollups' queue."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query
from backends.sql.rollup_schema import CHANGES
from backends.sql.schema import accounting, bots, link_bots
from domain.links import BotHealth


@dataclass(frozen=True, slots=True, kw_only=True)
class BotSign:
    """A bot. pooled: a link leads to it; heard_ms: when its worker last heard from Telegram, or since when it could have."""

    username: str
    health: BotHealth
    has_token: bool
    pooled: bool
    heard_ms: int


class SqlSigns:
    """Raises StoreUnavailable. Minutes are UTC minutes since the epoch."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def bots(self) -> list[BotSign]:
        """Every bot."""
        pools = select(link_bots.c.bot_id).distinct()

        async def read(connection: AsyncConnection) -> list[BotSign]:
            pooled = set((await connection.execute(pools)).scalars())
            rows = await connection.execute(select(bots).order_by(bots.c.id))
            return [_sign(row, pooled=row.id in pooled) for row in rows]

        return await query(self._engine, read)

    async def token_only(self, since_minute: int) -> dict[int, int]:
        """Clicks that no store had when they were answered, by node."""
        figure = func.sum(accounting.c.token_only)
        wanted = (
            select(accounting.c.node, figure.label("clicks"))
            .where(accounting.c.minute >= since_minute)
            .group_by(accounting.c.node)
        )

        async def read(connection: AsyncConnection) -> dict[int, int]:
            return {row.node: int(row.clicks) for row in await connection.execute(wanted)}

        return await query(self._engine, read)

    async def answered(self, node: int, since_minute: int) -> bool:
        """Whether a daemon of that node has given out a token since then."""
        mine = (accounting.c.node == node, accounting.c.minute >= since_minute)
        wanted = select(accounting.c.minute).where(*mine).limit(1)

        async def read(connection: AsyncConnection) -> bool:
            return (await connection.execute(wanted)).first() is not None

        return await query(self._engine, read)

    async def changes_waiting(self) -> int:
        """How many changes wait to be folded into the rollups, from the first number that waits to the last: never too few."""

        async def read(connection: AsyncConnection) -> int:
            waiting = 0
            for table in CHANGES:
                first = (await connection.execute(select(func.min(table.c.seq)))).scalar()
                last = (await connection.execute(select(func.max(table.c.seq)))).scalar()
                waiting += 0 if first is None or last is None else last - first + 1
            return waiting

        return await query(self._engine, read)


def _sign(row: Any, *, pooled: bool) -> BotSign:
    return BotSign(
        username=row.username,
        health=row.health,
        has_token=row.token is not None,
        pooled=pooled,
        heard_ms=max(row.heard_at or 0, row.checked_at or 0) or row.created_at,
    )
