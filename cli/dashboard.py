"""trilha dashboard: the pages for people, in a process of their own."""

import asyncio
from collections.abc import Callable
from importlib.util import find_spec

from analytics.live import Watch
from analytics.web.tools import Tools
from backends.build import open_all_spools
from backends.sql.audit import SqlAudit
from backends.sql.bot_accounts import SqlBotAccounts
from backends.sql.engine import Engine, close_engine, make_engine
from backends.sql.links import SqlCatalog
from backends.sql.outbox import SqlOutbox
from backends.sql.reading import SqlReader
from backends.sql.server import versions
from backends.sql.users import SqlUsers
from cli.common import CLOCK, PATIENCE
from cli.doctor import findings_of
from cli.explain_desk import ExplainDesk
from cli.privacy_desk import PrivacyDesk
from cli.processes import Running, run_until_stopped
from daemon.client_ip import ClientIp
from daemon.edge import CappedProtocol
from daemon.listeners import HandedOver
from daemon.server import make_server
from domain.clock import Clock
from domain.errors import ConfigError
from privacy.keyring import Keyring
from privacy.passwords import EXTRA
from runtime.lifecycle import give_way
from runtime.logs import get_logger
from runtime.settings import Settings

LIBRARIES = ("argon2", "jinja2", "segno")
_log = get_logger("trilha.dashboard")


def dashboard() -> None:
    """Serve the dashboard on TRILHA_DASHBOARD_BIND. Needs the `dashboard` extra and a user: trilha user add."""
    give_way()
    run_until_stopped(_dashboard_until, sockets={"dashboard"})


async def _dashboard_until(given: Settings, running: Running) -> None:
    await serve_dashboard(
        given,
        CLOCK,
        running.stop,
        handed=running.handed,
        started=lambda: running.service.ready("showing the dashboard"),
    )


async def serve_dashboard(
    given: Settings,
    clock: Clock,
    stop: asyncio.Event,
    *,
    handed: HandedOver | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Answer until `stop`, then finish what is in flight; `started` is called once it answers.

    ConfigError: a taken port, no key ring, libraries that are missing.
    """
    check_installed()
    from analytics.web.app import create_app

    at = (handed or HandedOver()).listener("dashboard", given.dashboard_bind, "TRILHA_DASHBOARD_BIND")
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        server = make_server(create_app(tools_of(given, engine, clock)), CappedProtocol, kept=at.kept)
        running = asyncio.create_task(server._serve([*at.sockets]))  # noqa: SLF001  without its signal handlers
        _log.info("the dashboard is open", bind=str(given.dashboard_bind))
        await server.until_started(running)
        started()
        await asyncio.wait({running, asyncio.create_task(stop.wait())}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await running
    finally:
        for each in at.sockets:
            each.close()
        await close_engine(engine)


def tools_of(given: Settings, engine: Engine, clock: Clock) -> Tools:
    """What the pages are made of."""
    keyring = Keyring(given.secrets, clock)
    return Tools(
        settings=given,
        clock=clock,
        reader=SqlReader(engine),
        catalog=SqlCatalog(engine, clock),
        users=SqlUsers(engine, clock),
        keyring=keyring,
        audit=SqlAudit(engine, clock).note,
        client_address=ClientIp(given.trusted_proxies).of,
        lanes=SqlOutbox(engine).lanes,
        rights=PrivacyDesk(given, engine, keyring),
        explains=ExplainDesk(given, keyring),
        watch=watch_of(given, engine, clock),
        doctor=lambda: findings_of(given),
        sql_versions=lambda: versions(engine),
    )


def watch_of(given: Settings, engine: Engine, clock: Clock) -> Watch:
    """What looks at everything for the live page."""

    def spools() -> tuple[int, int]:
        opened = open_all_spools(given)
        try:
            return sum(map(len, opened)), sum(spool.volume() for spool in opened)
        finally:
            for spool in opened:
                spool.close()

    return Watch(
        reader=SqlReader(engine),
        lanes=SqlOutbox(engine),
        bots=SqlBotAccounts(engine),
        spools=spools,
        quota=int(given.spool_quota),
        binds={"serve": given.private_bind, "work": given.work_bind, "bot": given.bot_bind},
        clock=clock,
    )


def installed() -> bool:
    """True when the dashboard's libraries are there."""
    return all(find_spec(name) for name in LIBRARIES)


def check_installed() -> None:
    """ConfigError that says how to install it."""
    if not installed():
        raise ConfigError(EXTRA)
