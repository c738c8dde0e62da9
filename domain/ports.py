"""What the rest of the product asks of a store. Nobody inherits; mypy proves the fit where things are built."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol
from uuid import UUID

from domain.accounts import BotStatus, Heartbeat, Lease, UpdateState
from domain.attribution import Owner, Start
from domain.books import BookEntry
from domain.click import Click
from domain.conversions import Conversion, Delivery, DeliveryState, LaneStatus, Reported, Touch
from domain.enrichment import Enrichment
from domain.keys import KeyKind, SharedKey
from domain.links import BotHealth, Catalog
from domain.outcomes import LedgerRow, Lookup, Receipt
from domain.people import BotUser, Reply

NOTHING_ADDED: Mapping[UUID, Enrichment] = MappingProxyType({})


class ClickStore(Protocol):
    """Keeps clicks by id. Leaves and the FallbackChain share it; every one passes `tests/contracts/`.

    `put` returns its Receipt once it holds, and not before (I11). Putting a click again changes nothing (I7). A leaf
    raises StoreUnavailable or RecordRejected; the chain raises nothing and says `token_only` instead.
    `find` raises nothing: a store that cannot be asked says Unknown.
    `discard` makes a click unfindable here; discarding an absent click is no error.
    """

    async def put(self, click: Click) -> Receipt: ...
    async def find(self, click_id: UUID) -> Lookup: ...
    async def discard(self, click_id: UUID) -> None: ...


class Unsettled(Protocol):
    """Finds a click that SQL may not have yet."""

    async def find_unsettled(self, click_id: UUID) -> Click | None: ...


class StartSpool(Protocol):
    """Keeps a start that the ledger cannot take now; it is settled later."""

    async def put_start(self, start: Start) -> None: ...


class ConversionSpool(Protocol):
    """Keeps a conversion that the ledger cannot take now; of several with one id the first stays. It is settled later."""

    async def put_conversion(self, conversion: Conversion) -> None: ...


class Ledger(Protocol):
    """The one authority on who owns a click. Raises StoreUnavailable; a retry after that gives the same answer.

    `record_start` writes the start, and with it the click when the caller has found it elsewhere; the row it returns
    says who owns the click. It returns None for a direct start. `record_conversion` writes a conversion's rows, one for each
    lane, once for each id; `too_old` makes the one to the pixel dead from the beginning. It returns None, having written
    nothing, for a click that is not known and whose link the conversion does not say. `settle` writes many facts in one
    transaction; `erased` are the clicks in whose place a spool holds a tombstone, `enrichments` what is added to some of
    the clicks, by their ids; `conversions` come after the starts that they may depend on.
    """

    async def record_start(self, start: Start, click: Click | None) -> LedgerRow | None: ...
    async def record_conversion(
        self, conversion: Conversion, *, too_old: bool = False
    ) -> Reported | None: ...
    async def row(self, click_id: UUID) -> LedgerRow | None: ...
    async def settle(
        self,
        clicks: Sequence[Click],
        starts: Sequence[Start],
        books: Sequence[BookEntry],
        erased: Sequence[UUID] = (),
        enrichments: Mapping[UUID, Enrichment] = NOTHING_ADDED,
        conversions: Sequence[Conversion] = (),
    ) -> None: ...


class People(Protocol):
    """What is known of the people of bots beside their starts. Raises StoreUnavailable; repeating anything is safe.

    `replied` gives those of the starts whose answer is recorded, sent or refused. `note_replies` records answers (one
    that is recorded stays) and returns the starts that are not there: not settled yet, or erased. `note_block` changes
    somebody who is known and never makes anybody known; the newest word counts, and a later start unblocks.
    """

    async def replied(self, start_ids: Sequence[UUID]) -> set[UUID]: ...
    async def note_replies(self, replies: Sequence[Reply]) -> set[UUID]: ...
    async def note_block(self, owner: Owner, *, blocked: bool, at_ms: int) -> None: ...
    async def person(self, owner: Owner) -> BotUser | None: ...


class CatalogSource(Protocol):
    """Where links and bots are edited. Raises StoreUnavailable."""

    async def version(self) -> int: ...
    async def load(self) -> Catalog: ...


class KeyTable(Protocol):
    """Where nodes share their wrapped keys. Raises StoreUnavailable; each call is one transaction.

    `rows` gives every live key, and the newest tombstone of each kind. `offer` inserts what is absent: the first to
    come wins. `replace` changes a key only where it still is what it was. `destroy` turns all numbers below `before`
    into tombstones, for good. `remove` deletes keys that nobody here can open.
    """

    async def rows(self) -> Sequence[SharedKey]: ...
    async def offer(self, keys: Sequence[SharedKey]) -> None: ...
    async def replace(self, pairs: Sequence[tuple[SharedKey, SharedKey]]) -> None: ...
    async def destroy(self, kind: KeyKind, *, before: int, at_ms: int) -> None: ...
    async def remove(self, keys: Sequence[SharedKey]) -> None: ...


class BotAccounts(Protocol):
    """What bot workers share of the bots they are. Raises StoreUnavailable; ConfigError when there is no such bot.

    `acquire` takes or prolongs the lease when it is free, over or already this worker's: None says that it is ours now,
    a Lease who has it instead. Of several callers at once one gets it. `beat` prolongs it and writes what is newer (no
    counter or time goes back), or says False: it is not ours any more. `release` gives it back, if it is ours.
    `put_token` with a Telegram id of another account than before also forgets where the updates stand; without an id
    it leaves the one that is known. Daemons learn of `put_health`, `put_webhook_key` and `rename` through the catalog;
    `put_health` says whether anything has changed, and a renamed bot's health is unknown again.
    """

    async def tokens(self) -> dict[int, bytes]: ...
    async def put_token(self, bot_id: int, sealed: bytes | None, telegram_id: int | None) -> None: ...
    async def put_webhook_key(self, bot_id: int, digest: bytes | None) -> None: ...
    async def acquire(self, bot_id: int, worker: str, *, now_ms: int, until_ms: int) -> Lease | None: ...
    async def beat(self, bot_id: int, worker: str, heartbeat: Heartbeat, *, until_ms: int) -> bool: ...
    async def release(self, bot_id: int, worker: str) -> None: ...
    async def state(self, bot_id: int) -> UpdateState | None: ...
    async def put_health(self, bot_id: int, health: BotHealth, *, at_ms: int) -> bool: ...
    async def rename(self, bot_id: int, username: str) -> None: ...
    async def overview(self) -> list[BotStatus]: ...


class Outbox(Protocol):
    """Conversions that wait, and what became of each. Raises StoreUnavailable; repeating anything is safe.

    `due` gives the lanes (UNATTRIBUTED too) that have something due, without reading their queues. `claim` takes up to
    `limit` of a lane's due deliveries, longest due first; nobody else gets them before `until_ms`, which is also when
    they are due again should their claimer die. `sent`, `postpone` and `end` change only what is still pending; `sent` also
    what was erased while it was under way, as it has arrived all the same. `matched` is what of the person was sent, by
    event. `postpone` with `back` gives a claim back as if it had not been made. `hold` says since when and why a lane is held, and `release` that it is not;
    `heard` notes a destination's warning, None that there is none. `attribute` finds the clicks of people that conversions
    in the UNATTRIBUTED lane name, moves what has one to the lane of its link's pixel, and ends as skipped what has waited
    longer than `give_up_ms` allows; the number of conversions moved.
    """

    async def due(self, now_ms: int) -> list[str]: ...
    async def claim(self, lane: str, limit: int, *, now_ms: int, until_ms: int) -> list[Delivery]: ...
    async def sent(
        self, lane: str, matched: Mapping[UUID, tuple[str, ...]], *, trace: str | None, at_ms: int
    ) -> None: ...
    async def postpone(
        self,
        lane: str,
        ids: Sequence[UUID],
        *,
        until_ms: int,
        reason: str | None,
        code: str | None = None,
        back: bool = False,
    ) -> None: ...
    async def end(
        self,
        lane: str,
        ids: Sequence[UUID],
        state: DeliveryState,
        *,
        reason: str,
        code: str | None = None,
        trace: str | None = None,
    ) -> None: ...
    async def hold(self, lane: str, reason: str, *, at_ms: int) -> None: ...
    async def release(self, lane: str) -> None: ...
    async def heard(self, lane: str, warning: str | None) -> None: ...
    async def lanes(self) -> list[LaneStatus]: ...
    async def attribute(
        self, limit: int, *, now_ms: int, until_ms: int, give_up_ms: int, touch: Touch
    ) -> int: ...


class Leader(Protocol):
    """Whether this worker is the one that does what needs one at a time. No call raises.

    `look` is called every second, and `resign` once, at the end. `leads` may turn false at any moment, and is asked before
    each step.
    """

    @property
    def leads(self) -> bool: ...
    async def look(self) -> None: ...
    async def resign(self) -> None: ...
