"""Privacy: a data subject's copy and erasure, until when things are kept, what is due, and the audit."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from analytics.web.page import Ask, Missing, Page
from analytics.web.retention import calendar
from analytics.web.rights import Rights
from domain.people import Held, telegram_id_of
from domain.users import Role, names_beside

LINES = 200
MAY: tuple[Role, ...] = ("owner", "dpo")
Found = dict[str, Any]


async def show(ask: Ask) -> Response:
    """The page."""
    return await _page(ask)


async def export(ask: Ask) -> Response:
    """The person's copy, as a file. Their id is posted: it is in no URL, and the file's name does not have it either."""
    person = await _person(ask, "telegram_id")
    if person is None:
        return await _page(ask)
    found = await _rights(ask).export(person)
    # Who took it; the line before has the counts.
    await ask.audit("export by", complete=int(not found["incomplete"]))
    text = json.dumps(found, indent=2, ensure_ascii=False)
    return Response(
        text,
        media_type="application/json",
        headers={"content-disposition": 'attachment; filename="trilha-subject.json"'},
    )


async def foresee(ask: Ask) -> Response:
    """The first step: what an erasure would erase, in counts. Nothing is erased."""
    person = await _person(ask, "telegram_id")
    if person is None:
        return await _page(ask)
    held = await _rights(ask).held(person)
    await ask.audit("erase foreseen", clicks=held.clicks, starts=held.starts, conversions=held.conversions)
    return _foreseen(ask, person, held)


async def erase(ask: Ask) -> Response:
    """The second step: the id was typed once more, and is the same."""
    person, again = await _person(ask, "telegram_id"), await _person(ask, "again")
    if person is None:
        return await _page(ask)
    if again != person:
        ask.notices[:] = []
        ask.notice("bad", "privacy.not_the_same")
        return _foreseen(ask, person, await _rights(ask).held(person))
    done = await _rights(ask).erase(person)
    await ask.audit("erase by", line=done.audit_id, finished=int(not done.left))
    return ask.render("privacy_erased", done=done)


def _foreseen(ask: Ask, person: int, held: Held) -> Response:
    return ask.render("privacy_erase", person=person, held=held)


async def _page(ask: Ask) -> Response:
    rights = _rights(ask)
    due = await rights.due()
    lines = await rights.audit(LINES)
    names = await ask.tools.users.names()
    return ask.render(
        "privacy",
        calendar=calendar(ask.tools.settings, ask.language),
        due=due,
        waits=any(item.rows for item in due),
        lines=[(line, _said(line.detail, names)) for line in lines],
    )


async def _person(ask: Ask, field: str) -> int | None:
    """The id in that field; with a notice that does not repeat it when it is none."""
    person = telegram_id_of((await ask.form()).get(field, "").strip())
    if person is None:
        ask.notice("bad", "privacy.no_id")
    return person


def _rights(ask: Ask) -> Rights:
    if ask.tools.rights is None:
        raise Missing
    return ask.tools.rights


def _said(detail: Mapping[str, Any], names: Mapping[int, str]) -> str:
    known = names_beside(detail, names)
    return ", ".join(
        f"{key} {value} ({known[key]})" if key in known else f"{key} {value}" for key, value in detail.items()
    )


PAGES = (
    Page(path="/privacy", handler=show, roles=MAY, menu="privacy"),
    Page(path="/privacy/export", handler=export, methods=("POST",), roles=MAY, menu="privacy"),
    Page(path="/privacy/erase", handler=foresee, methods=("POST",), roles=MAY, menu="privacy"),
    Page(path="/privacy/erase/now", handler=erase, methods=("POST",), roles=MAY, menu="privacy"),
)
