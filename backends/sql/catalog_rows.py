"""Rows of links, bots, pools and greetings, put together as the catalog speaks of them."""

from collections import defaultdict
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.sql.schema import bots, catalog, greetings, link_bots, links
from domain.links import Bot, Button, Greeting, Link, Member


async def raise_version(connection: AsyncConnection) -> None:
    """First in every change: it also takes the row's lock, so that changes follow one another."""
    await connection.execute(catalog.update().values(version=catalog.c.version + 1))


async def read_bots(connection: AsyncConnection) -> tuple[Bot, ...]:
    """Every registered bot, oldest first."""
    return tuple(bot_of(row) for row in (await connection.execute(select(bots).order_by(bots.c.id))).all())


async def read_links(connection: AsyncConnection, *where: ColumnElement[bool]) -> tuple[Link, ...]:
    """Those links, oldest first, with their pools and greetings."""
    rows = (await connection.execute(select(links).where(*where).order_by(links.c.id))).all()
    ids = [row.id for row in rows] if where else None
    pools, said = await _pools(connection, ids), await _greetings(connection, ids)
    return tuple(_link(row, tuple(pools[row.id]), tuple(said[row.id])) for row in rows)


def bot_of(row: Any) -> Bot:
    """The bot of a row of `bots`."""
    key = row.webhook_key.hex() if row.webhook_key else None
    return Bot(id=row.id, username=row.username, health=row.health, webhook_key=key)


async def _pools(connection: AsyncConnection, ids: list[int] | None) -> dict[int, list[Member]]:
    wanted = select(bots, link_bots.c.link_id, link_bots.c.weight, link_bots.c.priority).join(link_bots)
    if ids is not None:
        wanted = wanted.where(link_bots.c.link_id.in_(ids))
    ordered = wanted.order_by(link_bots.c.priority, link_bots.c.weight.desc(), bots.c.id)
    pools: dict[int, list[Member]] = defaultdict(list)
    for row in (await connection.execute(ordered)).all():
        pools[row.link_id].append(Member(bot=bot_of(row), weight=row.weight, priority=row.priority))
    return pools


async def _greetings(connection: AsyncConnection, ids: list[int] | None) -> dict[int, list[Greeting]]:
    wanted = select(greetings).order_by(greetings.c.language)
    if ids is not None:
        wanted = wanted.where(greetings.c.link_id.in_(ids))
    said: dict[int, list[Greeting]] = defaultdict(list)
    for row in (await connection.execute(wanted)).all():
        buttons = tuple(Button(text=button["text"], url=button["url"]) for button in row.buttons)
        said[row.link_id].append(
            Greeting(language=row.language, text=row.text, buttons=buttons, photo_url=row.photo_url)
        )
    return said


def _link(row: Any, pool: tuple[Member, ...], said: tuple[Greeting, ...]) -> Link:
    return Link(
        id=row.id,
        slug=row.slug,
        name=row.name,
        pool=pool,
        strategy=row.strategy,
        bridge=row.bridge,
        paused=row.paused,
        fallback_url=row.fallback_url,
        pixel=row.pixel_id,
        events_off=tuple(row.events_off.split()),
        greetings=said,
    )
