"""The long-running commands, and the migration that comes before them. Each imports its own process only."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import uvloop

from backends.sql.engine import make_engine
from cli.common import CLOCK, PATIENCE, Json, run, settings, show
from daemon.listeners import HandedOver, take_over
from domain.errors import ConfigError
from privacy.redact import redact_event
from runtime.lifecycle import call_on_reload, give_way, stop_on_signals
from runtime.logs import get_logger, log_uncaught, set_up_logs
from runtime.metrics import Metrics
from runtime.service_manager import ServiceManager
from runtime.settings import Bind, Settings, load_settings, service_variables

_log = get_logger("trilha.process")


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a long-running command is handed beside its settings: its end, its service manager, the sockets from there."""

    stop: asyncio.Event
    reload: asyncio.Event
    service: ServiceManager
    handed: HandedOver


Process = Callable[[Settings, Running], Awaitable[None]]


def serve() -> None:
    """Answer clicks: the public redirect listener and the private listener (API, health, metrics)."""
    run_until_stopped(_serve_until, sockets={"public", "private"}, reloads=_has_parent)


def work() -> None:
    """Settle what the redirects left in the spools into SQL, deliver conversions, and end what has had its time."""
    give_way()
    run_until_stopped(_work_until, sockets={"work"})


def bot() -> None:
    """Be the Telegram bots: bind each /start to its click, and answer it. Needs the `bot` extra and an api_id."""
    run_until_stopped(_bot_until, sockets={"bot"})


def _has_parent(given: Settings) -> bool:
    return given.serve_processes > 0


async def _serve_until(given: Settings, running: Running) -> None:
    if _has_parent(given):
        from daemon.supervisor import supervise

        return await supervise(
            given,
            CLOCK,
            running.stop,
            service=running.service,
            handed=running.handed,
            reload=running.reload,
            load=load_settings,
        )
    from daemon.main import serve as serve_until

    await serve_until(given, CLOCK, running.stop, handed=running.handed, service=running.service)
    return None


async def _work_until(given: Settings, running: Running) -> None:
    from backends.sql.leader import make_leader
    from daemon.status import serve_status
    from daemon.worker import work as work_until

    metrics, stop = Metrics(), running.stop
    leader = make_leader(given.sql, given.node, CLOCK)
    at = None
    if given.work_bind is not None or "work" in running.handed:
        at = running.handed.listener(
            "work", given.work_bind or Bind(host="127.0.0.1", port=0), "TRILHA_WORK_BIND"
        )

    def started() -> None:
        running.service.ready("settling and delivering")

    working = asyncio.create_task(work_until(given, CLOCK, stop, metrics, leader=leader, started=started))
    if at is None:
        return await working
    listener = asyncio.create_task(
        serve_status(
            at,
            stop,
            status=lambda: {"ready": not working.done(), "leads": leader.leads},
            metrics=metrics.render,
        )
    )
    await _both(listener, working, stop)
    return None


async def _bot_until(given: Settings, running: Running) -> None:
    from daemon.status import serve_status

    try:
        from bot.main import Worker
    except ModuleNotFoundError as error:
        if error.name != "pyrogram":
            raise
        raise ConfigError("the Telegram client is not installed: pip install 'trilha[bot]'") from None
    stop = running.stop
    worker = Worker(given, CLOCK)
    at = running.handed.listener("bot", given.bot_bind, "TRILHA_BOT_BIND")
    listener = asyncio.create_task(serve_status(at, stop, status=worker.status, metrics=worker.render))

    def started() -> None:
        running.service.ready("being the bots")

    await _both(listener, asyncio.create_task(worker.run(stop, started=started)), stop)


async def _both(listener: asyncio.Task[None], working: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Until either ends, which ends the other."""
    await asyncio.wait({listener, working}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await asyncio.gather(listener, working)


def migrate(as_json: Json = False) -> None:
    """Bring the SQL schema to the version that this Trilha needs. Safe to repeat."""
    before, after = run(migrate_with(settings()))
    text = f"the schema is at {after}" + ("" if before == after else f" (was {before or 'empty'})")
    show({"before": before, "after": after}, as_json=as_json, text=text)


async def migrate_with(given: Settings) -> tuple[str | None, str]:
    """Migrate the database of these settings."""
    from backends.sql.migrate import migrate as run_migrations

    given.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(given.sql, patience=PATIENCE)
    try:
        return await run_migrations(engine)
    finally:
        await engine.dispose()


def _only_at_start(_given: Settings) -> bool:
    return False


def run_until_stopped(
    process: Process, *, sockets: Collection[str], reloads: Callable[[Settings], bool] = _only_at_start
) -> None:
    """Run a process until SIGTERM or Ctrl-C. `sockets`: the names under which it takes listening sockets over.

    `reloads`: whether SIGHUP is the process's own matter; else it is answered with a line in the log.
    """
    given = load_settings()
    set_up_logs(given.log_level, redact_event)
    log_uncaught()

    async def run_it() -> None:
        variables = service_variables()
        service = ServiceManager(variables, CLOCK)
        stop, reload = stop_on_signals(), asyncio.Event()
        call_on_reload(reload.set if reloads(given) else lambda: _nothing_to_reload(service))
        running = Running(stop=stop, reload=reload, service=service, handed=take_over(variables, sockets))
        beside = [asyncio.create_task(each) for each in (service.keep_alive(), _tell_of_stop(stop, service))]
        try:
            await process(given, running)
        finally:
            for task in beside:
                task.cancel()

    # A parent answers nothing itself, and has child processes, which are the standard loop's.
    (asyncio.run if reloads(given) else uvloop.run)(run_it())


async def _tell_of_stop(stop: asyncio.Event, service: ServiceManager) -> None:
    await stop.wait()
    service.stopping()


def _nothing_to_reload(service: ServiceManager) -> None:
    service.reloading()
    _log.warning("SIGHUP changes nothing here: settings are read at the start only; restart this process")
    service.ready("settings are read at the start only")
