"""Front door of `trilha serve`: settings -> stores -> two listeners in one process."""

import asyncio
import gc
import sys
from contextlib import suppress

from analytics.explain.build import make_gathering
from analytics.inspect import Inspect
from backends.build import Stores, open_stores
from backends.catalog_cache import REFRESH_SECONDS, CatalogCache
from backends.sql.keys import SqlKeys
from backends.sql.people import SqlPeople
from bot.associate import Associate
from bot.reception import Reception
from daemon.api import Api, Health
from daemon.capture import Capture
from daemon.client_ip import ClientIp
from daemon.connections import Connections, Limits, Listener
from daemon.edge import CappedProtocol
from daemon.explain import Explain
from daemon.gate import Gate
from daemon.listeners import HandedOver
from daemon.peers import Peers
from daemon.private_hosts import PrivateHosts
from daemon.redirect import Redirect
from daemon.redirect_protocol import RedirectProtocol
from daemon.server import Server, make_server
from daemon.telegram_webhook import TelegramWebhook
from delivery.report import Report
from domain.books import MINUTE_MS, ReceiptBook
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import ClickIds
from domain.outcomes import Durability
from domain.pools import Dealer
from privacy.api_keys import ApiKeys
from privacy.keyring import Keyring
from privacy.pseudonymise import Pseudonymiser
from privacy.seal import Sealer
from privacy.sharing import Sharing
from privacy.token import Minter
from runtime.lifecycle import raise_open_files, repeat
from runtime.logs import get_logger
from runtime.metrics import Metrics
from runtime.service_manager import ServiceManager
from runtime.settings import Settings

SPOOL_NAME = "daemon"
BOOKS_SECONDS = 1.0
PROBE_SECONDS = 0.1
RESCUE_SECONDS = 0.25
KEYS_SECONDS = 60.0
API_KEYS_SECONDS = 1.0
BACKLOG_SECONDS = 5.0
KEEP_MINUTES = 120
WARN_SHARE = 0.7
SWITCH_SECONDS = 0.0005
COLLECT_AFTER = 20_000
OTHER_FILES = 256  # stores, logs, spools
_log = get_logger("trilha.serve")


class Daemon:
    """One `trilha serve`: everything it is made of, and what it does beside answering."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._clock = clock
        self._quota = int(settings.spool_quota)
        self._warned = False
        self._metrics = Metrics()
        self._peers = Peers(settings.serve_peers, self._metrics.render) if settings.serve_peers else None
        self._keyring = Keyring(settings.secrets, clock)
        self._keys = ApiKeys(settings.api_keys)
        self._client_ip = ClientIp(settings.trusted_proxies)
        self._settings = settings
        self.stores: Stores = open_stores(
            settings, clock, self._metrics, name=SPOOL_NAME, person_key=self._keyring.person_key
        )
        self._sharing = Sharing(self._keyring, SqlKeys(self.stores.engine), clock)
        self._book = ReceiptBook(node=settings.node, boot=self.stores.boot)
        self.catalog = CatalogCache(self.stores.catalog, settings.catalog_file, clock)
        minter = Minter(self._keyring, clock, node=settings.node, attribution_days=settings.attribution_days)
        self.redirect = Redirect(
            catalog=self.catalog,
            capture=Capture(self._client_ip),
            dealer=Dealer(),
            minter=minter,
            pseudonymiser=Pseudonymiser(self._keyring, Sealer(self._keyring)),
            store=self.stores.chain,
            book=self._book,
            ids=ClickIds(),
            clock=clock,
            observer=self._metrics,
            node=settings.node,
            telegram_host=settings.telegram_host,
            at_once=settings.redirects_at_once,
        )
        associate = Associate(
            minter=minter,
            bots=self.catalog,
            unsettled=self.stores.chain,
            ledger=self.stores.guarded,
            spool=self.stores.disk,
            clock=clock,
            observer=self._metrics,
        )
        self.api = Api(
            associate=associate,
            report=Report(
                minter=minter,
                external_id=self._keyring.external_id,
                names=self.catalog,
                unsettled=self.stores.chain,
                ledger=self.stores.guarded,
                spool=self.stores.disk,
                phone_country=settings.phone_country,
                clock=clock,
                observer=self._metrics,
            ),
            inspect=Inspect(
                minter=minter,
                locator=self.stores.chain,
                ledger=self.stores.ledger,
                links=self.catalog,
                ads=self.stores.catalog,
                spool_durability=Durability.SYNCED if settings.spool_sync == "full" else Durability.WRITTEN,
            ),
            explain=Explain(
                make_gathering(settings, self.stores, keyring=self._keyring, names=self.catalog, clock=clock)
            ),
            bot_name=self.catalog.bot_name,
            gate=Gate(
                keys=self._keys,
                client_ip=self._client_ip,
                rate=settings.api_rate,
                clock=clock,
                observer=self._metrics,
            ),
            health=Health(
                catalog_loaded=lambda: self.catalog.loaded,
                catalog_checked_ms=lambda: self.catalog.checked_ms,
                tiers=self.stores.states,
                ring_waiting=lambda: len(self.stores.ring),
            ),
            metrics=self._render,
            webhook=TelegramWebhook(
                bots=self.catalog,
                reception=Reception(associate=associate, links=self.catalog),
                blocks=SqlPeople(self.stores.engine),
                clock=clock,
            ),
        )

    def servers(self, *, public_kept: bool, private_kept: bool) -> tuple[Server, Server]:
        """The public one and the private one; kept: somebody else holds the socket too."""
        private = PrivateHosts(self.api.app(), self._settings.private_hosts)
        return (
            make_server(self.redirect, RedirectProtocol, self._connections("public"), kept=public_kept),
            make_server(private, CappedProtocol, self._connections("private"), kept=private_kept),
        )

    def _connections(self, listener: Listener) -> Connections:
        given = self._settings
        return Connections(
            Limits.of(listener, given.max_connections, given.max_connections_per_address),
            clock=self._clock,
            observer=self._metrics,
            listener=listener,
            exempt=self._client_ip.is_proxy,
        )

    async def load(self) -> None:
        """Links and keys from the copies on disk, then from SQL if it answers: a daemon starts with every store down."""
        self.catalog.load_copy()
        await asyncio.gather(self.catalog.refresh(), self._sharing.refresh())
        # Opening a spool, or a connection, takes longer than a redirect may: not at the first click's expense.
        await self.stores.open()
        with suppress(StoreUnavailable):
            await self.stores.disk.probe()
        if self._peers is not None:
            await self._peers.open()

    def background(self, stop: asyncio.Event) -> list[asyncio.Task[None]]:
        """What goes on beside the requests, so that none of them pays for it."""
        work = (
            (self.catalog.refresh, REFRESH_SECONDS),
            (self.stores.probe, PROBE_SECONDS),
            (self.stores.chain.rescue, RESCUE_SECONDS),
            (self._write_books, BOOKS_SECONDS),
            (self._sharing.refresh, KEYS_SECONDS),
            (self._refresh_api_keys, API_KEYS_SECONDS),
            (self._measure_backlog, BACKLOG_SECONDS),
        )
        return [asyncio.create_task(repeat(call, seconds, stop)) for call, seconds in work]

    async def close(self) -> None:
        """Write the books and let go of everything. What is in the spool stays for the worker."""
        await self._write_books()
        await self.stores.close()
        if self._peers is not None:
            await self._peers.close()

    async def _render(self) -> bytes:
        """What Prometheus reads: of all processes that share our listener."""
        return self._metrics.render() if self._peers is None else await self._peers.render()

    async def _write_books(self) -> None:
        """Receipts' figures into the spool, or into SQL when the spool is down, or again in a second."""
        entries = self._book.take()
        if not entries:
            return
        try:
            await self.stores.disk.put_books(entries)
        except StoreUnavailable:
            try:
                await self.stores.ledger.settle([], [], entries)
            except StoreUnavailable:
                self._book.give_back(entries)
                return
        self._book.forget_before(self._clock.now_ms() // MINUTE_MS - KEEP_MINUTES)

    async def _refresh_api_keys(self) -> None:
        await asyncio.to_thread(self._keys.refresh)

    async def _measure_backlog(self) -> None:
        with suppress(StoreUnavailable):
            entries, volume = await self.stores.disk.size()
            self._metrics.backlog(entries, volume, self._quota)
            self._warn_of_quota(volume / self._quota)

    def _warn_of_quota(self, share: float) -> None:
        """Once on the way up, well before new clicks are no longer spooled, and once when it is over."""
        if share >= WARN_SHARE and not self._warned:
            _log.warning("the spools are filling up; is `trilha work` running?", percent=round(share * 100))
        elif share < WARN_SHARE and self._warned:
            _log.info("the spools have room again", percent=round(share * 100))
        self._warned = share >= WARN_SHARE


async def serve(
    settings: Settings,
    clock: Clock,
    stop: asyncio.Event,
    *,
    handed: HandedOver | None = None,
    service: ServiceManager | None = None,
) -> None:
    """Answer until `stop`, then finish what is in flight. ConfigError: a taken port, a missing key ring."""
    # The spool's thread needs the interpreter several times for one commit. At the default of 5 ms each, a busy loop
    # would make every commit late.
    sys.setswitchinterval(SWITCH_SECONDS)
    handed = handed or HandedOver()
    public = handed.listener("public", settings.public_bind, "TRILHA_PUBLIC_BIND")
    private = handed.listener("private", settings.private_bind, "TRILHA_PRIVATE_BIND")
    _open_files_for(2 * settings.max_connections)
    daemon = Daemon(settings, clock)
    await daemon.load()
    _spare_the_collector()
    background = daemon.background(stop)
    made = daemon.servers(public_kept=public.kept, private_kept=private.kept)
    servers = list(zip(made, (public, private), strict=True))
    running = [asyncio.create_task(server._serve([*at.sockets])) for server, at in servers]  # noqa: SLF001  without its signal handlers
    _log.info("serving", bind=str(settings.public_bind))
    if service is not None:
        for (server, _), task in zip(servers, running, strict=True):
            await server.until_started(task)
        service.ready("answering clicks")
    await _until_stopped(stop, [server for server, _ in servers], running)
    await asyncio.gather(*background)
    await daemon.close()


def _open_files_for(connections: int) -> None:
    """Raise the limit of open files, and say so when it is too low for what may be connected."""
    limit = raise_open_files()
    if limit < connections + OTHER_FILES:
        _log.warning(
            "the limit of open files is too low for TRILHA_MAX_CONNECTIONS; raise it (ulimit -n, LimitNOFILE)",
            limit=limit,
            needed=connections + OTHER_FILES,
        )


def _spare_the_collector() -> None:
    """Keep what was loaded at start out of garbage collection for good.

    A full collection would go through all of it while no redirect is answered (p99 at full load: 100 ms, without it
    31 ms); and what a request leaves behind is freed by its reference counts.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 50, 100)


async def _until_stopped(
    stop: asyncio.Event, servers: list[Server], running: list[asyncio.Task[None]]
) -> None:
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, *running}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)
