"""Sharing: one node's ring and SQL, brought together in the background and by the operator's hands."""

import asyncio

from domain.clock import Clock
from domain.errors import ConfigError, StoreError
from domain.ports import KeyTable
from privacy.keyring import Keyring
from privacy.keys import PERIOD_MS
from privacy.shared_keys import Merged, fresh_in_place_of, offer_of_mac
from runtime.logs import get_logger

ROUNDS = 4
# No key of a day that begins sooner is exchanged: a node might not hear of it in time.
NOTICE_MS = 3_600_000
_log = get_logger("trilha.keys")


class Sharing:
    """Keeps a ring and SQL the same. Nothing that a request does waits for it."""

    def __init__(self, ring: Keyring, table: KeyTable, clock: Clock) -> None:
        self._ring = ring
        self._table = table
        self._clock = clock
        self._warned: frozenset[str] = frozenset()

    async def refresh(self) -> None:
        """Exchange with SQL, if it answers, and go on with the ring's own copy if not. Raises nothing of a store."""
        try:
            found = await self.exchange()
        except StoreError:
            found = None
        await asyncio.to_thread(self._ring.refresh)
        if found is not None:
            self._warn(found.foreign)

    async def exchange(self) -> Merged:
        """Take over what SQL has, and bring SQL what it lacks, until both agree. Raises StoreUnavailable."""
        found = await self._merge()
        for _ in range(ROUNDS):
            if found.settled:
                break
            await self._tell(found)
            found = await self._merge()
        return found

    async def rotate_mac(self, *, window_days: int, after_ms: int, force: bool = False) -> int:
        """Announce a new MAC key, which mints `after_ms` from now: every node verifies with it before. Its id.

        ConfigError as of `Keys.with_next_mac`, or when SQL has another master; StoreUnavailable.
        """
        _ensure_own(await self.exchange())
        keys, now_ms = self._ring.keys, self._clock.now_ms()
        planned = keys.with_next_mac(now_ms, window_days=window_days, after_ms=after_ms, force=force)
        number = max(planned.mac)
        await self._table.offer([offer_of_mac(planned, number, now_ms)])
        # Whoever else rotated at this moment: the first to come is everybody's.
        await self.exchange()
        return number

    async def rotate_periods(self) -> int:
        """Other keys for the days that have not begun, as far as an hour from now; the first of those days."""
        _ensure_own(await self.exchange())
        first = (self._clock.now_ms() + NOTICE_MS) // PERIOD_MS + 1
        rows = [row for row in await self._table.rows() if row.kind == "period" and row.wrapped is not None]
        keys = self._ring.keys
        await self._table.replace(
            [(row, fresh_in_place_of(keys, row)) for row in rows if row.number >= first and not row.copy]
        )
        await self.exchange()
        return first

    async def rotate_master(self, *, force: bool = False) -> None:
        """Wrap every row under the newest master of this ring, made now if none was prepared, in one transaction.

        ConfigError when SQL has rows under a master that this ring lacks; `force` puts the ring's own keys there.
        """
        found = await self.exchange()
        if force and found.foreign:
            await self._table.remove([r for r in await self._table.rows() if r.master in found.foreign])
            found = await self.exchange()
        _ensure_own(found)
        await asyncio.to_thread(self._ring.prepare_master)
        await asyncio.to_thread(self._ring.wrap_with_newest_master)
        await self.exchange()

    async def finish_master(self) -> None:
        """Forget the masters before the one that wraps. ConfigError while SQL has rows under them."""
        _ensure_own(await self.exchange())
        rows = await self._table.rows()
        if any(row.wrapped is not None and row.master != self._ring.keys.master_id for row in rows):
            raise ConfigError("SQL has keys under the older master still. Run it again in a minute")
        await asyncio.to_thread(self._ring.forget_older_masters)

    async def _merge(self) -> Merged:
        rows = await self._table.rows()
        return await asyncio.to_thread(self._ring.merge, rows)

    async def _tell(self, found: Merged) -> None:
        now_ms = self._clock.now_ms()
        for kind, before in found.destroy:
            await self._table.destroy(kind, before=before, at_ms=now_ms)
        if found.rewrapped:
            await self._table.replace(found.rewrapped)
        if found.offers:
            await self._table.offer(found.offers)

    def _warn(self, foreign: frozenset[str]) -> None:
        if foreign and foreign != self._warned:
            _log.warning(
                "SQL has keys under another master than this ring's", masters=", ".join(sorted(foreign))
            )
        self._warned = foreign


def _ensure_own(found: Merged) -> None:
    if found.foreign:
        raise ConfigError(
            f"SQL has keys under another master ({', '.join(sorted(found.foreign))}). Import it from the node that has it: "
            "trilha keys export there, trilha keys import here"
        )
