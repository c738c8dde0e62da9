"""One's own account, for everybody: another password, and an end to one's sessions elsewhere."""

import math

from starlette.responses import Response

from analytics.web.cookies import SESSION_SECONDS, get_cookie, put_cookie
from analytics.web.limits import Limits
from analytics.web.page import Ask, Page
from analytics.web.sessions import Sessions
from domain.errors import ConfigError
from privacy.passwords import Passwords, valid_password

PATH = "/account"


class Account:
    """The pages of one's own account. `limits` are those of the sign-in: a stolen session is no way to guess faster."""

    def __init__(self, sessions: Sessions, passwords: Passwords, limits: Limits) -> None:
        self._sessions = sessions
        self._passwords = passwords
        self._limits = limits

    def pages(self) -> tuple[Page, ...]:
        """Where they are."""
        return (
            Page(path=PATH, handler=self.show),
            Page(path=f"{PATH}/password", handler=self.change_password, methods=("POST",)),
            Page(path=f"{PATH}/sessions", handler=self.end_others, methods=("POST",)),
        )

    async def show(self, ask: Ask) -> Response:
        """The form, and how many sessions there are elsewhere."""
        return await self._page(ask)

    async def change_password(self, ask: Ask) -> Response:
        """Another password, of whoever knows the present one: every session ends, and this browser gets a new one."""
        form = await ask.form()
        mistake = await self._mistake(
            ask, form.get("password", ""), form.get("new", ""), form.get("again", "")
        )
        if mistake is not None:
            return mistake
        await ask.tools.users.set_password(ask.user.name, await self._passwords.hash(form["new"]))
        await ask.audit("own password")
        secret = await self._sessions.begin(ask.user)
        response = ask.go(PATH, "account.changed")
        put_cookie(ask.request, response, "session", secret, SESSION_SECONDS)
        return response

    async def end_others(self, ask: Ask) -> Response:
        """End one's sessions in other browsers."""
        ended = await self._sessions.end_others(ask.user, get_cookie(ask.request, "session"))
        await ask.audit("own sessions ended", sessions=ended)
        return ask.go(PATH, "account.ended")

    async def _mistake(self, ask: Ask, password: str, new: str, again: str) -> Response | None:
        """The page that says what is wrong, cheapest first: a try is counted only for what could have changed it."""
        if new != again:
            return await self._page(ask, "account.not_the_same", 422)
        try:
            valid_password(new)
        except ConfigError:
            return await self._page(ask, "account.length", 422)
        key = f"name:{ask.user.name.lower()}"
        wait = self._limits.begin(ask.tools.clock.monotonic(), key)
        if wait:
            return await self._page(ask, "signin.wait", 429, seconds=math.ceil(wait))
        found = await ask.tools.users.hash_of(ask.user.name)
        if not await self._passwords.matches(password, found[1] if found else None):
            await ask.audit("own password refused")
            return await self._page(ask, "account.wrong", 422)
        self._limits.succeed(key)
        return None

    async def _page(
        self, ask: Ask, mistake: str | None = None, status: int = 200, **values: object
    ) -> Response:
        others = await self._sessions.others(ask.user, get_cookie(ask.request, "session"))
        said = None if mistake is None else ask.t(mistake, **values)
        return ask.render("account", status=status, mistake=said, others=others)
