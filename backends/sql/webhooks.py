"""Webhooks in SQL: where else conversions go. Whoever settles reads them in its own transaction (backends/sql/owed.py)."""

from typing import Any

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import one_row, query, transaction, upsert
from backends.sql.lanes import released
from backends.sql.schema import is_pending, lanes, outbox, webhooks
from domain.conversions import webhook_lane
from domain.errors import ConfigError
from domain.webhooks import Webhook

REMOVED = "the webhook was removed"
BATCH = 5000
_ROW = tuple_(outbox.c.event_id, outbox.c.lane)


class SqlWebhooks:
    """Raises StoreUnavailable; repeating anything is safe. batch: how many conversions one transaction ends."""

    def __init__(self, engine: AsyncEngine, *, batch: int = BATCH) -> None:
        self._engine, self._batch = engine, batch

    async def put(self, webhook: Webhook) -> None:
        """That webhook, in place of one of its name. What waits for it is kept, and goes to the new one; its lane is not held
        any more, as what it was held for may be mended.
        """
        given = {"url": webhook.url, "secret": webhook.secret}
        row = given | {"name": webhook.name, "created_at": webhook.created_at_ms}
        write = upsert(self._engine, webhooks).on_conflict_do_update(index_elements=["name"], set_=given)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(write, row)
            await connection.execute(released(webhook_lane(webhook.name)))

        await transaction(self._engine, work)

    async def find(self, name: str) -> Webhook | None:
        """The webhook of that name."""
        row = await one_row(self._engine, select(webhooks).where(webhooks.c.name == name))
        return None if row is None else _webhook(row)

    async def list(self) -> list[Webhook]:
        """All of them, by name."""

        async def read(connection: AsyncConnection) -> list[Webhook]:
            return [
                _webhook(row) for row in await connection.execute(select(webhooks).order_by(webhooks.c.name))
            ]

        return await query(self._engine, read)

    async def remove(self, name: str) -> int:
        """Take it away for good; how many conversions waited for it, which end as skipped. ConfigError when there is none.

        The webhook goes first, then they in batches: nobody waits long. Should that be broken off, the relay finds a lane
        that leads nowhere and ends the rest.
        """

        async def forget(connection: AsyncConnection) -> None:
            gone = await connection.execute(delete(webhooks).where(webhooks.c.name == name))
            if not gone.rowcount:
                raise ConfigError(f"no webhook {name!r}. See them all: trilha webhook list")
            await connection.execute(delete(lanes).where(lanes.c.lane == webhook_lane(name)))

        await transaction(self._engine, forget)
        return await self._end_pending(webhook_lane(name))

    async def _end_pending(self, lane: str) -> int:
        some = (
            select(outbox.c.event_id, outbox.c.lane)
            .where(outbox.c.lane == lane, is_pending)
            .limit(self._batch)
        )
        # Pending is asked again: a relay may have ended a row since it was chosen.
        end = update(outbox).where(_ROW.in_(some), is_pending).values(state="skipped", reason=REMOVED)

        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(end)).rowcount

        ended = 0
        while batch := await transaction(self._engine, work):
            ended += batch
        return ended


def _webhook(row: Any) -> Webhook:
    return Webhook(name=row.name, url=row.url, secret=row.secret, created_at_ms=row.created_at)
