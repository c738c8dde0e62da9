"""trilha link: where ads lead."""

from typing import Annotated, Any

import typer

from cli.common import Json, catalog_of, run, settings, show, show_table
from domain.links import Catalog, Link
from runtime.settings import Settings

links = typer.Typer(help="Links: what an ad's URL points to.", no_args_is_help=True)

# Meta fills these in when it shows the ad; names and ids, because names change and ids say nothing.
URL_PARAMETERS = (
    "utm_source={{site_source_name}}"
    "&utm_medium={{adset.name}}|{{adset.id}}"
    "&utm_campaign={{campaign.name}}|{{campaign.id}}"
    "&utm_content={{ad.name}}|{{ad.id}}"
    "&utm_term={{placement}}"
    "&utm_id={{campaign.id}}"
)
Slug = Annotated[str, typer.Argument(help="The last part of the URL: /go/SLUG.")]
BotName = Annotated[str | None, typer.Option("--bot", help="Username of a registered bot.")]
Name = Annotated[str | None, typer.Option("--name", help="What you call it in reports.")]
Fallback = Annotated[
    str | None,
    typer.Option("--fallback-url", help="Where visitors go while the link is paused; '' for none."),
]
Pixel = Annotated[str | None, typer.Option("--pixel", help="Id of the Meta dataset (pixel); '' for none.")]


@links.command("add")
def add_link(
    slug: Slug,
    bot: Annotated[str, typer.Option("--bot", help="Username of a registered bot.")],
    name: Annotated[str, typer.Option("--name", help="What you call it in reports.")] = "",
    fallback_url: Fallback = None,
    pixel: Pixel = None,
    as_json: Json = False,
) -> None:
    """Make a link, and print the URL to paste into the ad."""
    given = settings()

    async def add() -> Link:
        async with catalog_of(given) as catalog:
            return await catalog.add_link(slug, bot=bot, name=name, fallback_url=fallback_url, pixel=pixel)

    _show_link(run(add()), given, as_json=as_json)


@links.command("list")
def list_links(as_json: Json = False) -> None:
    """All links."""
    given = settings()
    found = run(_load(given)).links
    if as_json:
        show([link_json(link, given) for link in found], as_json=True, text="")
        return
    rows = [[link.slug, _bot(link), _state(link), link.pixel or "-", link.name] for link in found]
    show_table(
        ["slug", "bot", "state", "pixel", "name"],
        rows,
        empty="no links yet. Make one: trilha link add SLUG --bot BOT",
    )


@links.command("show")
def show_link(slug: Slug, as_json: Json = False) -> None:
    """One link, with the URL to paste into the ad."""
    given = settings()

    async def find() -> Link:
        async with catalog_of(given) as catalog:
            return await catalog.link(slug)

    _show_link(run(find()), given, as_json=as_json)


@links.command("edit")
def edit_link(
    slug: Slug,
    bot: BotName = None,
    name: Name = None,
    fallback_url: Fallback = None,
    pixel: Pixel = None,
    as_json: Json = False,
) -> None:
    """Change a link. Running daemons follow within seconds."""
    _edit(slug, as_json=as_json, bot=bot, name=name, fallback_url=fallback_url, pixel=pixel)


@links.command("pause")
def pause_link(
    slug: Slug,
    resume: Annotated[bool, typer.Option("--resume", help="Make it live again.")] = False,
    as_json: Json = False,
) -> None:
    """Stop a link: visitors get its fallback URL, or a page that says it is no longer active."""
    _edit(slug, as_json=as_json, paused=not resume)


def ad_url(link: Link, given: Settings) -> str:
    """What to paste into the ad."""
    return f"{given.base_url}/go/{link.slug}?{URL_PARAMETERS}"


def link_json(link: Link, given: Settings) -> dict[str, Any]:
    """A link as scripts see it."""
    return {
        "slug": link.slug,
        "name": link.name,
        "bot": link.bot.username if link.bot else None,
        "paused": link.paused,
        "fallback_url": link.fallback_url,
        "pixel": link.pixel,
        "ad_url": ad_url(link, given),
        "url_parameters": URL_PARAMETERS,
    }


def _edit(slug: str, *, as_json: bool, **changes: Any) -> None:
    given = settings()

    async def edit() -> Link:
        async with catalog_of(given) as catalog:
            return await catalog.edit_link(slug, **changes)

    _show_link(run(edit()), given, as_json=as_json)


def _show_link(link: Link, given: Settings, *, as_json: bool) -> None:
    text = (
        f"{link.slug}: {link.name}\n  bot       {_bot(link)}\n  state     {_state(link)}\n"
        f"  fallback  {link.fallback_url or '-'}\n  pixel     {link.pixel or '-'}\n\n"
        f"Ad URL, ready to paste (Meta fills in the {{{{…}}}}):\n{ad_url(link, given)}"
    )
    show(link_json(link, given), as_json=as_json, text=text)


async def _load(given: Settings) -> Catalog:
    async with catalog_of(given) as catalog:
        return await catalog.load()


def _bot(link: Link) -> str:
    return "@" + link.bot.username if link.bot else "-"


def _state(link: Link) -> str:
    return "paused" if link.paused else "live" if link.live else "no bot"
