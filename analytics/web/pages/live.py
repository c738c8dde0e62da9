"""Live: how everything is now, and the newest clicks."""

from starlette.responses import Response

from analytics.live import RECEIPT_MINUTES
from analytics.web.page import Ask, Missing, Page


async def show(ask: Ask) -> Response:
    """The page, which its script keeps fresh."""
    return await _render(ask, "live")


async def fragment(ask: Ask) -> Response:
    """What changes of it."""
    return await _render(ask, "live_now")


async def _render(ask: Ask, template: str) -> Response:
    if ask.tools.watch is None:
        raise Missing
    now = await ask.tools.watch.now()
    settings = ask.tools.settings
    return ask.render(template, now=now, minutes=RECEIPT_MINUTES, spool_sync=settings.spool_sync)


PAGES = (
    Page(path="/live", handler=show, menu="live"),
    Page(path="/live/now", handler=fragment, menu="live"),
)
