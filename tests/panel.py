"""A real dashboard in this process, on a real socket and real SQL; browsers without scripts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from backends.sql.engine import Engine, close_engine, make_engine
from backends.sql.users import SqlUsers
from chaos.servers import HOST, free_port
from cli.dashboard import serve_dashboard
from domain.clock import ManualClock
from domain.users import Role, User
from privacy.keyring import Keyring
from privacy.passwords import Passwords
from runtime.settings import Settings, load_settings

PASSWORD = "correct horse battery"
PATIENCE = 30.0


class Browser:
    """Somebody at the dashboard: keeps cookies, fills in forms, runs no script."""

    def __init__(self, base: str, **headers: str) -> None:
        self.http = httpx2.AsyncClient(base_url=base, headers=headers, timeout=PATIENCE)

    async def get(self, path: str, **headers: str) -> httpx2.Response:
        """A page."""
        return await self.http.get(path, headers=headers)

    async def post(self, path: str, fields: dict[str, str] | None = None, **headers: str) -> httpx2.Response:
        """A form, as it is given: without a token unless `fields` has one."""
        return await self.http.post(path, data=fields or {}, headers=headers)

    async def token(self, path: str = "/") -> str:
        """The token of the forms of that page."""
        return token_of((await self.get(path)).text)

    async def send(self, path: str, page: str = "/", **fields: str) -> httpx2.Response:
        """A form as the page has it."""
        return await self.post(path, {"csrf": await self.token(page), **fields})

    async def sign_in(self, name: str, password: str = PASSWORD, onward: str = "/") -> httpx2.Response:
        """Name and password into the form."""
        return await self.send("/sign-in", "/sign-in", name=name, password=password, next=onward)


def token_of(page: str) -> str:
    """The token of its first form."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
    assert found, page
    return found[1]


@dataclass
class Panel:
    """The dashboard's settings, SQL and clock. `extra` are further TRILHA_ settings."""

    home: Path
    sql_url: str
    extra: dict[str, str] = field(default_factory=dict)
    browsers: list[Browser] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.port = free_port()
        self.base = f"http://{HOST}:{self.port}"
        self.clock = ManualClock()
        self.settings: Settings = load_settings(
            {
                "TRILHA_HOME_DIR": str(self.home),
                "TRILHA_SQL_URL": self.sql_url,
                "TRILHA_DASHBOARD_BIND": f"{HOST}:{self.port}",
                **self.extra,
            }
        )
        self.engine: Engine = make_engine(self.sql_url, patience=PATIENCE)
        self.users = SqlUsers(self.engine, self.clock)

    async def user(self, name: str = "Ana", role: Role = "owner") -> User:
        """A user with PASSWORD."""
        return await self.users.add(name, role, await Passwords().hash(PASSWORD))

    def browser(self, **headers: str) -> Browser:
        """A new one, without cookies."""
        made = Browser(self.base, **headers)
        self.browsers.append(made)
        return made

    async def signed_in(self, name: str = "Ana", role: Role = "owner") -> Browser:
        """A browser of a new user who has signed in."""
        await self.user(name, role)
        browser = self.browser()
        answer = await browser.sign_in(name)
        assert answer.status_code == 303, answer.text
        return browser

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Panel]:
        """Open for as long as it lasts."""
        if not self.settings.secrets.exists():
            Keyring.create(self.settings.secrets, self.clock)
        stop = asyncio.Event()
        serving = asyncio.create_task(serve_dashboard(self.settings, self.clock, stop))
        try:
            await self._until_open(serving)
            yield self
        finally:
            for browser in self.browsers:
                await browser.http.aclose()
            stop.set()
            await serving
            await close_engine(self.engine)

    async def _until_open(self, serving: asyncio.Task[None]) -> None:
        async with httpx2.AsyncClient() as client:
            while not serving.done():
                try:
                    await client.get(f"{self.base}/healthz")
                    return
                except httpx2.TransportError:
                    await asyncio.sleep(0.02)
        await serving
