"""trilha link pool, pool-add, pool-remove: the bots that share a link."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from backends.sql.links import SqlCatalog
from cli.common import Json, catalog_of, run, settings, show, show_table
from cli.shown_link import Slug, link_json, member_json
from domain.links import Link, Member

PoolBot = Annotated[str, typer.Option("--bot", help="Username of a registered bot.")]


def pool(slug: Slug, as_json: Json = False) -> None:
    """The bots that share a link, with their health."""
    link = _after(lambda catalog: catalog.link(slug))
    if as_json:
        show([member_json(member) for member in link.pool], as_json=True, text="")
    else:
        _show_table(link)


def pool_add(
    slug: Slug,
    bot: PoolBot,
    weight: Annotated[int | None, typer.Option("--weight", help="Its share, 1 to 1000; default 1.")] = None,
    priority: Annotated[
        int | None, typer.Option("--priority", help="Its place, 1 (first) to 100; default 1.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Add a bot to a link's pool, or change the weight and priority of one that is there."""
    _show(_after(lambda catalog: catalog.put_member(slug, bot, weight=weight, priority=priority)), as_json)


def pool_remove(slug: Slug, bot: PoolBot, as_json: Json = False) -> None:
    """Take a bot out of a link's pool. The last one stays: pause the link instead."""
    _show(_after(lambda catalog: catalog.remove_member(slug, bot)), as_json)


def _after(change: Callable[[SqlCatalog], Awaitable[Link]]) -> Link:
    given = settings()

    async def whole() -> Link:
        async with catalog_of(given) as catalog:
            return await change(catalog)

    return run(whole())


def _show(link: Link, as_json: bool) -> None:
    if as_json:
        show(link_json(link, settings()), as_json=True, text="")
    else:
        _show_table(link)


def _show_table(link: Link) -> None:
    print(f"{link.slug}: {link.strategy}")
    show_table(
        ["bot", "weight", "priority", "health"], [_row(member) for member in link.pool], empty="no bots"
    )


def _row(member: Member) -> list[str]:
    health = member.bot.health + ("" if member.bot.fit else ", not fit")
    return ["@" + member.bot.username, str(member.weight), str(member.priority), health]
