"""Trilha under the machine: the real chain, spool, ledger, settler and use case of a start, on real stores.

Around each store stands a wrapper that can refuse, or do what it was asked and lose the reply. Below the spool's SQLite
stands a saboteur of its files, which also knows what a power cut would leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from backends.chain import FallbackChain, Tiers
from backends.codec import Packed
from backends.disk import DiskStore
from backends.redis import RedisStore
from backends.ring import Ring
from backends.spool import MEASURE_EVERY, Spool, spools_under
from backends.spools import LocalSpools
from backends.sql.books import Books, read_books
from backends.sql.engine import make_engine
from backends.sql.erasure import SqlErasures
from backends.sql.ledger import SqlLedger, ledger_row
from backends.sql.migrate import migrate
from backends.sql.schema import accounting, bot_users, clicks, erasures, outbox, starts, unerased
from bot.associate import Associate, StartRequest
from chaos.inside.sqlite_vfs import Watch, watch
from daemon.erasure import Discarder, Erasure
from daemon.settle import Settler
from domain.attribution import Start
from domain.books import MINUTE_MS, BookEntry, ReceiptBook
from domain.click import Click, Tombstone
from domain.clock import ManualClock
from domain.conversions import Conversion
from domain.enrichment import Enrichment
from domain.errors import InvalidToken, StoreUnavailable
from domain.ids import ClickIds
from domain.links import Bot
from domain.observations import Silent
from domain.outcomes import UNKNOWN, LedgerRow, Lookup, Receipt
from domain.ports import NOTHING_ADDED
from privacy.erasure_journal import ErasureJournal
from privacy.keyring import Keyring
from privacy.token import Minter
from tests.machine.design import Mode, Ticket, World, holds
from tests.making import NOW, full_click, make_tier, spool_beside
from tests.recount import as_kept, recount

BOT = Bot(id=1, username="machine_bot")
WINDOW_DAYS = 28
QUOTA = 1 << 30


class Wrapped:
    """A store that can be down, or deaf."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.mode: Mode = "ok"
        self.commits = 0

    async def put(self, click: Click) -> Receipt:
        return await self._do(self.store.put(click))

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        receipt: Receipt = await self._do(self.store.put_batch(batch))
        self.commits += 1
        return receipt

    async def discard(self, click_id: UUID) -> None:
        await self._do(self.store.discard(click_id))

    async def probe(self) -> None:
        await self._do(self.store.probe())

    async def find(self, click_id: UUID) -> Lookup:
        return UNKNOWN if self.mode != "ok" else await self.store.find(click_id)

    async def row(self, click_id: UUID) -> LedgerRow | None:
        return await self._do(self.store.row(click_id))

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None:
        """Deaf: COMMIT happened, and nobody knows."""
        return await self._do(self.store.record_start(start, click))

    async def settle(
        self,
        batch: Sequence[Click],
        begun: Sequence[Start],
        books: Sequence[BookEntry],
        erased: Sequence[UUID] = (),
        enrichments: Mapping[UUID, Enrichment] = NOTHING_ADDED,
        reported: Sequence[Conversion] = (),
    ) -> None:
        await self._do(self.store.settle(batch, begun, books, erased, enrichments, reported))

    async def put_start(self, start: Start) -> None:
        await self._do(self.store.put_start(start))

    async def put_books(self, entries: Sequence[BookEntry]) -> None:
        await self._do(self.store.put_books(entries))

    async def _do(self, call: Any) -> Any:
        if self.mode == "down":
            call.close()
            raise StoreUnavailable("down") from ConnectionError()
        answer = await call
        if self.mode == "deaf":
            raise StoreUnavailable("its reply was lost")
        return answer


class Shared:
    """What is made once for all examples: tables, keys, the connection to Redis."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.engine: AsyncEngine = make_engine(
            f"sqlite+aiosqlite:///{world.folder / 'trilha.db'}", patience=5
        )
        self.redis = RedisStore(world.valkey.url, ttl_ms=600_000)
        self.keyring = Keyring.create(world.folder / "keys" / "ring.json", ManualClock(now_ms=NOW))
        self.number = 0
        world.run(self._open())

    async def _open(self) -> None:
        await migrate(self.engine)
        await self.redis.probe()

    async def empty(self) -> None:
        async with self.engine.begin() as connection:
            for table in (clicks, starts, bot_users, outbox, accounting, erasures, unerased):
                await connection.execute(delete(table))

    def close(self) -> None:
        self.world.run(self.redis.close())
        self.world.run(self.engine.dispose())


class Trilha:
    """The product, put to the test."""

    name = "trilha"

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._world = shared.world
        self._world.wipe()
        shared.number += 1
        self._spools = self._world.folder / f"spools-{shared.number}"
        self._spools.mkdir(mode=0o700)
        self._watch: Watch = watch(self._spools)
        self._clock = ManualClock(now_ms=NOW)
        self._minter = Minter(shared.keyring, self._clock, node=0, attribution_days=WINDOW_DAYS)
        self._ledger = SqlLedger(shared.engine, shared.keyring.person_key)
        self._sql = Wrapped(self._ledger)
        self._redis = Wrapped(shared.redis)
        self._boots = 0
        self._folders = 0
        self._latest = NOW
        self._built: dict[str, Click] = {}
        self._receipts: dict[str, Receipt] = {}
        self._seen: dict[UUID, tuple[Click | None, Any]] = {}
        self._erased: set[str] = set()
        self._half_erased: set[str] = set()
        self._pressed: dict[str, set[int]] = {}
        self._gone: set[int] = set()
        self._world.run(shared.empty())
        self._boot()

    # ------------------------------------------------------------ what the machine does

    def mint(self, number: int) -> Ticket:
        click_id = ClickIds().new(self._clock.now_ms())
        click = full_click(id=click_id, link_id=1, node=0, language=f"l{number}")
        token = self._minter.mint(click_id, click.link_id, click.ad_key).text
        self._built[token] = click
        return Ticket(number, token)

    async def put(self, ticket: Ticket) -> None:
        """I10: it always answers. I11: no `synced` from the spool without an fsync in between."""
        click, syncs, commits = self._built[ticket.token], self._watch.syncs, self._sql.commits
        receipt = await self._chain.put(click)
        is_sure = self._watch.syncs > syncs or self._sql.commits > commits
        holds(is_sure or not receipt.durability.acknowledged, "I11 NoFalseAck", receipt)
        self._book.issued(click.at_ms, receipt)
        self._receipts[ticket.token] = receipt
        ticket.acknowledged = receipt.durability.acknowledged

    async def start(self, ticket: Ticket, person: int) -> bool | None:
        self._pressed.setdefault(ticket.token, set()).add(person)
        request = StartRequest(bot=BOT.username, telegram_id=person, token=ticket.token)
        before = await self._ledger.row(self._built[ticket.token].id)
        try:
            answer = await self._associate.start(request)
        except InvalidToken:
            holds(self._is_old(ticket), "I5 NoResurrection", "a token of ours was refused")
            return False
        except StoreUnavailable:
            return None
        won = answer.owner and (before is None or before.owner is None)
        holds(not won or ticket.token not in self._erased, "I5 NoResurrection", "an erased click was won")
        holds(not answer.owner or not self._is_old(ticket), "I5 NoResurrection", "an old token won")
        return answer.owner if answer.state == "settled" else None

    async def settle(self, *, again: bool) -> None:
        """`again`: shuffled, doubled and not trimmed, as when a settler dies after COMMIT or two of them overlap."""
        await self._chain.rescue()
        await self._write_books()
        if again:
            await self._settle_without_trimming()
        try:
            await self._settler.drain()
        except StoreUnavailable:
            return
        await self._forget()
        await self._look_at_rows()

    async def crash(self, *, power: bool) -> None:
        """The process is gone, its memory with it. What is left of the files is what its kernel, or its disk, has."""
        leave = self._watch.crash(power=power)
        await self._disk.store.close()
        await self._settler.close()
        leave()
        self._boot()

    async def erase(self, ticket: Ticket) -> bool:
        if not ticket.put:
            return False
        try:
            await self._chain.discard(self._built[ticket.token].id)
        except StoreUnavailable:
            # Whether it is erased is for whoever asked to find out: by asking again.
            self._half_erased.add(ticket.token)
            return False
        self._half_erased.discard(ticket.token)
        self._erased.add(ticket.token)
        return True

    async def erase_person(self, person: int) -> None:
        """I5: at once, SQL has nothing of theirs any more, whatever the other stores are able to do now."""
        if self._sql.mode == "down":
            return
        self._gone.add(person)
        await self._erasure.erase(person)
        owners = {row.owner.telegram_id for row in (await self._rows()).values() if row.owner is not None}
        holds(person not in owners, "I5 NoResurrection", "an erased person owns a click")
        await self._forget()

    def fault(self, store: str, mode: Mode) -> None:
        match store, mode:
            case "disk", "down":
                self._watch.full = True
            case "disk", "deaf":
                self._watch.deaf = True
            case "disk", _:
                self._watch.full = self._watch.deaf = False
            case "redis", _:
                self._redis.mode = mode
            case _:
                self._sql.mode = mode

    def heal(self) -> None:
        self._watch.full = self._watch.deaf = False
        self._redis.mode = self._sql.mode = "ok"
        self.quota(reached=False)
        for _ in range(3):
            self._clock.advance(40)
            self._world.run(self._chain.probe())
        self._clock.advance(10)

    def jump(self, seconds: float) -> None:
        self._clock._now_ms += int(seconds * 1000)

    def quota(self, *, reached: bool) -> None:
        self._full = QUOTA if reached else 0
        if self._disk.store._spool is not None:
            self._disk.store._spool.elsewhere = self._full
            self._disk.store._spool._since_measured = MEASURE_EVERY  # notice it at the next commit

    async def close(self) -> None:
        await self._disk.store.close()
        await self._settler.close()
        self._watch.close()

    # ------------------------------------------------------------ what must hold in the end

    async def check(self) -> None:
        """After heal and settling, with nothing left to do."""
        await self._forget()
        rows = await self._rows()
        for token, receipt in self._receipts.items():
            row, click = rows.get(self._built[token].id), self._built[token]
            if token in self._half_erased:
                continue
            if token in self._erased:
                holds(
                    row is not None and row.click is None,
                    "I5 NoResurrection",
                    "an erased click has its data again",
                )
                continue
            if receipt.durability.acknowledged:
                holds(
                    row is not None and row.click is not None, "I1 AckDurable, I9 EventuallySettled", receipt
                )
            if row is not None and row.click is not None:
                holds(row.click == click, "I6 NoInvention", "the stored payload is another")
        await self._check_outbox(rows)
        await self._check_people()
        books = await self._books()
        holds(books.balanced, "I8 Conservation", books.faults)
        holds(books.in_spools == 0, "I9 EventuallySettled", books)

    async def owners(self) -> dict[str, int]:
        """Who owns which token, says the ledger."""
        rows = await self._rows()
        found = {token: rows.get(click.id) for token, click in self._built.items()}
        return {
            token: row.owner.telegram_id
            for token, row in found.items()
            if row is not None and row.owner is not None
        }

    # ------------------------------------------------------------ inside

    def _boot(self) -> None:
        self._boots += 1
        boot = f"boot{self._boots}"
        self._full = 0

        def open_spool() -> Spool:
            self._folders += 1
            spool = Spool(
                self._spools / f"daemon-{self._folders}",
                quota=QUOTA,
                synced=True,
                node=0,
                boot=f"{boot}.{self._folders}",
            )
            spool.elsewhere = self._full
            return spool

        self._disk = Wrapped(
            DiskStore(
                open_spool, synced=True, folders=lambda: spools_under(self._spools), open_beside=spool_beside
            )
        )
        spools = LocalSpools(self._spools, spool_beside)
        erasures = SqlErasures(self._shared.engine)
        self._erasure = Erasure(
            erasures=erasures,
            spools=spools,
            discarder=Discarder(
                erasures=erasures, redis=self._shared.redis, spools=spools, clock=self._clock
            ),
            elsewhere=("redis", "spool"),
            person_key=self._shared.keyring.person_key,
            clock=self._clock,
            journal=ErasureJournal(self._spools.with_name("erasures")),
        )
        self._book = ReceiptBook(node=0, boot=boot)
        self._chain = FallbackChain(
            Tiers(
                redis=make_tier("redis", self._redis, self._clock),
                disk=make_tier("disk", self._disk, self._clock),
                sql=make_tier("sql", self._sql, self._clock),
            ),
            Ring(1000, Silent()),
            ack="durable",
            budget=30.0,
            clock=self._clock,
            observer=Silent(),
        )
        self._settler = Settler(
            folders=lambda: spools_under(self._spools),
            open_spool=spool_beside,
            ledger=self._sql,
            enrich=lambda batch: {click.id: Enrichment() for click in batch},
            clock=self._clock,
            batch=3,
        )
        self._associate = Associate(
            minter=self._minter,
            bots=_Bots(),
            unsettled=self._chain,
            ledger=self._sql,
            spool=self._disk,
            clock=self._clock,
            observer=Silent(),
        )

    async def _settle_without_trimming(self) -> None:
        for folder in reversed(spools_under(self._spools)):
            try:
                spool = spool_beside(folder)
            except StoreUnavailable:
                continue
            records = [record for entry in spool.entries() for record in entry.found.records]
            spool.close()
            doubled = [*records[::2], *reversed(records)]
            try:
                await self._sql.settle(
                    [r for r in doubled if isinstance(r, Click)],
                    [r for r in doubled if isinstance(r, Start)],
                    [r for r in doubled if isinstance(r, BookEntry)],
                    [r.click_id for r in doubled if isinstance(r, Tombstone)],
                )
            except StoreUnavailable:
                return

    async def _write_books(self) -> None:
        entries = self._book.take()
        try:
            await self._disk.put_books(entries)
        except StoreUnavailable:
            try:
                await self._sql.settle([], [], entries)
            except StoreUnavailable:
                self._book.give_back(entries)

    async def _forget(self) -> None:
        """Tokens whose click went with a person: only ones that an erased person has pressed START with."""
        buried = select(clicks.c.id).where(
            clicks.c.erased_at.is_not(None), clicks.c.owner_telegram_id.is_(None)
        )
        async with self._shared.engine.connect() as connection:
            ids = set((await connection.execute(buried)).scalars())
        for token, click in self._built.items():
            if click.id in ids and self._pressed.get(token, set()) & self._gone:
                self._erased.add(token)

    def _is_old(self, ticket: Ticket) -> bool:
        age = self._clock.now_ms() - self._built[ticket.token].at_ms
        return not -3_600_000 <= age <= WINDOW_DAYS * 86_400_000

    async def _rows(self) -> dict[UUID, LedgerRow]:
        """What the ledger says of every click, in one question."""
        async with self._shared.engine.connect() as connection:
            return {row.id: ledger_row(row) for row in await connection.execute(select(clicks))}

    async def _look_at_rows(self) -> None:
        """I7: what was set stays as it was, until it is erased."""
        erased = {self._built[token].id for token in self._erased | self._half_erased}
        for click_id, row in (await self._rows()).items():
            payload, owner = self._seen.get(click_id, (None, None))
            if click_id not in erased:
                holds(payload is None or row.click == payload, "I7 SetOnce", "the click changed")
            gone = owner is not None and owner.telegram_id in self._gone and click_id in erased
            holds(owner is None or gone or row.owner == owner, "I7 SetOnce", "the owner changed")
            self._seen[click_id] = (row.click or payload, row.owner)

    async def _check_outbox(self, rows: dict[UUID, LedgerRow]) -> None:
        async with self._shared.engine.connect() as connection:
            found = list((await connection.execute(select(outbox.c.click_id))).scalars())
        complete = {click_id for click_id, row in rows.items() if row.click and row.owner}
        erased = {self._built[token].id for token in self._erased | self._half_erased}
        holds(len(found) == len(set(found)), "I3 OneEffect", found)
        holds(complete <= set(found), "I4 EffectComplete", "a complete click has no conversion")
        holds(set(found) <= complete | erased, "I4 EffectComplete", "a conversion without both facts")

    async def _check_people(self) -> None:
        async with self._shared.engine.connect() as connection:
            begun = (await connection.execute(select(starts))).mappings().all()
            kept = (await connection.execute(select(bot_users))).mappings().all()
        holds(
            as_kept(kept) == recount(begun),
            "I12 SettleIdempotent",
            "people's rows are not what their starts say",
        )

    async def _books(self) -> Books:
        times = [click.at_ms for click in self._built.values()] or [NOW]
        return await read_books(
            self._shared.engine,
            [],
            since_ms=min(times),
            until_ms=max(times) + MINUTE_MS,
        )


class _Bots:
    def bot(self, username: str) -> Bot | None:
        return BOT if username == BOT.username else None
