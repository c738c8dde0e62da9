"""trilha link: where ads lead."""

from typing import Annotated, Any

import typer

from cli import greetings, link_check, link_events, pools
from cli.common import Json, catalog_of, run, settings, show, show_table
from cli.shown_link import Slug, link_json, show_link, state_of
from domain.links import Catalog, Link, Strategy
from runtime.settings import Settings

links = typer.Typer(help="Links: what an ad's URL points to.", no_args_is_help=True)

BotName = Annotated[
    str | None, typer.Option("--bot", help="Username of a registered bot: from now on that one and no other.")
]
Name = Annotated[str | None, typer.Option("--name", help="What you call it in reports.")]
Fallback = Annotated[
    str | None,
    typer.Option("--fallback-url", help="Where visitors go while the link is paused; '' for none."),
]
Pixel = Annotated[str | None, typer.Option("--pixel", help="Id of the Meta dataset (pixel); '' for none.")]
Choice = Annotated[
    Strategy | None,
    typer.Option("--strategy", help="How a pool's bots share the visitors; weighted at first."),
]
Page = Annotated[
    bool | None,
    typer.Option("--bridge/--no-bridge", help="Answer with a page and a button instead of a redirect."),
]


@links.command("add")
def add_link(
    slug: Slug,
    bot: Annotated[str, typer.Option("--bot", help="Username of a registered bot.")],
    name: Annotated[str, typer.Option("--name", help="What you call it in reports.")] = "",
    fallback_url: Fallback = None,
    pixel: Pixel = None,
    strategy: Choice = None,
    bridge: Page = None,
    as_json: Json = False,
) -> None:
    """Make a link, and print the URL to paste into the ad."""
    given = settings()

    async def add() -> Link:
        async with catalog_of(given) as catalog:
            return await catalog.add_link(
                slug,
                bot=bot,
                name=name,
                fallback_url=fallback_url,
                pixel=pixel,
                strategy=strategy,
                bridge=bridge,
            )

    show_link(run(add()), given, as_json=as_json)


@links.command("list")
def list_links(as_json: Json = False) -> None:
    """All links."""
    given = settings()
    found = run(_load(given)).links
    if as_json:
        show([link_json(link, given) for link in found], as_json=True, text="")
        return
    rows = [[link.slug, _bots(link), state_of(link), link.pixel or "-", link.name] for link in found]
    show_table(
        ["slug", "bot", "state", "pixel", "name"],
        rows,
        empty="no links yet. Make one: trilha link add SLUG --bot BOT",
    )


@links.command("show")
def show_one(slug: Slug, as_json: Json = False) -> None:
    """One link, with the URL to paste into the ad."""
    given = settings()

    async def find() -> Link:
        async with catalog_of(given) as catalog:
            return await catalog.link(slug)

    show_link(run(find()), given, as_json=as_json)


@links.command("edit")
def edit_link(
    slug: Slug,
    bot: BotName = None,
    name: Name = None,
    fallback_url: Fallback = None,
    pixel: Pixel = None,
    strategy: Choice = None,
    bridge: Page = None,
    as_json: Json = False,
) -> None:
    """Change a link. Running daemons follow within seconds."""
    _edit(
        slug,
        as_json=as_json,
        bot=bot,
        name=name,
        fallback_url=fallback_url,
        pixel=pixel,
        strategy=strategy,
        bridge=bridge,
    )


@links.command("pause")
def pause_link(
    slug: Slug,
    resume: Annotated[bool, typer.Option("--resume", help="Make it live again.")] = False,
    as_json: Json = False,
) -> None:
    """Stop a link: visitors get its fallback URL, or a page that says it is no longer active."""
    _edit(slug, as_json=as_json, paused=not resume)


links.command()(pools.pool)
links.command()(pools.pool_add)
links.command()(pools.pool_remove)
links.command()(greetings.greeting)
links.command()(link_events.events)
links.command("check")(link_check.check_url)


def _edit(slug: str, *, as_json: bool, **changes: Any) -> None:
    given = settings()

    async def edit() -> Link:
        async with catalog_of(given) as catalog:
            return await catalog.edit_link(slug, **changes)

    show_link(run(edit()), given, as_json=as_json)


async def _load(given: Settings) -> Catalog:
    async with catalog_of(given) as catalog:
        return await catalog.load()


def _bots(link: Link) -> str:
    more = f" +{len(link.pool) - 1}" if len(link.pool) > 1 else ""
    return f"@{link.bot.username}{more}" if link.bot else "-"
