"""Overview: is anything wrong, and how does today go?"""

from starlette.responses import Response

from analytics.web.page import Ask, Page


async def show(ask: Ask) -> Response:
    """The first page."""
    return ask.render("overview")


PAGES = (Page(path="/", handler=show, menu="overview"),)
