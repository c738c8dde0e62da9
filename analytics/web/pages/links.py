"""Links: the list, and making, changing, pausing one."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from analytics.figures.asked import answers
from analytics.figures.clicks import Counts
from analytics.figures.links import LinkFigures, by_link_figure
from analytics.period import Period
from analytics.web.link_form import STRATEGIES, LinkForm
from analytics.web.page import Ask, Missing, Page
from domain.errors import ConfigError
from domain.links import Catalog, Link
from domain.users import Role

WRITERS: tuple[Role, ...] = ("owner",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A link with its figures of today and of the last seven days."""

    link: Link
    today: Counts
    week: Counts


async def show(ask: Ask) -> Response:
    """Every link."""
    catalog = await ask.tools.catalog.load()
    today, week = await answers(ask.tools.reader, *(by_link_figure(period) for period in _periods(ask)))
    return ask.render("links", lines=_lines(catalog, _by_id(today), _by_id(week)), bots=catalog.bots)


def _periods(ask: Ask) -> list[Period]:
    return [Period.of(words, ask.now_ms, ask.zone) for words in ("today", "7d")]


def _by_id(figures: tuple[LinkFigures, ...]) -> Mapping[int, Counts]:
    return {each.link_id: each.earned.counts for each in figures}


def _lines(catalog: Catalog, today: Mapping[int, Counts], week: Mapping[int, Counts]) -> list[Line]:
    """Live links first, busy ones before."""
    lines = [
        Line(link=link, today=today.get(link.id, Counts()), week=week.get(link.id, Counts()))
        for link in catalog.links
    ]
    return sorted(lines, key=lambda line: (not line.link.live, -line.week.clicks, line.link.slug))


async def new(ask: Ask) -> Response:
    """The empty form; with the one bot ticked, if there is one only."""
    bots = (await ask.tools.catalog.load()).bots
    places = {bots[0].username: ("1", "1")} if len(bots) == 1 else {}
    return await _form(ask, LinkForm(places=places), slug=None)


async def create(ask: Ask) -> Response:
    """Make it, or say at the form why not."""
    form = LinkForm.posted(await ask.form(), ask.form_list("bot"))
    try:
        changes = form.changes()
        await _register(ask, form)
        link = await ask.tools.catalog.add_link(form.slug, **changes)
    except ConfigError as error:
        return await _form(ask, form, slug=None, mistake=str(error))
    await ask.audit("link_added", link=link.slug)
    return ask.go(f"/links/{link.slug}", "links.made")


async def edit(ask: Ask) -> Response:
    """The form, as the link is."""
    link = await link_of(ask)
    return await _form(ask, LinkForm.of(link), slug=link.slug)


async def change(ask: Ask) -> Response:
    """Change it, or say at the form why not."""
    link = await link_of(ask)
    form = LinkForm.posted({**await ask.form(), "slug": link.slug}, ask.form_list("bot"))
    try:
        changes = form.changes()
        await _register(ask, form)
        await ask.tools.catalog.edit_link(link.slug, **changes)
    except ConfigError as error:
        return await _form(ask, form, slug=link.slug, mistake=str(error))
    await ask.audit("link_changed", link=link.slug)
    return ask.go(f"/links/{link.slug}", "links.changed")


async def pause(ask: Ask) -> Response:
    """Stop it, or make it live again."""
    link = await link_of(ask)
    paused = (await ask.form()).get("paused") == "1"
    await ask.tools.catalog.edit_link(link.slug, paused=paused)
    await ask.audit("link_paused" if paused else "link_resumed", link=link.slug)
    back = "/links" if (await ask.form()).get("back") == "list" else f"/links/{link.slug}"
    return ask.go(back, "links.was_paused" if paused else "links.was_resumed")


async def link_of(ask: Ask) -> Link:
    """The link that the address names."""
    try:
        return await ask.tools.catalog.link(ask.request.path_params["slug"])
    except ConfigError:
        raise Missing from None


async def _register(ask: Ask, form: LinkForm) -> None:
    if form.new_bot:
        bot = await ask.tools.catalog.add_bot(form.new_bot)
        await ask.audit("bot_added", bot=bot.username)


async def _form(ask: Ask, form: LinkForm, *, slug: str | None, mistake: str = "") -> Response:
    catalog = await ask.tools.catalog.load()
    pixels = sorted({link.pixel for link in catalog.links if link.pixel})
    return ask.render(
        "link_form",
        status=422 if mistake else 200,
        form=form,
        slug=slug,
        mistake=mistake,
        bots=catalog.bots,
        pixels=pixels,
        strategies=STRATEGIES,
        base_url=ask.tools.settings.base_url,
    )


PAGES = (
    Page(path="/links", handler=show, menu="links"),
    Page(path="/new-link", handler=new, roles=WRITERS, menu="links"),
    Page(path="/new-link", handler=create, methods=("POST",), roles=WRITERS, menu="links"),
    Page(path="/links/{slug}/edit", handler=edit, roles=WRITERS, menu="links"),
    Page(path="/links/{slug}/edit", handler=change, methods=("POST",), roles=WRITERS, menu="links"),
    Page(path="/links/{slug}/pause", handler=pause, methods=("POST",), roles=WRITERS, menu="links"),
)
