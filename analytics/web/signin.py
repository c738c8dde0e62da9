"""Sign-in and sign-out. Whether a name exists shows neither in words nor in time."""

import math

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from analytics.web.cookies import (
    FORM_SECONDS,
    LANGUAGE_SECONDS,
    SESSION_SECONDS,
    drop_cookie,
    get_cookie,
    put_cookie,
)
from analytics.web.forms import BadForm, Fields, from_our_page, last, path_of_ours, read_fields
from analytics.web.limits import Limits, address_key
from analytics.web.render import Render
from analytics.web.sessions import Sessions, form_token, is_form_token
from analytics.web.texts import LANGUAGES, Language, preferred
from analytics.web.tools import Tools
from domain.ids import random_text
from domain.users import User
from privacy.passwords import Passwords

STRANGERS_MS = 60_000


def language_of(request: Request) -> Language:
    """What the reader has chosen, else what their browser prefers."""
    chosen = get_cookie(request, "language")
    found = next((known for known in LANGUAGES if known == chosen), None)
    return found or preferred(request.headers.get("accept-language", ""))


class SignIn:
    """The pages of those who have not signed in yet."""

    def __init__(
        self, tools: Tools, render: Render, sessions: Sessions, passwords: Passwords, limits: Limits
    ) -> None:
        self._tools = tools
        self._render = render
        self._sessions = sessions
        self._passwords = passwords
        self._limits = limits
        self._stranger_ms = 0

    async def show(self, request: Request) -> Response:
        """The form; who has signed in already goes on."""
        if await self._sessions.whose(get_cookie(request, "session")):
            return RedirectResponse(path_of_ours(request.query_params.get("next", "")), 303)
        return self._form(request, request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        """Check name and password, and begin a session."""
        fields = await read_fields(request)
        onward = last(fields, "next")
        if not from_our_page(request) or not is_form_token(get_cookie(request, "form"), last(fields, "csrf")):
            return self._form(request, onward, "signin.stale", status=400)
        keys = (f"name:{last(fields, 'name').lower()[:64]}", address_key(self._address(request)))
        wait = self._limits.begin(self._tools.clock.monotonic(), *keys)
        if wait:
            return self._form(request, onward, "signin.wait", status=429, seconds=math.ceil(wait))
        user = await self._user_of(fields)
        if user is None:
            return self._form(request, onward, "signin.wrong", status=401)
        self._limits.succeed(*keys)
        return await self._begin(request, user, onward)

    async def leave(self, request: Request) -> Response:
        """End the session."""
        fields = await read_fields(request)
        secret = get_cookie(request, "session")
        if not from_our_page(request) or not is_form_token(secret, last(fields, "csrf")):
            raise BadForm
        await self._sessions.end(secret)
        response = RedirectResponse("/sign-in", 303)
        drop_cookie(request, response, "session")
        return response

    async def choose_language(self, request: Request) -> Response:
        """Remember the reader's choice."""
        fields = await read_fields(request)
        if not from_our_page(request) or last(fields, "language") not in LANGUAGES:
            raise BadForm
        response = RedirectResponse(path_of_ours(last(fields, "next")), 303)
        put_cookie(request, response, "language", last(fields, "language"), LANGUAGE_SECONDS)
        return response

    async def _user_of(self, fields: Fields) -> User | None:
        password = last(fields, "password")
        found = await self._tools.users.hash_of(last(fields, "name"))
        right = await self._passwords.matches(password, found[1] if found else None)
        if found is None:
            await self._note_stranger()
            return None
        user, hashed = found
        if not right:
            await self._tools.audit("sign-in failed", {"user": user.id})
            return None
        if self._passwords.outdated(hashed):
            await self._tools.users.rehash(user, hashed, await self._passwords.hash(password))
        return user

    async def _begin(self, request: Request, user: User, onward: str) -> Response:
        await self._sessions.end(get_cookie(request, "session"))
        secret = await self._sessions.begin(user)
        await self._tools.audit("sign-in", {"user": user.id})
        response = RedirectResponse(path_of_ours(onward), 303)
        put_cookie(request, response, "session", secret, SESSION_SECONDS)
        drop_cookie(request, response, "form")
        return response

    async def _note_stranger(self) -> None:
        """What was typed may be a password in the wrong field: it is not kept. A line a minute, as the audit is for good."""
        now = self._tools.clock.now_ms()
        if now - self._stranger_ms >= STRANGERS_MS:
            self._stranger_ms = now
            await self._tools.audit("sign-in failed", {"user": None})

    def _form(
        self, request: Request, onward: str, error: str | None = None, *, status: int = 200, **values: object
    ) -> Response:
        secret = get_cookie(request, "form") or random_text()
        language = language_of(request)
        response = self._render.outside(
            request,
            language,
            "signin",
            status=status,
            token=form_token(secret),
            onward=path_of_ours(onward),
            error=(error, values) if error else None,
        )
        put_cookie(request, response, "form", secret, FORM_SECONDS)
        if status == 429:
            response.headers["retry-after"] = str(values["seconds"])
        return response

    def _address(self, request: Request) -> str | None:
        peer = request.client.host if request.client else None
        forwarded = [value for name, value in request.headers.raw if name == b"x-forwarded-for"]
        return self._tools.client_address(peer, forwarded)
