"""Front door of `trilha work`: settles spools, delivers conversions, scores what was started, folds rollups, judges alerts,
shares keys, ends what has had its time.

Of several workers on one database each settles the spools of its machine and delivers; the leader alone does the rest.
"""

import asyncio
from collections.abc import Awaitable, Callable

from analytics.rollups import FOLDING_SECONDS, Rollups
from analytics.tally import Tally
from backends.build import WORKER_PATIENCE, local_spools, lock_settling, open_redis, open_spool
from backends.spool import spools_under
from backends.sql.engine import Engine, close_engine, make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.keys import SqlKeys
from backends.sql.leader import make_leader
from backends.sql.ledger import SqlLedger
from backends.sql.outbox import SqlOutbox
from backends.sql.partitions import SqlPartitions
from backends.sql.pixels import SqlPixels
from backends.sql.restoring import SqlRestored
from backends.sql.retention import SqlRetention
from backends.sql.rollups import SqlRollups
from backends.sql.scoring import SqlScoring
from backends.sql.webhooks import SqlWebhooks
from daemon.access import AccessKeeper, access_log_of
from daemon.alerting import ALERTS_PATIENCE, ALERTS_SECONDS, watch_of
from daemon.enrich.build import make_enricher
from daemon.enrich.geo import GeoIp
from daemon.erasure import Discarder, Finisher
from daemon.leading import Leading
from daemon.retention import RETENTION_SECONDS, Retention
from daemon.scoring import Scoring
from daemon.settle import Settler, no_access_log
from delivery.destinations import StoredDestinations
from delivery.meta.client import MetaClient
from delivery.relay import Relay
from delivery.safe_http import SafeHttp
from delivery.sending import LEASE_SECONDS
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import jitter
from domain.observations import Observer, Silent
from domain.ports import Leader
from privacy.erasure_journal import ErasureJournal
from privacy.keyring import Keyring
from privacy.seal import Sealer
from privacy.sharing import Sharing
from runtime.lifecycle import repeat, sleep_until
from runtime.logs import get_logger
from runtime.settings import Settings

DAY_MS = 86_400_000
IDLE_SECONDS = 0.2
# Of the ten seconds after SIGTERM that service managers give at least (docker stop).
DRAIN_SECONDS = 5.0
DOWN_SECONDS = 1.0
KEYS_SECONDS = 60.0
SCORING_SECONDS = 1.0
PLACES_SECONDS = 60.0
ERASURE_SECONDS = 5.0
PARTITIONS_SECONDS = 900.0
ACCESS_LOG_SECONDS = 3600.0
Job = tuple[Callable[[], Awaitable[object]], float]
"""What is done again and again, and the seconds in between."""
_log = get_logger("trilha.work")


async def work(
    settings: Settings,
    clock: Clock,
    stop: asyncio.Event,
    observer: Observer | None = None,
    *,
    leader: Leader | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Settle and deliver until `stop`, then settle and fold what is left, for at most DRAIN_SECONDS.

    `leader`: for who wants to see whether this worker leads. `started` is called once it begins. ConfigError when another
    worker settles these spools.
    """
    leader = leader or make_leader(settings.sql, settings.node, clock)
    leading = Leading(leader, observer or Silent())
    keyring = Keyring(settings.secrets, clock)
    # An engine of its own, so that judging alerts holds up no settling.
    watching = make_engine(settings.sql, patience=ALERTS_PATIENCE)
    watch = watch_of(settings, watching, keyring, clock, observer or Silent(), leads=lambda: leader.leads)
    lock = lock_settling(settings)
    engine = make_engine(settings.sql, patience=WORKER_PATIENCE)
    places = await asyncio.to_thread(GeoIp, settings.geoip)
    enricher = make_enricher(settings, keyring, places)
    settler = Settler(
        folders=lambda: spools_under(settings.spools),
        open_spool=lambda folder: open_spool(settings, folder),
        ledger=SqlLedger(engine, keyring.person_key, touch=settings.attribution),
        enrich=enricher.settled,
        log_accesses=AccessKeeper(settings, Sealer(keyring), clock).keep
        if settings.access_log
        else no_access_log,
        clock=clock,
        batch=settings.settle_batch,
    )
    redis = open_redis(settings)
    erasures = SqlErasures(engine)
    discarder = Discarder(erasures=erasures, redis=redis, spools=local_spools(settings), clock=clock)
    rollups = Rollups(
        SqlRollups(engine, settings.timezone, Tally),
        clock,
        observer or Silent(),
        behind=lambda: settler.behind,
    )
    retention = Retention(SqlRetention(engine), settings, clock, keys=keyring)
    journal = ErasureJournal.beside(settings.secrets)
    finisher = Finisher(
        erasures=erasures, discarder=discarder, journal=journal, clock=clock, leads=lambda: leader.leads
    )
    # What every node does for itself: its ring, its files, its spools; alerts on those, and on SQL if it leads.
    everywhere: tuple[Job, ...] = (
        (Sharing(keyring, SqlKeys(engine), clock).refresh, KEYS_SECONDS),
        (lambda: _refresh_places(places), PLACES_SECONDS),
        (retention.local, RETENTION_SECONDS),
        (lambda: asyncio.to_thread(access_log_of(settings, clock).expire), ACCESS_LOG_SECONDS),
        (finisher.finish_erasures, ERASURE_SECONDS),
        (lambda: _forget_erasures(journal, settings, clock), RETENTION_SECONDS),
        (watch.pass_, ALERTS_SECONDS),
    )
    # What two at once would do twice, or make each other wait for.
    by_the_leader: tuple[Job, ...] = (
        (rollups.pass_, FOLDING_SECONDS),
        (Scoring(SqlScoring(engine), enricher.of, clock).due, SCORING_SECONDS),
        (retention.shared, RETENTION_SECONDS),
        (lambda: SqlPartitions(engine).make_ahead(clock.now_ms()), PARTITIONS_SECONDS),
    )
    beside = (*everywhere, *((leading.only(job), seconds) for job, seconds in by_the_leader))
    meta = MetaClient(settings.meta_url)
    relay = relay_of(settings, engine, keyring, meta, clock, observer or Silent())
    await leader.look()  # so that the first round of everything is with it where there is but one worker
    background = [asyncio.create_task(repeat(call, seconds, stop)) for call, seconds in beside]
    background.append(asyncio.create_task(leading.keep()))
    delivering = asyncio.create_task(relay.run(stop))

    async def erase_again() -> None:
        # Where SQL was brought back from a copy by other hands than ours: whoever was erased since is not settled either.
        if again := await SqlRestored(engine, keyring.person_key).erase_again(journal.read()):
            _log.warning("SQL is older than the journal of erasures; they were done again", erasures=again)

    started()
    try:
        await _settle_until(stop, settler, before=erase_again)
        await _drain(settler, rollups, clock, leader)
    finally:
        stop.set()
        await asyncio.gather(delivering, return_exceptions=True)
        await meta.close()
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await leading.resign()
        if redis is not None:
            await redis.close()
        await settler.close()
        await close_engine(watching)
        await close_engine(engine)
        lock.release()


def relay_of(
    settings: Settings,
    engine: Engine,
    keyring: Keyring,
    meta: MetaClient,
    clock: Clock,
    observer: Observer,
    *,
    lease_seconds: float = LEASE_SECONDS,
) -> Relay:
    """The relay between this outbox and its destinations. Engine and client are the caller's to close."""
    destinations = StoredDestinations(
        pixels=SqlPixels(engine),
        webhooks=SqlWebhooks(engine),
        meta=meta,
        posts=SafeHttp(allowed=settings.webhook_hosts),
        keyring=keyring,
        clock=clock,
        base_url=settings.base_url,
        honour_gpc=settings.honour_gpc,
    )
    return Relay(
        outbox=SqlOutbox(engine),
        destinations=destinations,
        clock=clock,
        observer=observer,
        touch=settings.attribution,
        lease_seconds=lease_seconds,
    )


async def _forget_erasures(journal: ErasureJournal, settings: Settings, clock: Clock) -> None:
    await asyncio.to_thread(journal.forget, clock.now_ms() - settings.click_days * DAY_MS)


async def _refresh_places(places: GeoIp) -> None:
    for changed in await asyncio.to_thread(places.refresh):
        _log.info("a GeoIP database changed", database=changed.path.name, state=changed.state)


async def _settle_until(
    stop: asyncio.Event, settler: Settler, *, before: Callable[[], Awaitable[None]]
) -> None:
    """`before` has to have succeeded once, before anything is settled."""
    down, ready = False, False
    while not stop.is_set():
        try:
            if not ready:
                await before()
                ready = True
            await settler.once()
        except StoreUnavailable as error:
            if not down:
                _log.warning("settling waits", reason=str(error))
            down = True
            await sleep_until(stop, jitter(DOWN_SECONDS, 0.5))
            continue
        if down:
            _log.info("settling goes on")
        down = False
        if not settler.behind:
            # A click alone costs SQL a COMMIT, and the spool a moment in which no redirect can write: let some gather.
            await sleep_until(stop, IDLE_SECONDS)


async def _drain(settler: Settler, rollups: Rollups, clock: Clock, leader: Leader) -> None:
    """Settling first: what is not folded is in SQL all the same."""
    until = clock.monotonic() + DRAIN_SECONDS
    try:
        await settler.drain(seconds=DRAIN_SECONDS)
    except StoreUnavailable as error:
        _log.warning("what is in the spools stays there", reason=str(error))
        return
    if not leader.leads:
        return
    try:
        await rollups.finish(until - clock.monotonic())
    except StoreUnavailable as error:
        _log.warning("what is not folded goes on waiting", reason=str(error))
