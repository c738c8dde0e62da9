"""One link: what to paste into the ad, its QR code, its bots and greetings, the check of a pasted URL."""

import io

from starlette.responses import Response

from analytics.adurl.check import Site, check
from analytics.adurl.finding import Checked
from analytics.figures.asked import answers
from analytics.figures.clicks import by_day_figure, totals_figure
from analytics.period import Period
from analytics.web.page import Ask, Page
from analytics.web.pages.links import link_of
from domain.ad_url import URL_PARAMETERS, ad_url
from domain.links import Link


async def show(ask: Ask) -> Response:
    """The link."""
    return await _page(ask, await link_of(ask))


async def check_url(ask: Ask) -> Response:
    """The link, with what was found in the URL that was pasted. Nothing is kept, so there is nothing to go on to."""
    link = await link_of(ask)
    fields = await ask.form()
    pasted, clicked = fields.get("url", ""), "clicked" in fields
    slugs = [each.slug for each in (await ask.tools.catalog.load()).links]
    site = Site(ask.tools.settings.base_url, slugs, link.slug)
    return await _page(
        ask, link, pasted=pasted, clicked=clicked, checked=check(pasted, site, clicked=clicked)
    )


async def qr(ask: Ask) -> Response:
    """The link as a QR code, for print: a black SVG on white, whatever the reader's colours are."""
    import segno  # one of the dashboard's own libraries

    link = await link_of(ask)
    picture = io.BytesIO()
    segno.make(_plain_url(ask, link), error="m").save(
        picture, kind="svg", border=4, dark="#000", light="#fff", omitsize=True, xmldecl=False
    )
    return Response(picture.getvalue(), media_type="image/svg+xml")


async def _page(
    ask: Ask, link: Link, *, pasted: str = "", clicked: bool = False, checked: Checked | None = None
) -> Response:
    today, week = (Period.of(words, ask.now_ms, ask.zone) for words in ("today", "7d"))
    of_today, of_week, days = await answers(
        ask.tools.reader,
        totals_figure(today, link.id),
        totals_figure(week, link.id),
        by_day_figure(week, link.id),
    )
    base_url = ask.tools.settings.base_url
    return ask.render(
        "link",
        link=link,
        today=of_today.counts,
        week=of_week.counts,
        days=days,
        ad_url=ad_url(base_url, link.slug),
        plain_url=_plain_url(ask, link),
        parameters=URL_PARAMETERS,
        is_public=ask.tools.settings.public_url is not None,
        pasted=pasted,
        clicked=clicked,
        checked=checked,
    )


def _plain_url(ask: Ask, link: Link) -> str:
    return f"{ask.tools.settings.base_url}/go/{link.slug}"


PAGES = (
    Page(path="/links/{slug}", handler=show, menu="links"),
    Page(path="/links/{slug}/check", handler=check_url, methods=("POST",), menu="links"),
    Page(path="/links/{slug}/qr.svg", handler=qr, menu="links"),
)
