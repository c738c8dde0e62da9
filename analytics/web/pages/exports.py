"""Exports: which there are, and their files."""

import asyncio
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from analytics.exports.parquet_file import HOW_TO_GET, parquet_possible
from analytics.exports.read import EXPORTS, Format, blocks, export_named, file_name, read_export
from analytics.exports.table import Exported, Scope
from analytics.web.page import Ask, Missing, Page

_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}


async def show(ask: Ask) -> Response:
    """The page."""
    links = sorted((await ask.tools.catalog.load()).links, key=lambda link: link.name.lower())
    return ask.render(
        "exports",
        period=ask.period,
        exports=list(EXPORTS.values()),
        links=links,
        parquet=parquet_possible(),
        how_to_get=HOW_TO_GET,
    )


async def file(ask: Ask) -> Response:
    """One export as a file: /export/ads.csv?period=30d&link=promo."""
    name, form = ask.request.path_params["name"], _format(ask.request.path_params["form"])
    if name not in EXPORTS:
        raise Missing
    if form == "parquet" and not parquet_possible():
        ask.notice("warning", "exports.no_parquet", how=HOW_TO_GET)
        return await show(ask)
    scope = Scope(period=ask.period, link_id=await _link(ask))
    exported = await read_export(ask.tools.reader, export_named(name), scope)
    return StreamingResponse(
        _streamed(exported, form),
        media_type=_TYPES[form],
        headers={"content-disposition": f'attachment; filename="{file_name(exported, scope, form)}"'},
    )


async def _streamed(exported: Exported, form: Format) -> AsyncIterator[bytes]:
    """Made in a thread: other pages do not wait for it."""
    pieces = await asyncio.to_thread(blocks, exported, form)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


def _format(text: str) -> Format:
    for form in _TYPES:
        if text == form:
            return form
    raise Missing


async def _link(ask: Ask) -> int | None:
    slug = ask.query("link")
    if not slug:
        return None
    link = next((link for link in (await ask.tools.catalog.load()).links if link.slug == slug), None)
    if link is None:
        raise Missing
    return link.id


PAGES = (
    Page(path="/export", handler=show, menu="ads"),
    Page(path="/export/{name}.{form}", handler=file, menu="ads"),
)
