"""trilha link events: which events a link reports."""

from typing import Annotated

import typer

from cli.common import Json, catalog_of, run, settings, show
from cli.shown_link import Slug, events_of, link_json
from domain.errors import ConfigError
from domain.links import Link, valid_event


def events(
    slug: Slug,
    on: Annotated[
        list[str] | None, typer.Option("--on", help="An event to report from now on; may be given again.")
    ] = None,
    off: Annotated[
        list[str] | None, typer.Option("--off", help="An event to report no more; may be given again.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Switch events of a link on or off, by name; without either, show which are off. Conversions that wait stay as they are."""
    reported, silent = _names(on), _names(off)
    if both := sorted(reported & silent):
        raise ConfigError(f"{', '.join(both)}: give either --on or --off")
    given = settings()

    async def switch() -> Link:
        async with catalog_of(given) as catalog:
            link = await catalog.link(slug)
            if not (reported or silent):
                return link
            return await catalog.edit_link(slug, events_off=(set(link.events_off) | silent) - reported)

    link = run(switch())
    show(link_json(link, given), as_json=as_json, text=f"{link.slug} reports {events_of(link)}")


def _names(given: list[str] | None) -> set[str]:
    return {valid_event(name) for name in given or ()}
