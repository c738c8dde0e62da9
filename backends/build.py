"""From settings to stores: the one place where stores are chosen and put together."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from backends.breaker import Breaker, Policy
from backends.chain import FallbackChain, Tiers
from backends.disk import DiskStore
from backends.folders import FolderLock, private_folder
from backends.guarded import NAME as LEDGER
from backends.guarded import GuardedLedger
from backends.redis import RedisStore
from backends.ring import Ring
from backends.spool import Spool, open_if_there, remove_unopened, spools_under
from backends.spools import LocalSpools
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.sql.tombstones import PersonKey
from backends.tier import Tier, TierStore
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import jitter, random_uuid
from domain.observations import Observer
from runtime.settings import Settings

# Of the deadline: the spool and Redis at once, then SQL if the spool has failed. Of 50 ms that is 25, 15 and 20.
REDIS_SHARE = 0.3
SPOOL_SHARE = 0.5
SQL_SHARE = 0.4
# A cache that takes two thirds of that is of little use. A disk is slow in its own way: only what it misses counts.
REDIS_SLOW = 0.2
CLOSE_SECONDS = 5.0
REQUEST_PATIENCE = 2.0
WORKER_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Every store of one process, and the chain over them."""

    boot: str
    engine: AsyncEngine
    redis: RedisStore | None
    disk: DiskStore
    ledger: SqlLedger
    guarded: GuardedLedger
    catalog: SqlCatalog
    ring: Ring
    chain: FallbackChain

    async def open(self) -> None:
        """Connect to Redis, if it answers; no request does. Neither a store that is down nor a slow one fails this."""
        if self.redis is not None:
            with suppress(StoreUnavailable, TimeoutError):
                async with asyncio.timeout(REQUEST_PATIENCE):
                    await self.redis.probe()

    def states(self) -> dict[str, str]:
        """Breaker states: of each tier, and of the ledger as starts see it."""
        return self.chain.states() | {LEDGER: self.guarded.state}

    async def probe(self) -> None:
        """Let each store that was given a rest try whether it works again. Called in the background, again and again."""
        await asyncio.gather(self.chain.probe(), self.guarded.probe())

    async def close(self) -> None:
        """Spool what the ring holds, finish what was submitted, close everything."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.chain.close()
                await self.chain.rescue()
        await self.disk.close()
        if self.redis is not None:
            await self.redis.close()
        await self.engine.dispose()


def open_stores(
    settings: Settings, clock: Clock, observer: Observer, *, name: str, person_key: PersonKey
) -> Stores:
    """The stores of a process; `name` is what its spools are called. Connects to nothing yet."""
    boot = random_uuid().hex[:12]
    settings.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(settings.sql, patience=REQUEST_PATIENCE)
    redis = open_redis(settings)
    disk = DiskStore(
        _spools_of(settings, name, boot),
        synced=settings.spool_sync == "full",
        folders=lambda: spools_under(settings.spools),
        open_beside=lambda folder: open_spool(settings, folder),
    )
    ledger = SqlLedger(engine, person_key, touch=settings.attribution)
    catalog = SqlCatalog(engine, clock)

    budget = settings.deadline_ms / 1000

    def tier(name: str, store: TierStore, share: float, slow: float) -> Tier:
        return Tier(
            name=name,
            store=store,
            breaker=Breaker(Policy(), jitter),
            patience=budget * share,
            slow=budget * slow,
            clock=clock,
            observer=observer,
        )

    ring = Ring(settings.ring_size, observer)
    tiers = Tiers(
        redis=tier("redis", redis, REDIS_SHARE, REDIS_SLOW) if redis else None,
        disk=tier("disk", disk, SPOOL_SHARE, SPOOL_SHARE),
        sql=tier("sql", ledger, SQL_SHARE, SQL_SHARE),
    )
    chain = FallbackChain(
        tiers,
        ring,
        ack=settings.ack,
        wait_for=settings.wait_for,
        budget=budget,
        clock=clock,
        observer=observer,
    )
    return Stores(
        boot=boot,
        engine=engine,
        redis=redis,
        disk=disk,
        ledger=ledger,
        guarded=GuardedLedger(ledger, breaker=Breaker(Policy(), jitter), clock=clock, observer=observer),
        catalog=catalog,
        ring=ring,
        chain=chain,
    )


def open_redis(settings: Settings) -> RedisStore | None:
    """Redis, not connected yet; None when there is none by configuration."""
    if settings.redis_url is None:
        return None
    return RedisStore(settings.redis_url, ttl_ms=settings.click_ttl * 1000)


def local_spools(settings: Settings) -> LocalSpools:
    """Every writer's spool on this machine, for whoever erases or exports."""
    return LocalSpools(settings.spools, lambda folder: open_spool(settings, folder))


def open_spool(settings: Settings, folder: Path) -> Spool:
    """A spool beside its writer, to read and to trim."""
    return Spool(folder, quota=int(settings.spool_quota), synced=settings.spool_sync == "full")


def open_all_spools(settings: Settings) -> list[Spool]:
    """Every writer's spool on this machine, for the operator's hands."""
    found = (
        open_if_there(folder, lambda at: open_spool(settings, at)) for folder in spools_under(settings.spools)
    )
    return [spool for spool in found if spool is not None]


def _spools_of(settings: Settings, name: str, boot: str) -> Callable[[], Spool]:
    """Opens a writer's spools, a fresh folder each time: what could not be written is never written again."""
    numbers = count(1)

    def open_next() -> Spool:
        own = f"{boot}.{next(numbers)}"
        private_folder(settings.spools)
        folder = settings.spools / f"{name}-{own}"
        try:
            return Spool(
                folder,
                quota=int(settings.spool_quota),
                synced=settings.spool_sync == "full",
                node=settings.node,
                boot=own,
            )
        except StoreUnavailable:
            remove_unopened(folder)
            raise

    return open_next


def lock_settling(settings: Settings) -> FolderLock:
    """Be the only process that settles these spools; ConfigError when another one does."""
    return FolderLock(
        settings.spools / "settler.lock",
        "another settler. Stop it, or give this one its own TRILHA_SPOOL_DIR",
    )
