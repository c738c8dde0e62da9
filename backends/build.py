"""From settings to stores: the one place where stores are chosen and put together."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from backends.breaker import Breaker, Policy
from backends.chain import FallbackChain, Tiers
from backends.disk import DiskStore
from backends.redis import RedisStore
from backends.ring import Ring
from backends.spool import Spool, SpoolLock, spools_under
from backends.sql.engine import make_engine
from backends.sql.ledger import SqlLedger
from backends.sql.links import SqlCatalog
from backends.tier import Tier, TierStore
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import jitter, random_uuid
from domain.observations import Observer
from runtime.settings import Settings

# Of the deadline: the spool and Redis at once, then SQL if the spool has failed. Of 50 ms that is 15, 15 and 20.
REDIS_SHARE = 0.3
SPOOL_SHARE = 0.3
SQL_SHARE = 0.4
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
    catalog: SqlCatalog
    ring: Ring
    chain: FallbackChain

    async def close(self) -> None:
        """Spool what the ring holds, finish what was submitted, close everything."""
        with suppress(StoreUnavailable, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.chain.rescue()
        await self.disk.close()
        if self.redis is not None:
            await self.redis.close()
        await self.engine.dispose()


def open_stores(
    settings: Settings, clock: Clock, observer: Observer, *, spool: str, beside: bool = False
) -> Stores:
    """The stores of a process that writes the spool of that name. Connects to nothing yet.

    `beside`: it runs beside the daemon, and looks into the daemon's spool too.
    """
    boot = random_uuid().hex[:12]
    settings.home_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = make_engine(settings.sql, patience=REQUEST_PATIENCE)
    redis = RedisStore(settings.redis_url, ttl_ms=settings.click_ttl * 1000) if settings.redis_url else None
    synced = settings.spool_sync == "full"
    own = settings.spools / spool
    disk = DiskStore(
        lambda: open_spool(settings, own, boot),
        synced=synced,
        siblings=lambda: _open_spools(settings, except_for=own) if beside else [],
    )
    ledger = SqlLedger(engine)
    catalog = SqlCatalog(engine, clock)

    budget = settings.deadline_ms / 1000

    def tier(name: str, store: TierStore, share: float) -> Tier:
        breaker, patience = Breaker(Policy(), jitter), budget * share
        return Tier(
            name=name, store=store, breaker=breaker, patience=patience, clock=clock, observer=observer
        )

    ring = Ring(settings.ring_size, observer)
    tiers = Tiers(
        redis=tier("redis", redis, REDIS_SHARE) if redis else None,
        disk=tier("disk", disk, SPOOL_SHARE),
        sql=tier("sql", ledger, SQL_SHARE),
    )
    chain = FallbackChain(tiers, ring, ack=settings.ack, budget=budget, clock=clock, observer=observer)
    return Stores(
        boot=boot,
        engine=engine,
        redis=redis,
        disk=disk,
        ledger=ledger,
        catalog=catalog,
        ring=ring,
        chain=chain,
    )


def open_spool(settings: Settings, folder: Path, boot: str = "") -> Spool:
    """One spool, with the quota and the sync of the settings."""
    synced = settings.spool_sync == "full"
    return Spool(folder, quota=int(settings.spool_quota), synced=synced, node=settings.node, boot=boot)


def open_all_spools(settings: Settings) -> list[Spool]:
    """Every writer's spool on this machine, for the settling worker and for the operator's hands."""
    return _open_spools(settings, except_for=None)


def _open_spools(settings: Settings, *, except_for: Path | None) -> list[Spool]:
    return [open_spool(settings, folder) for folder in spools_under(settings.spools) if folder != except_for]


def lock_spool(settings: Settings, name: str) -> SpoolLock:
    """Be the only process that does this to the spools; ConfigError when another one is."""
    return SpoolLock(settings.spools / f"{name}.lock", name)
