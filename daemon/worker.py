"""Front door of `trilha work`: settles spools, provisions keys ahead, ends what has had its time."""

import asyncio

from backends.build import WORKER_PATIENCE, lock_settling, open_spool
from backends.spool import spools_under
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.retention import SqlRetention
from daemon.retention import PASS_SECONDS, Retention
from daemon.settle import Settler
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import jitter
from privacy.keyring import Keyring
from runtime.lifecycle import repeat, sleep_until
from runtime.logs import get_logger
from runtime.settings import Settings

IDLE_SECONDS = 0.2
DOWN_SECONDS = 1.0
KEYS_SECONDS = 600.0
_log = get_logger("trilha.work")


async def work(settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
    """Settle until `stop`, then settle what is left. ConfigError when another worker settles these spools."""
    lock = lock_settling(settings)
    keyring = Keyring(settings.secrets, clock)
    engine = make_engine(settings.sql, patience=WORKER_PATIENCE)
    settler = Settler(
        folders=lambda: spools_under(settings.spools),
        open_spool=lambda folder: open_spool(settings, folder),
        ledger=SqlLedger(engine),
        clock=clock,
        batch=settings.settle_batch,
    )
    keys = asyncio.create_task(repeat(lambda: asyncio.to_thread(keyring.refresh), KEYS_SECONDS, stop))
    retention = Retention(SqlRetention(engine), settings, clock)
    retaining = asyncio.create_task(repeat(retention.pass_, PASS_SECONDS, stop))
    try:
        await _settle_until(stop, settler)
    finally:
        keys.cancel()
        retaining.cancel()
        await settler.close()
        await engine.dispose()
        lock.release()


async def _settle_until(stop: asyncio.Event, settler: Settler) -> None:
    down = False
    while not stop.is_set():
        try:
            moved = await settler.once()
        except StoreUnavailable as error:
            if not down:
                _log.warning("settling waits", reason=str(error))
            down = True
            await sleep_until(stop, jitter(DOWN_SECONDS, 0.5))
            continue
        if down:
            _log.info("settling goes on")
        down = False
        if not moved:
            await sleep_until(stop, IDLE_SECONDS)
    try:
        await settler.drain()
    except StoreUnavailable as error:
        _log.warning("what is in the spools stays there", reason=str(error))
