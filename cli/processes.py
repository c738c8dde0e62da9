"""The long-running commands, and the migration that comes before them. Each imports its own process only."""

import asyncio
from collections.abc import Awaitable, Callable

import uvloop

from backends.sql.engine import make_engine
from cli.common import CLOCK, PATIENCE, Json, run, settings, show
from domain.clock import Clock
from domain.errors import ConfigError
from privacy.redact import redact_event
from runtime.lifecycle import give_way, stop_on_signals
from runtime.logs import log_uncaught, set_up_logs
from runtime.metrics import Metrics
from runtime.settings import Settings, load_settings

Process = Callable[[Settings, Clock, asyncio.Event], Awaitable[None]]


def serve() -> None:
    """Answer clicks: the public redirect listener and the private listener (API, health, metrics)."""
    from daemon.main import serve as serve_until

    _run_until_stopped(serve_until)


def work() -> None:
    """Settle what the redirects left in the spools into SQL, deliver conversions, and end what has had its time."""
    give_way()
    _run_until_stopped(_work_until)


def bot() -> None:
    """Be the Telegram bots: bind each /start to its click, and answer it. Needs the `bot` extra and an api_id."""
    _run_until_stopped(_bot_until)


async def _work_until(given: Settings, clock: Clock, stop: asyncio.Event) -> None:
    from backends.sql.leader import make_leader
    from daemon.status import serve_status
    from daemon.worker import work as work_until

    metrics, leader = Metrics(), make_leader(given.sql, given.node, clock)
    working = asyncio.create_task(work_until(given, clock, stop, metrics, leader=leader))
    if given.work_bind is None:
        return await working
    listener = asyncio.create_task(
        serve_status(
            given.work_bind,
            "TRILHA_WORK_BIND",
            stop,
            status=lambda: {"ready": not working.done(), "leads": leader.leads},
            metrics=metrics.render,
        )
    )
    await _both(listener, working, stop)
    return None


async def _bot_until(given: Settings, clock: Clock, stop: asyncio.Event) -> None:
    from daemon.status import serve_status

    try:
        from bot.main import Worker
    except ModuleNotFoundError as error:
        if error.name != "pyrogram":
            raise
        raise ConfigError("the Telegram client is not installed: pip install 'trilha[bot]'") from None
    worker = Worker(given, clock)
    listener = asyncio.create_task(
        serve_status(given.bot_bind, "TRILHA_BOT_BIND", stop, status=worker.status, metrics=worker.render)
    )
    await _both(listener, asyncio.create_task(worker.run(stop)), stop)


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


def _run_until_stopped(process: Process) -> None:
    given = load_settings()
    set_up_logs(given.log_level, redact_event)
    log_uncaught()

    async def run_it() -> None:
        await process(given, CLOCK, stop_on_signals())

    uvloop.run(run_it())
