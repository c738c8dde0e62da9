"""The ledger: two facts about one token, one row, each set once (ADR 0001).

Every writer brings what it has, in any order and as often as it likes; a fact that is set stays. Whoever completes
the row writes the conversion into the outbox in the same transaction, so that it exists if and only if both facts do
(I3, I4). All rows of a batch are locked in the order of their ids: two settlers cannot deadlock over clicks; a deadlock
over starts ends one transaction, which is settled again.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Insert, Row, bindparam, case, exists, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.codec import Packed, pack
from backends.sql.engine import insert_if_absent, one_row, transaction, upsert
from backends.sql.enrichment import ENRICHMENT_COLUMNS, enrichment_of, enrichment_values
from backends.sql.owed import Owed
from backends.sql.reports import NOT_KEPT, Reports
from backends.sql.schema import accounting, ads, catalog, clicks, outbox, starts
from backends.sql.tombstones import (
    PersonKey,
    bury,
    bury_with_person,
    clear_conversions,
    gone,
    open_for_people,
)
from backends.sql.touches import in_order, put_touches, touch_values
from domain.attribution import Owner, Start, StartKind
from domain.books import FIGURES, BookEntry
from domain.click import Click
from domain.conversions import Conversion, Reported, Touch
from domain.enrichment import Enrichment
from domain.errors import StoreUnavailable
from domain.outcomes import MISSING, UNKNOWN, Durability, Found, LedgerRow, Lookup, Receipt
from domain.ports import NOTHING_ADDED

CLICK_FACT = (
    "clicked_at",
    "method",
    "params",
    "referer_host",
    "language",
    "prefetch",
    "visitor_key",
    "visitor_period",
    "fbclid_key",
    "sealed",
    "gpc",
)
_START_FACT = ("owner_bot_id", "owner_telegram_id", "started_at")
_ROW = {"ad_key": b"", "node": 0} | dict.fromkeys((*CLICK_FACT, *_START_FACT, *ENRICHMENT_COLUMNS))
_RESCORE = clicks.update().where(clicks.c.id == bindparam("click_id")).values(scored_at=None)
_RECEIPT = Receipt(durability=Durability.SYNCED, visible=False)
_AD_MEMORY = 50_000


class SqlLedger:
    """The ledger on one engine. As a ClickStore it is the chain's third tier.

    Starts and conversions of a person from before that person was erased are not written; `person_key` is how the two are
    compared. `touch`: which click of a person's conversions are of. `imported`: it settles what another tracker has taken, so
    that no spool is to account for it and nothing of it is sent (ADR 0039).
    """

    def __init__(
        self, engine: AsyncEngine, person_key: PersonKey, *, touch: Touch = "last", imported: bool = False
    ) -> None:
        self._engine = engine
        self._person_key = person_key
        self._known_ads: set[tuple[int, bytes]] = set()
        # Built once: making a statement costs more than running it.
        self._put_facts = _set_once(upsert(engine, clicks))
        self._put_start = self._put_facts.returning(*clicks.c)
        self._spooled = not imported
        self._owed = Owed(engine, imported=imported)
        self._reports = Reports(engine, touch)
        self._put_ads = insert_if_absent(engine, ads)
        self._put_note = insert_if_absent(engine, starts)
        self._put_touches = put_touches(engine)
        self._put_books = _merged(upsert(engine, accounting), engine)

    async def put(self, click: Click) -> Receipt:
        """As `put_batch`, of one."""
        return await self.put_batch([pack(click)])

    async def put_batch(self, batch: Sequence[Packed]) -> Receipt:
        """Returns after the COMMIT that holds all of them."""
        ordered = sorted((click for click, _ in batch), key=lambda click: click.id)
        rows = [_click_values(click) for click in ordered]

        async def write(connection: AsyncConnection) -> None:
            await self._write(connection, rows, ordered)
            await self._owed.of_starts(connection, [click.id for click in ordered])

        await transaction(self._engine, write)
        self._learn_ads(ordered)
        return _RECEIPT

    async def find(self, click_id: UUID) -> Lookup:
        """Found, Missing (also when only the start is known, or the click is erased) or Unknown."""
        try:
            row = await self.row(click_id)
        except StoreUnavailable:
            return UNKNOWN
        return MISSING if row is None or row.click is None else Found(row.click)

    async def discard(self, click_id: UUID) -> None:
        """Erase the click's data and leave a tombstone, so that no copy that comes later brings it back (I5)."""
        statement = bury(self._engine, click_id, spooled=False)
        await transaction(self._engine, lambda connection: connection.execute(statement))

    async def probe(self) -> None:
        """A real write, of a row that everyone has."""
        touch = catalog.update().values(version=catalog.c.version)
        await transaction(self._engine, lambda connection: connection.execute(touch))

    async def row(self, click_id: UUID) -> LedgerRow | None:
        """Both facts as they stand, or None when neither is known. Raises StoreUnavailable."""
        wanted = select(clicks).where(clicks.c.id == click_id)
        found = await one_row(self._engine, wanted)
        return None if found is None else ledger_row(found)

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None:
        """Write the start (and the click, if the caller brings it); the row says who owns it. None: a direct start."""

        async def write(connection: AsyncConnection) -> LedgerRow | None:
            await open_for_people(connection)
            if await gone(connection, [start], self._person_key):
                return await self._drop(connection, start)
            touches: list[dict[str, Any]] = []
            row = await self._start(connection, start, click, touches)
            if start.click is not None:
                await self._owed.of_starts(connection, [start.click.id])
            await self._touch(connection, touches)
            return row

        return await transaction(self._engine, write)

    async def record_conversion(self, conversion: Conversion, *, too_old: bool = False) -> Reported | None:
        """Write a conversion's rows, or say how they stand. None: its click is not known, and nothing was written."""

        async def write(connection: AsyncConnection) -> Reported | None:
            await open_for_people(connection)
            if await gone(connection, [conversion], self._person_key):
                return NOT_KEPT
            return await self._reports.write(connection, conversion, too_old=too_old)

        return await transaction(self._engine, write)

    async def settle(
        self,
        batch: Sequence[Click],
        begun: Sequence[Start],
        books: Sequence[BookEntry],
        erased: Sequence[UUID] = (),
        enrichments: Mapping[UUID, Enrichment] = NOTHING_ADDED,
        reported: Sequence[Conversion] = (),
    ) -> None:
        """Spooled facts, all in one transaction. Repeating it, in part or in another order, changes nothing (I12)."""

        async def write(connection: AsyncConnection) -> None:
            dropped: set[UUID] = set()
            if begun or reported:
                # First: an erasure under way waits for rows of this batch only once it has let this through.
                await open_for_people(connection)
                dropped = await gone(connection, [*begun, *reported], self._person_key)
            ordered = sorted(batch, key=lambda click: click.id)
            if ordered:
                rows = [self._settled_values(click, enrichments.get(click.id)) for click in ordered]
                await self._write(connection, rows, ordered)
            for click_id in sorted(erased):
                await connection.execute(bury(self._engine, click_id, spooled=True))
            touches: list[dict[str, Any]] = []
            for start in sorted(begun, key=lambda s: (s.click is None, s.click and s.click.id, s.at_ms)):
                if start.id in dropped:
                    await self._drop(connection, start)
                else:
                    await self._start(connection, start, None, touches)
            # For all at once, as every statement costs a way to the database and back.
            if complete := {click.id for click in batch} | {s.click.id for s in begun if s.click is not None}:
                await self._owed.of_starts(connection, complete)
            await self._touch(connection, touches)
            await self._reports.settle(connection, [each for each in reported if each.id not in dropped])
            if books:
                await connection.execute(self._put_books, [_book_values(entry) for entry in books])

        await transaction(self._engine, write)
        self._learn_ads(batch)

    def _settled_values(self, click: Click, enrichment: Enrichment | None) -> dict[str, Any]:
        values = _click_values(click) | {"spooled": self._spooled}
        return values if enrichment is None else values | enrichment_values(enrichment)

    async def _write(
        self, connection: AsyncConnection, rows: list[dict[str, Any]], batch: Sequence[Click]
    ) -> None:
        await connection.execute(self._put_facts, rows)
        await self._remember_ads(connection, batch)
        await self._owed.of_clicks(connection, batch)

    async def _drop(self, connection: AsyncConnection, start: Start) -> LedgerRow | None:
        """A start whose person was erased since: nothing of it is written, and its click is buried if nobody owns it."""
        if start.click is None:
            return None
        await connection.execute(bury_with_person(self._engine, start.click.id))
        erased = exists().where(clicks.c.id == outbox.c.click_id, clicks.c.erased_at.is_not(None))
        await clear_conversions(connection, (outbox.c.click_id == start.click.id) & erased)
        found = (await connection.execute(select(clicks).where(clicks.c.id == start.click.id))).one()
        return ledger_row(found)

    async def _start(
        self,
        connection: AsyncConnection,
        start: Start,
        click: Click | None,
        touches: list[dict[str, Any]],
    ) -> LedgerRow | None:
        """Write one start. What it adds to its person's row is added to `touches`, for `_touch`."""
        if start.click is None:
            await self._note(connection, start, "direct", touches)
            return None
        values = _ROW | {"id": start.click.id, "link_id": start.click.link_id, "spooled": False}
        values |= {"ad_key": start.click.ad_key, "node": start.click.node}
        values |= _click_values(click) if click is not None else {}
        values |= _owner_values(start)
        row = ledger_row((await connection.execute(self._put_start, values)).one())
        await self._remember_ads(connection, [click] if click is not None else [])
        mine = row.owner == start.owner
        new = await self._note(connection, start, "attributed" if mine else "taken", touches)
        if new and not mine:
            # One more person with this token: its scores are made again.
            await connection.execute(_RESCORE, {"click_id": start.click.id})
        return row

    async def _remember_ads(self, connection: AsyncConnection, batch: Iterable[Click]) -> None:
        """Put new ads into the dictionary that makes a token's ad key mean something without its click."""
        new = {(c.link_id, c.ad_key): c.ad for c in batch if (c.link_id, c.ad_key) not in self._known_ads}
        if not new:
            return
        rows = [
            {
                "link_id": link_id,
                "ad_key": key,
                "source": ad.source,
                "campaign": ad.campaign,
                "medium": ad.medium,
                "content": ad.content,
                "term": ad.term,
            }
            for (link_id, key), ad in sorted(new.items())
        ]
        await connection.execute(self._put_ads, rows)

    def _learn_ads(self, batch: Iterable[Click]) -> None:
        """Only after COMMIT: an ad that was rolled back is not in the dictionary."""
        if len(self._known_ads) > _AD_MEMORY:
            self._known_ads.clear()
        self._known_ads.update((click.link_id, click.ad_key) for click in batch)

    async def _touch(self, connection: AsyncConnection, touches: Sequence[dict[str, Any]]) -> None:
        """The people's rows come after all clicks and starts of a transaction: they are locked last, for the shortest time."""
        if touches:
            await connection.execute(self._put_touches, in_order(touches))

    async def _note(
        self, connection: AsyncConnection, start: Start, kind: StartKind, touches: list[dict[str, Any]]
    ) -> bool:
        """Write the start down; False when it was there already: then its person's row has it too."""
        values = {
            "id": start.id,
            "bot_id": start.owner.bot_id,
            "telegram_id": start.owner.telegram_id,
            "started_at": start.at_ms,
            "kind": kind,
            "click_id": start.click.id if start.click else None,
        }
        new = (await connection.execute(self._put_note, values)).rowcount > 0
        if new:
            touches.append(touch_values(start, kind))
        return new


def _merged(statement: Any, engine: AsyncEngine) -> Insert:
    """Figures of the books merge by the larger one."""
    larger = func.greatest if engine.dialect.name == "postgresql" else func.max
    merged: Insert = statement.on_conflict_do_update(
        index_elements=["node", "boot", "minute"],
        set_={name: larger(accounting.c[name], statement.excluded[name]) for name in FIGURES},
    )
    return merged


def _set_once(statement: Any) -> Any:
    """The one statement of the ledger: what is set stays, and nothing is set on an erased row."""
    new = statement.excluded
    no_click = clicks.c.clicked_at.is_(None) & clicks.c.erased_at.is_(None)
    no_owner = clicks.c.owner_telegram_id.is_(None) & clicks.c.erased_at.is_(None)
    not_enriched = clicks.c.traffic_class.is_(None) & clicks.c.erased_at.is_(None)
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **{name: case((no_click, new[name]), else_=clicks.c[name]) for name in CLICK_FACT},
            **{name: case((no_owner, new[name]), else_=clicks.c[name]) for name in _START_FACT},
            **{name: case((not_enriched, new[name]), else_=clicks.c[name]) for name in ENRICHMENT_COLUMNS},
            "spooled": clicks.c.spooled | new.spooled,
            # A start that comes makes its click's scores anew.
            "scored_at": case(
                (no_owner & new.owner_telegram_id.is_not(None), null()), else_=clicks.c.scored_at
            ),
        },
    )


def _click_values(click: Click) -> dict[str, Any]:
    return _ROW | {
        "id": click.id,
        "link_id": click.link_id,
        "node": click.node,
        "ad_key": click.ad_key,
        "clicked_at": click.at_ms,
        "method": click.method,
        "params": dict(click.params),
        "referer_host": click.referer_host,
        "language": click.language,
        "prefetch": click.prefetch,
        "visitor_key": click.visitor_key,
        "visitor_period": click.visitor_period,
        "fbclid_key": click.fbclid_key,
        "sealed": click.sealed,
        "gpc": click.gpc,
        "spooled": False,
    }


def _owner_values(start: Start) -> dict[str, Any]:
    return {
        "owner_bot_id": start.owner.bot_id,
        "owner_telegram_id": start.owner.telegram_id,
        "started_at": start.at_ms,
    }


def _book_values(entry: BookEntry) -> dict[str, Any]:
    return {"node": entry.node, "boot": entry.boot, "minute": entry.minute} | {
        name: getattr(entry, name) for name in FIGURES
    }


def ledger_row(row: Row[Any]) -> LedgerRow:
    """A row of `clicks` as the ledger speaks of it."""
    has_owner = row.owner_telegram_id is not None
    return LedgerRow(
        click=click_of(row) if row.clicked_at is not None and row.erased_at is None else None,
        owner=Owner(bot_id=row.owner_bot_id, telegram_id=row.owner_telegram_id) if has_owner else None,
        started_at_ms=row.started_at,
        link_id=row.link_id,
        ad_key=row.ad_key,
        spooled=row.spooled,
        enrichment=enrichment_of(row),
    )


def click_of(row: Row[Any]) -> Click:
    """The click of a row of `clicks` that has one."""
    return Click(
        id=row.id,
        link_id=row.link_id,
        node=row.node,
        ad_key=row.ad_key,
        method=row.method,
        params=row.params,
        referer_host=row.referer_host,
        language=row.language,
        prefetch=row.prefetch,
        visitor_key=row.visitor_key,
        visitor_period=row.visitor_period,
        fbclid_key=row.fbclid_key,
        sealed=row.sealed,
        gpc=row.gpc or False,
    )
