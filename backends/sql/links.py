"""The catalog in SQL: links with their pools and greetings, bots, pixels. Every change raises the version in the same
transaction.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql import pools
from backends.sql.catalog_rows import bot_of, raise_version, read_bots, read_links
from backends.sql.engine import insert_if_absent, one_row, query, transaction
from backends.sql.schema import ads, bots, catalog, links, pixels
from domain.click import Ad
from domain.clock import Clock
from domain.errors import ConfigError
from domain.links import (
    MAX_LINK_ID,
    Bot,
    Catalog,
    Greeting,
    Link,
    Strategy,
    valid_events_off,
    valid_fallback,
    valid_pixel,
    valid_slug,
    valid_username,
)
from domain.pools import Place

NAME_LENGTH = 200


class SqlCatalog:
    """Reads and edits links and bots. Raises StoreUnavailable; ConfigError for what is not allowed."""

    def __init__(self, engine: AsyncEngine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    async def version(self) -> int:
        """Grows with every change."""
        return await query(self._engine, _version)

    async def load(self) -> Catalog:
        """All links and bots."""
        return await query(self._engine, _catalog)

    async def link(self, slug: str) -> Link:
        """One link, or ConfigError."""
        return await query(self._engine, lambda connection: _one_link(connection, slug))

    async def ad(self, link_id: int, ad_key: bytes) -> Ad | None:
        """What a token's ad key stands for, if a click of that ad was ever settled."""
        wanted = select(ads).where(ads.c.link_id == link_id, ads.c.ad_key == ad_key)
        row = await one_row(self._engine, wanted)
        if row is None:
            return None
        return Ad(
            source=row.source, campaign=row.campaign, medium=row.medium, content=row.content, term=row.term
        )

    async def add_bot(self, username: str) -> Bot:
        """Register a bot; the one that is there, if it is."""
        name = valid_username(username)

        async def add(connection: AsyncConnection) -> Bot:
            await raise_version(connection)
            values = {"username": name, "username_key": name.lower(), "created_at": self._clock.now_ms()}
            await connection.execute(insert_if_absent(self._engine, bots), values)
            return await _bot(connection, name)

        return await transaction(self._engine, add)

    async def add_link(
        self,
        slug: str,
        *,
        bot: str | None = None,
        name: str = "",
        fallback_url: str | None = None,
        pixel: str | None = None,
        strategy: Strategy | None = None,
        bridge: bool | None = None,
        events_off: Iterable[str] | None = None,
        pool: Sequence[Place] = (),
    ) -> Link:
        """A new link to a registered bot, or to a pool of them. ConfigError when the slug is taken or a bot unknown."""
        valid_slug(slug)
        off = None if events_off is None else " ".join(valid_events_off(events_off))
        places = pool if bot is None else [Place(bot=bot)]

        async def add(connection: AsyncConnection) -> Link:
            await raise_version(connection)
            if (await connection.execute(select(links.c.id).where(links.c.slug == slug))).first():
                raise ConfigError(f"the slug {slug!r} is taken")
            number = (await connection.execute(select(func.max(links.c.id)))).scalar() or 0
            if number >= MAX_LINK_ID:
                raise ConfigError(f"no more than {MAX_LINK_ID} links fit into a token")
            values = await self._values(connection, fallback_url=fallback_url, pixel=pixel)
            values |= _given(strategy=strategy, bridge=bridge, events_off=off)
            values |= {"id": number + 1, "slug": slug, "name": (name or slug)[:NAME_LENGTH]}
            await connection.execute(links.insert(), values | {"created_at": self._clock.now_ms()})
            await _put_pool(connection, number + 1, places)
            return await _one_link(connection, slug)

        return await transaction(self._engine, add)

    async def edit_link(
        self,
        slug: str,
        *,
        bot: str | None = None,
        name: str | None = None,
        fallback_url: str | None = None,
        pixel: str | None = None,
        paused: bool | None = None,
        strategy: Strategy | None = None,
        bridge: bool | None = None,
        events_off: Iterable[str] | None = None,
        pool: Sequence[Place] | None = None,
    ) -> Link:
        """Change what is given; `fallback_url=""` and `pixel=""` clear. ConfigError when there is no such link.

        bot: from now on that bot and no other. pool: from now on those. events_off: all events that are not reported from
        now on.
        """
        places = pool if bot is None else [Place(bot=bot)]
        off = None if events_off is None else " ".join(valid_events_off(events_off))

        async def edit(connection: AsyncConnection) -> Link:
            await raise_version(connection)
            values = await self._values(connection, fallback_url=fallback_url, pixel=pixel)
            values |= _given(
                name=None if name is None else name[:NAME_LENGTH],
                paused=paused,
                strategy=strategy,
                bridge=bridge,
                events_off=off,
            )
            if values:
                await connection.execute(links.update().where(links.c.slug == slug).values(values))
            link = await _one_link(connection, slug)
            if places is None:
                return link
            await _put_pool(connection, link.id, places)
            return await _one_link(connection, slug)

        return await transaction(self._engine, edit)

    async def put_member(
        self, slug: str, bot: str, *, weight: int | None = None, priority: int | None = None
    ) -> Link:
        """Add a registered bot to a link's pool, or change what is given of one that is there. ConfigError."""

        async def put(connection: AsyncConnection, link: Link) -> None:
            member = await _bot(connection, bot)
            await pools.put_member(connection, link, member, weight=weight, priority=priority)

        return await self._change(slug, put)

    async def remove_member(self, slug: str, bot: str) -> Link:
        """Take a bot out of a link's pool. ConfigError when it is not there, or is the last."""

        async def remove(connection: AsyncConnection, link: Link) -> None:
            await pools.remove_member(connection, link, await _bot(connection, bot))

        return await self._change(slug, remove)

    async def put_greeting(self, slug: str, greeting: Greeting) -> Link:
        """What a link's bots answer in that language, whatever it was. ConfigError for a bad button, picture or language.

        The text is the caller's to check (bot/replies.py).
        """
        return await self._change(
            slug, lambda connection, link: pools.put_greeting(connection, link, greeting)
        )

    async def remove_greeting(self, slug: str, language: str) -> Link:
        """Forget what a link's bots answer in that language. ConfigError when there is nothing."""
        return await self._change(
            slug, lambda connection, link: pools.remove_greeting(connection, link, language)
        )

    async def _change(self, slug: str, change: Callable[[AsyncConnection, Link], Awaitable[None]]) -> Link:
        """The link after a change of it."""

        async def whole(connection: AsyncConnection) -> Link:
            await raise_version(connection)
            await change(connection, await _one_link(connection, slug))
            return await _one_link(connection, slug)

        return await transaction(self._engine, whole)

    async def _values(
        self, connection: AsyncConnection, *, fallback_url: str | None, pixel: str | None
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        if fallback_url is not None:
            values["fallback_url"] = valid_fallback(fallback_url) if fallback_url else None
        if pixel is not None:
            values["pixel_id"] = await self._pixel(connection, pixel) if pixel else None
        return values

    async def _pixel(self, connection: AsyncConnection, pixel: str) -> str:
        values = {"id": valid_pixel(pixel), "created_at": self._clock.now_ms()}
        await connection.execute(insert_if_absent(self._engine, pixels), values)
        return pixel


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


async def _version(connection: AsyncConnection) -> int:
    return int((await connection.execute(select(catalog.c.version))).scalar_one())


async def _catalog(connection: AsyncConnection) -> Catalog:
    version = await _version(connection)
    return Catalog(version=version, links=await read_links(connection), bots=await read_bots(connection))


async def _bot(connection: AsyncConnection, username: str) -> Bot:
    username = valid_username(username)
    wanted = select(bots).where(bots.c.username_key == username.lower())
    row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        raise ConfigError(f"no bot @{username}. Register it first: trilha bot-account add {username}")
    return bot_of(row)


async def _put_pool(connection: AsyncConnection, link_id: int, places: Sequence[Place]) -> None:
    members = [(await _bot(connection, place.bot), place) for place in places]
    await pools.whole_pool(connection, link_id, members)


async def _one_link(connection: AsyncConnection, slug: str) -> Link:
    found = await read_links(connection, links.c.slug == slug)
    if not found:
        raise ConfigError(f"no link {slug!r}. See them all: trilha link list")
    return found[0]
