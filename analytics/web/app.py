"""create_app: the dashboard's pages behind sign-in, roles and forms of its own."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from analytics.web.assets import load_assets
from analytics.web.cookies import get_cookie
from analytics.web.failures import trace
from analytics.web.forms import BadForm, from_our_page, last, read_fields
from analytics.web.guard import Guard, TooLarge
from analytics.web.limits import Limits
from analytics.web.page import Ask, Missing, Page
from analytics.web.pages import ads, explain, exports, link, links, live, overview, privacy, quality, settings
from analytics.web.pages.account import Account
from analytics.web.render import Render
from analytics.web.sessions import Sessions, form_token, is_form_token
from analytics.web.signin import SignIn, language_of
from analytics.web.texts import load_texts
from analytics.web.tools import Tools
from domain.errors import StoreUnavailable, TrilhaError
from domain.users import User
from privacy.passwords import Passwords
from runtime.logs import get_logger

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *links.PAGES,
    *link.PAGES,
    *ads.PAGES,
    *quality.PAGES,
    *live.PAGES,
    *explain.PAGES,
    *privacy.PAGES,
    *exports.PAGES,
    *settings.PAGES,
)
Endpoint = Callable[[Request], Awaitable[Response]]
_log = get_logger("trilha.dashboard")


def create_app(tools: Tools) -> ASGIApp:
    """The dashboard. ConfigError: a text is missing, or its libraries are."""
    site = Site(tools, PAGES)
    return Guard(
        Starlette(routes=site.routes(), exception_handlers={HTTPException: site.refuse}), tools.settings
    )


class Site:
    """Every page, and what stands before it."""

    def __init__(self, tools: Tools, pages: tuple[Page, ...]) -> None:
        self._tools = tools
        self._sessions = Sessions(tools.users)
        passwords, limits = Passwords(), Limits()
        self._pages = (*pages, *Account(self._sessions, passwords, limits).pages())
        self._zone = ZoneInfo(tools.settings.timezone)
        self._texts = load_texts()
        self._assets = load_assets()
        self._render = Render(self._texts, self._assets, self._pages, self._zone)
        self._signin = SignIn(tools, self._render, self._sessions, passwords, limits)

    def routes(self) -> list[Route]:
        """Where everything is."""
        return [
            Route("/healthz", _healthz),
            Route("/static/{name}", self._assets.serve),
            Route("/sign-in", self._safely(self._signin.show)),
            Route("/sign-in", self._safely(self._signin.enter), methods=["POST"]),
            Route("/sign-out", self._safely(self._signin.leave), methods=["POST"]),
            Route("/language", self._safely(self._signin.choose_language), methods=["POST"]),
            *(
                Route(page.path, self._safely(self._serve(page)), methods=[*page.methods])
                for page in self._pages
            ),
        ]

    async def refuse(self, request: Request, error: Exception) -> Response:
        """There is no such page, or not that way of asking for it."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        kind = "missing" if status == 404 else "refused"
        secret = get_cookie(request, "session")
        try:
            user = await self._sessions.whose(secret)
        except StoreUnavailable:
            user = None
        if user is None:
            return self._error(request, kind, status)
        return self._ask(request, user, form_token(secret)).render("error", status=status, kind=kind)

    def _serve(self, page: Page) -> Endpoint:
        async def serve(request: Request) -> Response:
            request.scope["trilha.menu"] = page.menu
            secret = get_cookie(request, "session")
            user = await self._sessions.whose(secret)
            if user is None:
                return _to_sign_in(request)
            ask = self._ask(request, user, form_token(secret))
            if user.role not in page.roles:
                return ask.render("error", status=403, kind="forbidden")
            if request.method == "POST":
                ask.fields = await _own_form(request, secret)
            return await self._answer(page, ask)

        return serve

    async def _answer(self, page: Page, ask: Ask) -> Response:
        try:
            return await page.handler(ask)
        except Missing:
            return ask.render("error", status=404, kind="missing")
        except StoreUnavailable:
            return ask.render("error", status=503, kind="store")
        except TrilhaError as error:
            return ask.render("error", status=400, kind="wrong", detail=str(error))

    def _safely(self, endpoint: Endpoint) -> Endpoint:
        """An error costs this one answer, and tells nobody what was inside."""

        async def safely(request: Request) -> Response:
            try:
                return await endpoint(request)
            except HTTPException:
                raise
            except (BadForm, TooLarge) as error:
                large = isinstance(error, TooLarge)
                return self._error(request, "too_large" if large else "bad_form", 413 if large else 400)
            except StoreUnavailable:
                return self._error(request, "store", 503)
            except Exception as error:  # noqa: BLE001  nothing of the request may reach the log
                _log.error("a page failed", page=request.scope.get("trilha.menu"), trace=trace(error))
                return self._error(request, "failed", 500)

        return safely

    def _error(self, request: Request, kind: str, status: int) -> Response:
        return self._render.outside(request, language_of(request), "error", status=status, kind=kind)

    def _ask(self, request: Request, user: User, csrf: str) -> Ask:
        return Ask(
            request=request,
            user=user,
            language=language_of(request),
            tools=self._tools,
            zone=self._zone,
            now_ms=self._tools.clock.now_ms(),
            texts=self._texts,
            renderer=self._render,
            csrf=csrf,
        )


async def _own_form(request: Request, secret: str) -> dict[str, tuple[str, ...]]:
    fields = await read_fields(request)
    if not from_our_page(request) or not is_form_token(secret, last(fields, "csrf")):
        raise BadForm
    return dict(fields)


def _to_sign_in(request: Request) -> Response:
    onward = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = f"?next={quote(onward)}" if request.method == "GET" and onward != "/" else ""
    return RedirectResponse(f"/sign-in{wanted}", 303)


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")
