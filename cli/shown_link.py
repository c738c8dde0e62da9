"""How a link is shown: as text, as JSON, and as the URL to paste into the ad."""

from typing import Annotated, Any

import typer

from cli.common import show
from domain.ad_url import URL_PARAMETERS
from domain.ad_url import ad_url as url_of_slug
from domain.links import Greeting, Link, Member
from runtime.settings import Settings

Slug = Annotated[str, typer.Argument(help="The last part of the URL: /go/SLUG.")]


def ad_url(link: Link, given: Settings) -> str:
    """What to paste into the ad."""
    return url_of_slug(given.base_url, link.slug)


def link_json(link: Link, given: Settings) -> dict[str, Any]:
    """A link as scripts see it."""
    return {
        "slug": link.slug,
        "name": link.name,
        "bot": link.bot.username if link.bot else None,
        "strategy": link.strategy,
        "pool": [member_json(member) for member in link.pool],
        "bridge": link.bridge,
        "greetings": [greeting_json(greeting) for greeting in link.greetings],
        "paused": link.paused,
        "fallback_url": link.fallback_url,
        "pixel": link.pixel,
        "events_off": list(link.events_off),
        "ad_url": ad_url(link, given),
        "url_parameters": URL_PARAMETERS,
    }


def member_json(member: Member) -> dict[str, Any]:
    """A bot of a pool as scripts see it."""
    return {
        "bot": member.bot.username,
        "weight": member.weight,
        "priority": member.priority,
        "health": member.bot.health,
        "fit": member.bot.fit,
    }


def greeting_json(greeting: Greeting) -> dict[str, Any]:
    """A greeting as scripts see it."""
    return {
        "language": greeting.language,
        "text": greeting.text,
        "buttons": [{"text": button.text, "url": button.url} for button in greeting.buttons],
        "photo_url": greeting.photo_url,
    }


def show_link(link: Link, given: Settings, *, as_json: bool) -> None:
    """One link, in full."""
    rows = {
        "bot": bots_of(link),
        **({"strategy": link.strategy} if len(link.pool) > 1 else {}),
        "state": state_of(link),
        "bridge": "a page with a button" if link.bridge else "-",
        "fallback": link.fallback_url or "-",
        "pixel": link.pixel or "-",
        "reports": events_of(link),
        "greetings": ", ".join(greeting.language for greeting in link.greetings) or "-",
    }
    text = "\n".join(
        [
            f"{link.slug}: {link.name}",
            *(f"  {name:<9} {value}" for name, value in rows.items()),
            "",
            "Ad URL, ready to paste (Meta fills in the {{…}}):",
            ad_url(link, given),
        ]
    )
    show(link_json(link, given), as_json=as_json, text=text)


def bots_of(link: Link) -> str:
    """The names of a link's bots."""
    return " ".join("@" + member.bot.username for member in link.pool) or "-"


def events_of(link: Link) -> str:
    """What it reports, in words."""
    return f"every event but {', '.join(link.events_off)}" if link.events_off else "every event"


def state_of(link: Link) -> str:
    """What becomes of its visitors, in two words."""
    if link.paused or not link.live:
        return "paused" if link.paused else "no bot"
    return "live" if any(member.bot.fit for member in link.pool) else "live, but no bot is fit"
