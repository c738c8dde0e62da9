"""Pools and greetings of a link in SQL, edited within the transaction of a change of the catalog."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_
from sqlalchemy.ext.asyncio import AsyncConnection

from backends.sql.schema import greetings, link_bots
from domain.errors import ConfigError
from domain.links import Bot, Greeting, Link, valid_buttons, valid_language, valid_photo
from domain.pools import MAX_MEMBERS, Place, valid_priority, valid_weight


async def whole_pool(connection: AsyncConnection, link_id: int, places: Sequence[tuple[Bot, Place]]) -> None:
    """Those bots, and no others. ConfigError beyond the bounds of domain/pools.py, and for a pool without a bot."""
    if not places:
        raise ConfigError("a link needs a bot: its visitors would find nobody")
    if len(places) > MAX_MEMBERS:
        raise ConfigError(f"no more than {MAX_MEMBERS} bots share a link")
    rows = {
        bot.id: {
            "link_id": link_id,
            "bot_id": bot.id,
            "weight": valid_weight(place.weight),
            "priority": valid_priority(place.priority),
        }
        for bot, place in places
    }
    await connection.execute(link_bots.delete().where(link_bots.c.link_id == link_id))
    await connection.execute(link_bots.insert(), [*rows.values()])


async def put_member(
    connection: AsyncConnection, link: Link, bot: Bot, *, weight: int | None, priority: int | None
) -> None:
    """Add a bot, or change what is given of one that is there. ConfigError beyond the bounds of domain/pools.py."""
    given = {} if weight is None else {"weight": valid_weight(weight)}
    given |= {} if priority is None else {"priority": valid_priority(priority)}
    if _has(link, bot):
        if given:
            await connection.execute(link_bots.update().where(_member(link, bot)).values(given))
        return
    if len(link.pool) >= MAX_MEMBERS:
        raise ConfigError(f"no more than {MAX_MEMBERS} bots share a link")
    await connection.execute(link_bots.insert(), {"link_id": link.id, "bot_id": bot.id} | given)


async def remove_member(connection: AsyncConnection, link: Link, bot: Bot) -> None:
    """Take a bot out. ConfigError when it is not there, or is the last: visitors of a running ad would find nobody."""
    if not _has(link, bot):
        raise ConfigError(f"@{bot.username} is not in the pool of {link.slug!r}")
    if len(link.pool) == 1:
        raise ConfigError(
            f"@{bot.username} is the last bot of {link.slug!r}. Add another one first, or stop the link: "
            f"trilha link pause {link.slug}"
        )
    await connection.execute(link_bots.delete().where(_member(link, bot)))


async def put_greeting(connection: AsyncConnection, link: Link, greeting: Greeting) -> None:
    """That greeting in its language, in place of the one that is there. Its text was checked by bot/replies.py."""
    tag = valid_language(greeting.language)
    row = {
        "link_id": link.id,
        "language": tag,
        "text": greeting.text,
        "buttons": [{"text": button.text, "url": button.url} for button in valid_buttons(greeting.buttons)],
        "photo_url": None if greeting.photo_url is None else valid_photo(greeting.photo_url),
    }
    await connection.execute(greetings.delete().where(_greeting(link, tag)))
    await connection.execute(greetings.insert(), row)


async def remove_greeting(connection: AsyncConnection, link: Link, language: str) -> None:
    """ConfigError when there is none in that language."""
    tag = valid_language(language)
    if not any(greeting.language == tag for greeting in link.greetings):
        raise ConfigError(f"{link.slug!r} has no greeting in {tag}")
    await connection.execute(greetings.delete().where(_greeting(link, tag)))


def _has(link: Link, bot: Bot) -> bool:
    return any(member.bot.id == bot.id for member in link.pool)


def _member(link: Link, bot: Bot) -> ColumnElement[bool]:
    return and_(link_bots.c.link_id == link.id, link_bots.c.bot_id == bot.id)


def _greeting(link: Link, language: str) -> ColumnElement[bool]:
    return and_(greetings.c.link_id == link.id, greetings.c.language == language)
