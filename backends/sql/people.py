"""The people of a bot in SQL: answers to their starts, who blocked the bot, and one person with their touches."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, Select, bindparam, false, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, transaction
from backends.sql.schema import bot_users, clicks, starts
from domain.attribution import Owner
from domain.enrichment import Agent
from domain.ids import uuid7_ms
from domain.people import BotUser, ClickTouch, Reply, agent_summary

_CHUNK = 500
_AGENT = ("device", "os", "os_version", "browser", "browser_version")
_OF_THE_CLICK = ("link_id", "visitor_key", *_AGENT)
_REPLY = (
    starts.update()
    .where(starts.c.id == bindparam("start"), starts.c.reply.is_(None))
    .values(reply=bindparam("outcome"), replied_at=bindparam("at"))
)


class SqlPeople:
    """`People` on one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def replied(self, start_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these starts whose answer is recorded, sent or refused."""
        return await query(
            self._engine, lambda connection: _which(connection, start_ids, starts.c.reply.is_not(None))
        )

    async def note_replies(self, replies: Sequence[Reply]) -> set[UUID]:
        """Record answers; one that is recorded stays. The ids of starts that are not here: not yet settled, or erased."""
        ordered = sorted(replies, key=lambda reply: (reply.start_id, reply.at_ms))
        if not ordered:
            return set()
        rows = [{"start": reply.start_id, "outcome": reply.outcome, "at": reply.at_ms} for reply in ordered]
        ids = {reply.start_id for reply in ordered}

        async def write(connection: AsyncConnection) -> set[UUID]:
            await connection.execute(_REPLY, rows)
            return ids - await _which(connection, sorted(ids))

        return await transaction(self._engine, write)

    async def note_block(self, owner: Owner, *, blocked: bool, at_ms: int) -> None:
        """The person blocked the bot at that time, or took it back. The newest word counts, and a later start unblocks.

        Of two words of the same millisecond the block counts. Somebody who is not known stays unknown: a person who was
        erased does not come back by this.
        """
        old = bot_users.c
        newer = old.blocked_at.is_(None) | (old.blocked_at < at_ms)
        if blocked:
            newer |= old.blocked_at == at_ms
        change = (
            bot_users.update()
            .where(old.bot_id == owner.bot_id, old.telegram_id == owner.telegram_id, newer)
            .values(blocked=old.last_started_at <= at_ms if blocked else false(), blocked_at=at_ms)
        )
        await transaction(self._engine, lambda connection: connection.execute(change))

    async def person(self, owner: Owner) -> BotUser | None:
        """The person as that bot knows them, or None."""

        async def read(connection: AsyncConnection) -> BotUser | None:
            found = await bot_users_of(connection, owner.telegram_id, owner.bot_id)
            return found[0] if found else None

        return await query(self._engine, read)


async def bot_users_of(
    connection: AsyncConnection, telegram_id: int, bot_id: int | None = None
) -> tuple[BotUser, ...]:
    """One person, as every bot or one bot knows them."""
    wanted = _WITH_CLICKS.where(bot_users.c.telegram_id == telegram_id)
    if bot_id is not None:
        wanted = wanted.where(bot_users.c.bot_id == bot_id)
    found = await connection.execute(wanted.order_by(bot_users.c.bot_id))
    return tuple(_bot_user(row) for row in found.mappings())


async def _which(connection: AsyncConnection, ids: Sequence[UUID], *conditions: Any) -> set[UUID]:
    """Those of the ids that are in `starts` under these conditions."""
    found: set[UUID] = set()
    for at in range(0, len(ids), _CHUNK):
        wanted = select(starts.c.id).where(starts.c.id.in_(ids[at : at + _CHUNK]), *conditions)
        found.update((await connection.execute(wanted)).scalars())
    return found


def _with_clicks() -> Select[Any]:
    first, last = clicks.alias("first"), clicks.alias("last")
    return (
        select(bot_users, *_labelled(first), *_labelled(last))
        .outerjoin(first, first.c.id == bot_users.c.first_click_id)
        .outerjoin(last, last.c.id == bot_users.c.last_click_id)
    )


def _labelled(alias: Any) -> Iterable[Any]:
    return (alias.c[name].label(f"{alias.name}_{name}") for name in _OF_THE_CLICK)


_WITH_CLICKS = _with_clicks()


def _bot_user(row: RowMapping) -> BotUser:
    return BotUser(
        owner=Owner(bot_id=row["bot_id"], telegram_id=row["telegram_id"]),
        first_started_at_ms=row["first_started_at"],
        last_started_at_ms=row["last_started_at"],
        first_touch=_touch(row, "first"),
        last_touch=_touch(row, "last"),
        blocked=row["blocked"],
        blocked_at_ms=row["blocked_at"],
    )


def _touch(row: RowMapping, which: str) -> ClickTouch | None:
    click_id = row[f"{which}_click_id"]
    if click_id is None:
        return None
    agent = Agent(**{name: row[f"{which}_{name}"] for name in _AGENT})
    visitor_key = row[f"{which}_visitor_key"]
    return ClickTouch(
        started_at_ms=row[f"{which}_click_at"],
        tracking_session_id=click_id,
        click_timestamp_ms=uuid7_ms(click_id),
        link_id=row[f"{which}_link_id"],
        ip_hash=visitor_key.hex() if visitor_key else None,
        user_agent=agent_summary(agent),
    )
