"""Bots as workers are logged in as them, in SQL: leases, heartbeats, health, sealed tokens."""

from typing import Any

from sqlalchemy import ColumnElement, Update, case, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.catalog_rows import bot_of, raise_version
from backends.sql.engine import one_row, query, transaction
from backends.sql.schema import bots, catalog
from domain.accounts import BotStatus, Heartbeat, Lease, UpdateState
from domain.errors import ConfigError
from domain.links import BotHealth, valid_username

_STATE = (bots.c.update_pts, bots.c.update_qts, bots.c.update_date)


class SqlBotAccounts:
    """A BotAccounts. Raises StoreUnavailable; ConfigError when there is no such bot."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def tokens(self) -> dict[int, bytes]:
        wanted = select(bots.c.id, bots.c.token).where(bots.c.token.is_not(None))

        async def read(connection: AsyncConnection) -> dict[int, bytes]:
            return {row.id: row.token for row in await connection.execute(wanted)}

        return await query(self._engine, read)

    async def put_token(self, bot_id: int, sealed: bytes | None, telegram_id: int | None) -> None:
        values: dict[Any, Any] = {"token": sealed}
        if telegram_id is not None:
            other = bots.c.telegram_id != telegram_id
            values |= {column.name: case((other, None), else_=column) for column in _STATE}
            values["telegram_id"] = telegram_id
        await self._change(bot_id, values, raises_version=False)

    async def put_webhook_key(self, bot_id: int, digest: bytes | None) -> None:
        await self._change(bot_id, {"webhook_key": digest})

    async def acquire(self, bot_id: int, worker: str, *, now_ms: int, until_ms: int) -> Lease | None:
        over = or_(bots.c.worker_until.is_(None), bots.c.worker_until <= now_ms)
        open_to_us = or_(bots.c.worker.is_(None), bots.c.worker == worker, over)
        take = _one(bot_id).where(open_to_us).values(worker=worker, worker_until=until_ms)
        wanted = select(bots.c.worker, bots.c.worker_until, open_to_us.label("free")).where(
            bots.c.id == bot_id
        )

        # One statement decides: the second of two callers waits for the row, and then sees whose it has become.
        async def work(connection: AsyncConnection) -> Lease | None:
            while not (await connection.execute(take)).rowcount:
                row = (await connection.execute(wanted)).one_or_none()
                if row is None:
                    raise _absent(bot_id)
                if not row.free:
                    return Lease(worker=row.worker, until_ms=row.worker_until)
                # Given back in between: once more.
            return None

        return await transaction(self._engine, work)

    async def beat(self, bot_id: int, worker: str, heartbeat: Heartbeat, *, until_ms: int) -> bool:
        news: list[tuple[Any, int | None]] = [
            (bots.c.heard_at, heartbeat.heard_at_ms),
            (bots.c.checked_at, heartbeat.checked_at_ms),
        ]
        if (state := heartbeat.state) is not None:
            news += zip(_STATE, (state.pts, state.qts, state.date), strict=True)
        values = {column.name: _newer(column, value) for column, value in news if value is not None}
        return await self._if_ours(bot_id, worker, values | {"worker_until": until_ms})

    async def release(self, bot_id: int, worker: str) -> None:
        await self._if_ours(bot_id, worker, {"worker": None, "worker_until": None})

    async def state(self, bot_id: int) -> UpdateState | None:
        row = await one_row(self._engine, select(*_STATE).where(bots.c.id == bot_id))
        if row is None or row.update_pts is None:
            return None
        return UpdateState(pts=row.update_pts, qts=row.update_qts, date=row.update_date)

    async def put_health(self, bot_id: int, health: BotHealth, *, at_ms: int) -> bool:
        other = _one(bot_id).where(bots.c.health != health).values(health=health, health_at=at_ms)
        held = select(bots.c.health).where(bots.c.id == bot_id)

        async def work(connection: AsyncConnection) -> bool:
            now = (await connection.execute(held)).scalar_one_or_none()
            if now is None:
                raise _absent(bot_id)
            if now == health:
                return False
            # The catalog's row before the bot's, as in every change: two changes never wait for each other in a ring.
            await connection.execute(select(catalog.c.version).with_for_update())
            if not (await connection.execute(other)).rowcount:
                return False
            await raise_version(connection)
            return True

        return await transaction(self._engine, work)

    async def rename(self, bot_id: int, username: str) -> None:
        name = valid_username(username)
        key = name.lower()
        taken = select(bots.c.id).where(bots.c.username_key == key, bots.c.id != bot_id)
        change = _one(bot_id).values(username=name, username_key=key, health="unknown", health_at=None)

        async def work(connection: AsyncConnection) -> None:
            await raise_version(connection)
            if (await connection.execute(taken)).first():
                raise ConfigError(f"@{name} is another registered bot")
            if not (await connection.execute(change)).rowcount:
                raise _absent(bot_id)

        await transaction(self._engine, work)

    async def overview(self) -> list[BotStatus]:
        async def read(connection: AsyncConnection) -> list[BotStatus]:
            return [status_of(row) for row in await connection.execute(select(bots).order_by(bots.c.id))]

        return await query(self._engine, read)

    async def _change(self, bot_id: int, values: dict[Any, Any], *, raises_version: bool = True) -> None:
        async def work(connection: AsyncConnection) -> None:
            if raises_version:
                await raise_version(connection)
            if not (await connection.execute(_one(bot_id).values(values))).rowcount:
                raise _absent(bot_id)

        await transaction(self._engine, work)

    async def _if_ours(self, bot_id: int, worker: str, values: dict[str, Any]) -> bool:
        change = _one(bot_id).where(bots.c.worker == worker).values(values)

        async def work(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(change)).rowcount)

        return await transaction(self._engine, work)


def _one(bot_id: int) -> Update:
    return bots.update().where(bots.c.id == bot_id)


def _newer(column: Any, value: int) -> ColumnElement[Any]:
    """The greater of the two: beats may come late, and nothing that was counted is uncounted."""
    given = literal(value, column.type)
    return case((column > given, column), else_=given)


def _absent(bot_id: int) -> ConfigError:
    return ConfigError(f"no bot with the id {bot_id}. See them all: trilha bot-account list")


def status_of(row: Any) -> BotStatus:
    """The bot of a row of `bots`, as an operator sees it."""
    return BotStatus(
        bot=bot_of(row),
        telegram_id=row.telegram_id,
        has_token=row.token is not None,
        worker=row.worker,
        worker_until_ms=row.worker_until,
        heard_at_ms=row.heard_at,
        checked_at_ms=row.checked_at,
        health_at_ms=row.health_at,
    )
