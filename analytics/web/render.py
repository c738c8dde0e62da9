"""Renders templates: Jinja with autoescape, where a name that is not given is an error."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from analytics.web.assets import Assets
from analytics.web.cookies import drop_cookie, get_cookie
from analytics.web.formats import Formats
from analytics.web.page import MENU, Ask, Page
from analytics.web.texts import Language, Texts
from domain.users import User

FOLDER = Path(__file__).with_name("templates")
_UNSAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuEntry:
    """An entry of the menu, as a template shows it."""

    key: str
    path: str
    here: bool


class Render:
    """Makes answers of templates, for those who have signed in and for those who have not."""

    def __init__(self, texts: Texts, assets: Assets, pages: Sequence[Page], zone: Any) -> None:
        self._texts = texts
        self._assets = assets
        self._zone = zone
        self._entries = [page for key in MENU for page in _entry_of(key, pages)]
        self._jinja = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._jinja.filters["json"] = to_json

    def __call__(self, ask: Ask, template: str, status: int, values: Mapping[str, Any]) -> Response:
        """A page of somebody who has signed in."""
        done = get_cookie(ask.request, "done")
        said = [("good", ask.t(done))] if done in self._texts else []
        common: dict[str, Any] = self._common(ask.language, ask.request, ask.csrf) | {
            "ask": ask,
            "user": ask.user,
            "menu": self._menu(ask.user, ask.request.scope.get("trilha.menu")),
            "page_url": ask.page_url,
        }
        # Rendered first: reading ask.period may add a notice.
        notices = [*said, *ask.notices]
        response = self._answer(template, status, common | {"notices": notices} | dict(values))
        if done:
            drop_cookie(ask.request, response, "done")
        return response

    def outside(
        self, request: Request, language: Language, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A page of nobody: sign-in, errors."""
        common: dict[str, Any] = {"ask": None, "user": None, "menu": [], "notices": [], "csrf_token": ""}
        return self._answer(template, status, common | self._common(language, request, "") | values)

    def _answer(self, template: str, status: int, values: Mapping[str, Any]) -> Response:
        return HTMLResponse(self._jinja.get_template(f"{template}.html").render(values), status)

    def _common(self, language: Language, request: Request, csrf: str) -> dict[str, Any]:
        formats = Formats(language=language, zone=self._zone)
        return {
            "t": partial(self._texts.say, language),
            "word": partial(self._texts.word, language),
            "lang": "pt-BR" if language == "pt" else "en",
            "language": language,
            "zone": self._zone.key,
            "path": request.url.path,
            "asset": self._assets.url,
            "number": formats.number,
            "percent": formats.percent,
            "change": formats.change,
            "money": formats.money,
            "moment": formats.moment,
            "hour": formats.hour,
            "day": formats.day,
            "span": formats.span,
            "sentence": formats.sentence,
            "csrf_token": csrf,
            "csrf": lambda: Markup('<input type="hidden" name="csrf" value="{}">').format(csrf),
        }

    def _menu(self, user: User, here: str | None) -> list[MenuEntry]:
        return [
            MenuEntry(key=page.menu or "", path=page.path, here=page.menu == here)
            for page in self._entries
            if user.role in page.roles
        ]


def to_json(value: Any) -> Markup:
    """JSON for a data block: nothing in it can end the block."""
    return Markup(json.dumps(value, ensure_ascii=False, separators=(",", ":")).translate(_UNSAFE))  # noqa: S704  escaped


def _entry_of(key: str, pages: Sequence[Page]) -> list[Page]:
    """The first page that anybody can open by its address alone."""
    return [page for page in pages if page.menu == key and "{" not in page.path and "GET" in page.methods][:1]
