"""Tombstones: what a click's row becomes when it is erased. Neither fact is ever set on it again (I5).

The books keep counting it: `clicked_at` of a click that SQL had and `spooled` stay, `erased_at` says the rest.
"""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, null, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import upsert
from backends.sql.enrichment import ENRICHMENT_COLUMNS
from backends.sql.schema import clicks, erasures, outbox
from domain.attribution import Start
from domain.conversions import ERASED, Conversion

PersonKey = Callable[[int], bytes]
"""What stands for a Telegram id in `erasures`: `Keyring.person_key`."""

_OF_THE_VISITOR = (
    "params",
    "referer_host",
    "language",
    "visitor_key",
    "visitor_period",
    "fbclid_key",
    "sealed",
    *ENRICHMENT_COLUMNS,
)
_OF_THE_PERSON = (
    *_OF_THE_VISITOR,
    "method",
    "prefetch",
    "gpc",
    "owner_bot_id",
    "owner_telegram_id",
    "started_at",
    "scored_at",
)
_NOBODYS: dict[str, Any] = dict.fromkeys(("bot_id", "telegram_id", "order_id", "custom", "person"), null())


def bury(engine: AsyncEngine, click_id: UUID, *, spooled: bool) -> Any:
    """The statement that erases a click's data, whether its row is there yet or not. An owner that it has stays."""
    statement = upsert(engine, clicks).values(**_tombstone(click_id, spooled=spooled))
    new = statement.excluded
    values: dict[str, Any] = dict.fromkeys(_OF_THE_VISITOR, null())
    values["erased_at"] = func.coalesce(clicks.c.erased_at, new.erased_at)
    values["spooled"] = clicks.c.spooled | new.spooled
    return statement.on_conflict_do_update(index_elements=["id"], set_=values)


def bury_with_person(engine: AsyncEngine, click_id: UUID, *, telegram_id: int | None = None) -> Any:
    """The statement that erases a click's data and its owner, unless somebody else owns it.

    `telegram_id` is the person who may own it; None: only a click that nobody owns is erased.
    """
    statement = upsert(engine, clicks).values(**_tombstone(click_id, spooled=False))
    values: dict[str, Any] = dict.fromkeys(_OF_THE_PERSON, null())
    values["erased_at"] = func.coalesce(clicks.c.erased_at, statement.excluded.erased_at)
    theirs: ColumnElement[bool] = clicks.c.owner_telegram_id.is_(None)
    if telegram_id is not None:
        theirs |= clicks.c.owner_telegram_id == telegram_id
    return statement.on_conflict_do_update(index_elements=["id"], set_=values, where=theirs)


async def skip_conversions(connection: AsyncConnection, which: ColumnElement[bool]) -> int:
    """Those conversions that were not sent are not sent any more; how many. None of them says any more whose it is.

    The event's id and what became of it stay: reported again, it is still the same.
    """
    unsent = which & (outbox.c.state != "sent") & outbox.c.reason.is_distinct_from(ERASED)
    skipped = await connection.execute(update(outbox).where(unsent).values(state="skipped", reason=ERASED))
    await connection.execute(update(outbox).where(which).values(_NOBODYS))
    return skipped.rowcount


async def open_for_people(connection: AsyncConnection) -> None:
    """Begin a transaction that reads `erasures` and then writes what depends on it: call it before anything else.

    SQLite's driver would begin it only at the first write, and an erasure could come in between.
    """
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("BEGIN IMMEDIATE")


async def close_to_starts(connection: AsyncConnection) -> None:
    """As `open_for_people`, for whoever writes `erasures`: waits for every start under way, and new ones wait for it.

    Without it, on PostgreSQL, a start could look before the erasure is there and be written after it has looked for starts.
    """
    await open_for_people(connection)
    if connection.dialect.name == "postgresql":
        # Conflicts with the ROW SHARE that `gone` takes by its FOR KEY SHARE, and with itself.
        await connection.execute(text("LOCK TABLE erasures IN EXCLUSIVE MODE"))


async def beside_erasures(connection: AsyncConnection) -> None:
    """Begin a transaction that moves a person's rows: no erasure is under way until it ends, as it would miss what moves."""
    await open_for_people(connection)
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE erasures IN ROW SHARE MODE"))


async def gone(
    connection: AsyncConnection, facts: Sequence[Start | Conversion], person_key: PersonKey
) -> set[UUID]:
    """The ids of those facts whose person was erased at that moment or afterwards. They must not be written.

    Until the transaction ends nobody is erased, also where a fact names a click and no person.
    """
    if not facts:
        return set()
    keys = {fact.id: person_key(fact.owner.telegram_id) for fact in facts if fact.owner is not None}
    wanted = (
        select(erasures.c.person_key, erasures.c.erased_at)
        .where(erasures.c.person_key.in_(set(keys.values())))
        .with_for_update(read=True, key_share=True)
    )
    erased_at: dict[bytes, int] = {row.person_key: row.erased_at for row in await connection.execute(wanted)}
    return {fact.id for fact in facts if fact.id in keys and fact.at_ms <= erased_at.get(keys[fact.id], -1)}


def _tombstone(click_id: UUID, *, spooled: bool) -> dict[str, Any]:
    return {
        "id": click_id,
        "link_id": 0,
        "node": 0,
        "ad_key": b"",
        "erased_at": func.current_timestamp(),
        "spooled": spooled,
    }
