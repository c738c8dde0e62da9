"""Front door of `trilha work`: settles spools, finishes erasures, and provisions keys ahead."""

import asyncio
from contextlib import suppress

from backends.build import WORKER_PATIENCE, local_spools, lock_settling, open_redis, open_spool
from backends.spool import spools_under
from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger
from daemon.erasure import Discarder, Finisher
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
ERASURE_SECONDS = 5.0
_log = get_logger("trilha.work")


async def work(settings: Settings, clock: Clock, stop: asyncio.Event) -> None:
    """Settle until `stop`, then settle what is left. ConfigError when another worker settles these spools."""
    lock = lock_settling(settings)
    keyring = Keyring(settings.secrets, clock)
    engine = make_engine(settings.sql, patience=WORKER_PATIENCE)
    settler = Settler(
        folders=lambda: spools_under(settings.spools),
        open_spool=lambda folder: open_spool(settings, folder),
        ledger=SqlLedger(engine, keyring.person_key),
        clock=clock,
        batch=settings.settle_batch,
    )
    keys = asyncio.create_task(repeat(lambda: asyncio.to_thread(keyring.refresh), KEYS_SECONDS, stop))
    redis = open_redis(settings)
    erasures = SqlErasures(engine)
    discarder = Discarder(erasures=erasures, redis=redis, spools=local_spools(settings), clock=clock)
    finisher = Finisher(erasures=erasures, discarder=discarder, clock=clock)
    erasing = asyncio.create_task(repeat(finisher.finish_erasures, ERASURE_SECONDS, stop))
    try:
        await _settle_until(stop, settler)
    finally:
        keys.cancel()
        await _ended(erasing)
        if redis is not None:
            await redis.close()
        await settler.close()
        await engine.dispose()
        lock.release()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


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
