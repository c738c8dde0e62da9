"""Live: how everything is now, and the newest clicks."""

from datetime import datetime

from starlette.responses import Response

from analytics.live import RECEIPT_MINUTES
from analytics.period import local_date
from analytics.web.page import Ask, Missing, Page


async def show(ask: Ask) -> Response:
    """The page, whose script asks for it again and again and puts in place what has changed."""
    if ask.tools.watch is None:
        raise Missing
    now = await ask.tools.watch.now()
    settings = ask.tools.settings
    return ask.render(
        "live",
        now=now,
        minutes=RECEIPT_MINUTES,
        spool_sync=settings.spool_sync,
        is_today=lambda at_ms: local_date(at_ms, ask.zone) == local_date(now.at_ms, ask.zone),
        time_of=lambda at_ms: f"{datetime.fromtimestamp(at_ms / 1000, ask.zone):%H:%M:%S}",
    )


PAGES = (Page(path="/live", handler=show, menu="live"),)
