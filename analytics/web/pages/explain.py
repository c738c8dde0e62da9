"""Explain: the whole way of one click, person or order. What is looked for is posted, so that no log and no URL has it."""

from starlette.responses import Response

from analytics.explain.explain import explain
from analytics.explain.explanation import Explanation
from analytics.explain.facts import Facts
from analytics.explain.words import Words
from analytics.web.explains import KINDS, Explains, Sought, sought
from analytics.web.page import Ask, Page
from domain.errors import ConfigError
from domain.people import telegram_id_of


async def show(ask: Ask) -> Response:
    """The empty box."""
    return _page(ask, None, "", "")


async def look(ask: Ask) -> Response:
    """The answer, as the answer to the form: a redirect would need the token in its URL."""
    form = await ask.form()
    text, kind = form.get("what", ""), form.get("kind", "")
    wanted = sought(text, kind)
    if wanted is None or ask.tools.explains is None:
        return _page(ask, None, text, kind)
    try:
        found, facts = await _facts(ask.tools.explains, wanted)
    except ConfigError:
        ask.notice("warning", "explain.wrong")
        return _page(ask, None, text, kind)
    told = explain(facts, Words(ask.language, ask.zone))
    # Of whom is not noted: only that somebody looked, by what, and how much was shown.
    await ask.audit("explain", by=found.kind, known=int(told.known), stories=len(told.stories))
    return _page(ask, told, text, kind)


async def _facts(explains: Explains, wanted: Sought) -> tuple[Sought, Facts]:
    """A number that is nobody's may be an order's."""
    if wanted.kind == "token":
        return wanted, await explains.token(wanted.value)
    if wanted.kind == "order":
        return wanted, await explains.order(wanted.value)
    person = telegram_id_of(wanted.value)
    if person is None:
        raise ConfigError("not a Telegram id")
    facts = await explains.person(person)
    if wanted.guessed and not (facts.clicks or facts.starts or facts.people or facts.deliveries):
        order = await explains.order(wanted.value)
        if order.deliveries or order.waiting:
            return Sought(kind="order", value=wanted.value, guessed=True), order
    return wanted, facts


def _page(ask: Ask, told: Explanation | None, text: str, kind: str) -> Response:
    return ask.render("explain", told=told, text=text, kind=kind, kinds=KINDS)


PAGES = (
    Page(path="/explain", handler=show, menu="explain"),
    Page(path="/explain", handler=look, methods=("POST",), menu="explain"),
)
