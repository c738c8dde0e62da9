"""Rows for the archive, day by day, and what says cheaply that days of it are not what they were. Reads only."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import query, snapshot
from backends.sql.rollup_schema import click_changes, rollup_days, rollup_state
from backends.sql.schema import ads, audit, bots, clicks, links, outbox, starts
from domain.ids import first_uuid7
from domain.rollups import date_of, day_of

Dataset = Literal["clicks", "starts", "conversions"]
Taken = Callable[[Sequence[Any]], None]
BATCH = 5_000
TRAITS = (
    "referer_host", "gpc", "country", "region", "city", "asn", "device", "os", "browser", "app", "automation", "robot",
    "traffic_class", "tentative", "repeats", "bot_score", "fraud_score",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What links and bots are called now, by their numbers."""

    links: Mapping[int, str]
    bots: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasures:
    """What has been erased up to now: the last erasure's line in the audit (0: none), and the erased clicks of each local day.

    clicks: None when the rollups are of another time zone, so that their days say nothing.
    """

    line: int
    clicks: Mapping[date, int] | None


class SqlArchived:
    """The base tables as the archive has them. Raises StoreUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rows(self, dataset: Dataset, since_ms: int, until_ms: int, taken: Taken) -> None:
        """Hands over all rows of that time as of one moment, in batches, by time and then by id.

        What is sealed, and pseudonyms of visitors, are not read.
        """
        wanted = _WANTED[dataset](since_ms, until_ms).execution_options(yield_per=BATCH)

        async def read(connection: AsyncConnection) -> None:
            async with connection.stream(wanted) as found:
                async for batch in found.partitions(BATCH):
                    taken(batch)

        await snapshot(self._engine, read)

    async def names(self) -> Names:
        """Of links and bots."""

        async def read(connection: AsyncConnection) -> Names:
            found = [
                (await connection.execute(wanted)).all()
                for wanted in (select(links.c.id, links.c.slug), select(bots.c.id, bots.c.username))
            ]
            slugs, usernames = ({row[0]: row[1] for row in rows} for rows in found)
            return Names(links=slugs, bots=usernames)

        return await query(self._engine, read)

    async def erasures(self, zone: ZoneInfo) -> Erasures:
        """By the rollups and the changes that wait to be folded into them: a recount, at the price of a few rows."""

        async def read(connection: AsyncConnection) -> Erasures:
            line = (
                await connection.execute(select(func.max(audit.c.id)).where(audit.c.action == "erase"))
            ).scalar()
            kept_in = (await connection.execute(select(rollup_state.c.zone))).scalar()
            days: Counter[date] = Counter()
            for day, erased in await connection.execute(_ERASED):
                days[date_of(day)] += int(erased)
            for moment, sign in await connection.execute(_ERASED_SINCE):
                days[date_of(day_of(int(moment, 16), zone))] += int(sign)
            return Erasures(line=line or 0, clicks=days if kept_in in {None, zone.key} else None)

        return await snapshot(self._engine, read)


_ERASED = (
    select(rollup_days.c.day, func.sum(rollup_days.c.clicks))
    .where(rollup_days.c.trait == "erased")
    .group_by(rollup_days.c.day)
)
_ERASED_SINCE = (
    select(click_changes.c.moment, func.sum(click_changes.c.sign))
    .where(click_changes.c.erased, click_changes.c.clicked)
    .group_by(click_changes.c.moment)
)


def _clicks(since_ms: int, until_ms: int) -> Select[Any]:
    ad = (ads.c.link_id == clicks.c.link_id) & (ads.c.ad_key == clicks.c.ad_key)
    return (
        select(
            clicks.c.id,
            clicks.c.link_id,
            clicks.c.ad_key,
            *(ads.c[name] for name in ("source", "campaign", "medium", "content", "term")),
            *(clicks.c[name] for name in TRAITS),
            clicks.c.fbclid_key.is_not(None).label("with_fbclid"),
            clicks.c.owner_bot_id,
            clicks.c.owner_telegram_id,
            clicks.c.started_at,
            clicks.c.erased_at.is_not(None).label("erased"),
        )
        .select_from(clicks.outerjoin(ads, ad))
        .where(
            clicks.c.id >= first_uuid7(since_ms),
            clicks.c.id < first_uuid7(until_ms),
            clicks.c.clicked_at.is_not(None),
        )
        .order_by(clicks.c.id)
    )


def _starts(since_ms: int, until_ms: int) -> Select[Any]:
    # Its id orders starts of one millisecond, and goes nowhere: it is made of the Telegram id, without a key.
    names = ("started_at", "bot_id", "telegram_id", "kind", "click_id", "reply", "replied_at")
    at = starts.c.started_at
    return (
        select(*(starts.c[name] for name in names))
        .where(at >= since_ms, at < until_ms)
        .order_by(at, starts.c.id)
    )


def _conversions(since_ms: int, until_ms: int) -> Select[Any]:
    names = (
        "event_id", "lane", "event", "event_at", "click_id", "link_id", "ad_key", "value", "currency", "state", "reason",
        "attempts", "sent_at",
    )  # fmt: skip
    at = outbox.c.event_at
    return (
        select(*(outbox.c[name] for name in names))
        .where(at >= since_ms, at < until_ms)
        .order_by(at, outbox.c.event_id, outbox.c.lane)
    )


_WANTED: dict[Dataset, Callable[[int, int], Select[Any]]] = {
    "clicks": _clicks,
    "starts": _starts,
    "conversions": _conversions,
}
