"""Page and Ask: what a page is, and one signed-in request to it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.period import Period
from analytics.web.cookies import DONE_SECONDS, put_cookie
from analytics.web.texts import Language, Texts
from analytics.web.tools import Tools
from domain.errors import ConfigError
from domain.users import ROLES, Role, User

EVERYBODY: tuple[Role, ...] = ROLES
MENU = ("overview", "links", "ads", "quality", "live", "explain", "privacy", "settings")
DEFAULT_PERIOD = "7d"


class Missing(Exception):
    """There is no such thing: the answer is the page for that, with 404."""


class Renderer(Protocol):
    """Makes the answer of a template (render.py)."""

    def __call__(self, ask: "Ask", template: str, status: int, values: Mapping[str, Any]) -> Response: ...


@dataclass(slots=True, kw_only=True, eq=False)
class Ask:
    """One request of somebody who has signed in, and may see the page."""

    request: Request
    user: User
    language: Language
    tools: Tools
    zone: ZoneInfo
    now_ms: int
    texts: Texts
    renderer: Renderer
    csrf: str
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notices: list[tuple[str, str]] = field(default_factory=list)
    _period: Period | None = None

    @property
    def period(self) -> Period:
        """Of `?period=30d` or `?from=2026-11-01&to=2026-11-30`; the last seven days by default, and with a notice for a bad one."""
        if self._period is None:
            self._period = self._find_period()
        return self._period

    def query(self, name: str, default: str = "") -> str:
        """A value of the URL."""
        return self.request.query_params.get(name, default)

    def t(self, key: str, **values: object) -> str:
        """The text of that key in the reader's language."""
        return self.texts.say(self.language, key, **values)

    async def form(self) -> Mapping[str, str]:
        """The fields of the form that was posted, the last of each name. That it is a form of ours was checked."""
        return {name: values[-1] for name, values in self.fields.items()}

    def form_list(self, name: str) -> tuple[str, ...]:
        """Every value of a field that may be given more than once."""
        return self.fields.get(name, ())

    def notice(self, kind: str, key: str, **values: object) -> None:
        """Say something at the top of this page: `good`, `warning` or `bad`."""
        self.notices.append((kind, self.t(key, **values)))

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """The page of that template (`links` for templates/links.html)."""
        return self.renderer(self, template, status, values)

    def go(self, path: str, done: str | None = None) -> Response:
        """After a form: on to that page of ours, which says what was done (a text's key)."""
        response = RedirectResponse(path, 303)
        if done is not None:
            self.texts.say(
                self.language, done
            )  # a key that there is not is a fault of this page, not of the next
            put_cookie(self.request, response, "done", done, DONE_SECONDS)
        return response

    async def audit(self, action: str, **detail: object) -> None:
        """Add a line to the audit, with the user's number: a name would stay there for ever."""
        await self.tools.audit(action, {"user": self.user.id, **detail})

    def page_url(self, **changes: object) -> str:
        """This page with its query changed; None takes a name out."""
        query = dict(self.request.query_params) | {name: str(value) for name, value in changes.items()}
        kept = {name: value for name, value in query.items() if changes.get(name, "") is not None}
        return self.request.url.path + (f"?{urlencode(kept)}" if kept else "")

    def _find_period(self) -> Period:
        words, first, last = self.query("period"), self.query("from"), self.query("to")
        try:
            if first or last:
                return Period.between(first or last, last or first, self.zone)
            return Period.of(words or DEFAULT_PERIOD, self.now_ms, self.zone)
        except ConfigError:
            self.notice("warning", "base.bad_period")
            return Period.of(DEFAULT_PERIOD, self.now_ms, self.zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page: where it is (Starlette's form of paths), who may see it, which entry of the menu it belongs to."""

    path: str
    handler: Callable[[Ask], Awaitable[Response]]
    methods: tuple[str, ...] = ("GET",)
    roles: tuple[Role, ...] = EVERYBODY
    menu: str | None = None
