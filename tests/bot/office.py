"""A prepared home with a bot that the loopback Telegram knows, and workers on it: in this process, or in one to kill."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from backends.sql.bot_accounts import SqlBotAccounts
from bot.main import Worker
from chaos.servers import HOST, free_port
from privacy.bot_tokens import BotTokens
from privacy.keyring import Keyring
from runtime.settings import Bind, child_environment
from tests.daemon_fixture import BOT, OTHER_BOT, Site
from tests.telegram.account import BotSide
from tests.telegram.server import LoopbackTelegram

API_HASH = "0123456789abcdef0123456789abcdef"
READY_SECONDS = 30.0


def token(number: int) -> str:
    """A token of the form that BotFather gives."""
    return f"{number}:{'A' * 35}"


class Office:
    """The site, Telegram, and the bot in both."""

    def __init__(self, site: Site, telegram: LoopbackTelegram) -> None:
        self.site = site
        self.telegram = telegram
        self.bot = telegram.add_bot(token(7_000_000_001), BOT)

    @classmethod
    async def prepared(cls, home: Path, telegram: LoopbackTelegram, **changes: Any) -> Office:
        """Tables, keys, links, and the bot's token sealed in SQL."""
        options = {
            "bot_bind": Bind(host=HOST, port=free_port()),
            "telegram_api_id": 1,
            "telegram_server": Bind(host=telegram.host, port=telegram.port),
            "telegram_server_key": telegram.key_file,
        }
        site = Site(home, **(options | changes))
        await site.prepare()
        office = cls(site, telegram)
        site.settings.api_hash.write_text(API_HASH)
        site.settings.api_hash.chmod(0o600)
        await office.give_token(BOT, office.bot)
        return office

    @classmethod
    def beside(cls, other: Office, home: Path) -> Office:
        """Another machine's home with the same database, keys and bot."""
        given = other.site.settings
        site = Site(home, sql_url=given.sql)
        binds = {
            name: Bind(host=HOST, port=free_port()) for name in ("public_bind", "private_bind", "bot_bind")
        }
        kept = {"home_dir": home / "var", "sql_url": given.sql, "secret_file": given.secrets}
        kept |= {"api_key_file": given.api_keys, "telegram_api_hash_file": given.api_hash}
        site.settings = given.model_copy(update=binds | kept)
        site.key = other.site.key
        made = cls.__new__(cls)
        made.site, made.telegram, made.bot = site, other.telegram, other.bot
        return made

    async def give_token(self, username: str, side: BotSide) -> None:
        """Seal a bot's token into SQL, as `trilha bot-account token` does."""
        tokens = BotTokens(Keyring(self.site.settings.secrets, self.site.clock))
        bot_id = {BOT: 1, OTHER_BOT: 2}[username]
        async with self.site.engine() as engine:
            sealed = tokens.seal(side.token, bot_id)
            await SqlBotAccounts(engine).put_token(bot_id, sealed, side.id)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """A worker in this process, listening; stopped in order afterwards."""
        stop = asyncio.Event()
        worker = Worker(self.site.settings, self.site.clock)
        running = asyncio.create_task(worker.run(stop))
        try:
            await until(lambda: worker.status()["ready"] or running.done())
            if running.done():
                await running
            yield worker
        finally:
            stop.set()
            await running

    def environment(self) -> dict[str, str]:
        """What a `trilha` command of this home is started with."""
        given = self.site.settings
        names = [name for name in given.model_fields_set if name != "trusted_proxies"]
        return child_environment(**{name: str(getattr(given, name)) for name in names})

    async def process(self, *, ready: bool = True) -> WorkerProcess:
        """`trilha bot` as a process of its own, once it listens to Telegram unless that is not waited for."""
        started = await self.command("bot")
        if ready:
            await started.until_ready()
        return started

    async def until_serving(self) -> None:
        """Once the daemon, a process of its own, answers."""
        async with httpx2.AsyncClient(timeout=5) as client, asyncio.timeout(READY_SECONDS):
            while not await _answers(client, f"http://{self.site.settings.private_bind}/healthz"):
                await asyncio.sleep(0.05)

    async def command(self, name: str) -> WorkerProcess:
        """A long-running `trilha` command of this home."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "cli.main",
            name,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        return WorkerProcess(process, f"http://{self.site.settings.bot_bind}")


class WorkerProcess:
    """A worker that can be killed."""

    def __init__(self, process: asyncio.subprocess.Process, base: str) -> None:
        self._process = process
        self._base = base
        assert process.stderr is not None
        self._log = asyncio.create_task(process.stderr.read())

    async def until_ready(self) -> None:
        """Once its line to Telegram is open."""
        async with httpx2.AsyncClient(timeout=5) as client, asyncio.timeout(READY_SECONDS):
            while not await _answers(client, f"{self._base}/readyz"):
                if self._process.returncode is not None:
                    raise AssertionError(f"the worker ended: {(await self._log).decode()}")
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> str:
        """SIGTERM, waited for; what it has logged."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        await self._process.wait()
        return (await self._log).decode()


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code == 200
    except httpx2.HTTPError:
        return False


async def until(holds: Any, seconds: float = READY_SECONDS) -> None:
    """Wait for it; AssertionError when it does not come."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not within {seconds:g} s") from None
