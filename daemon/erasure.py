"""Erasing a person from every store: SQL first, in one transaction; then the copies (ADR 0016).

SQL decides: once its tombstones are there, no copy anywhere can bring a click or a start back. What cannot be discarded
now stays noted in SQL, for the next run or the worker.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from backends.redis import RedisStore
from backends.spools import LocalSpools
from backends.sql.erasure import Copies, Erased, SqlErasures
from backends.sql.tombstones import PersonKey
from domain.attribution import Start
from domain.clock import Clock
from domain.errors import StoreUnavailable
from domain.ids import uuid7_ms
from privacy.erasure_journal import ErasureJournal

REDIS_SECONDS = 2.0
# No copy outlives the longest CLICK_TTL there may be; an hour for clocks that differ.
LONGEST_IN_REDIS_MS = 86_400_000 + 3_600_000
SCRUB_AGAIN_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What an erasure did, and what is still to do: copies by store; empty when it is finished.

    pending, conversions: starts and conversions of the person that waited in this machine's spools. `spools_read` False: a
    spool here could not be asked, so that some may wait in it; they will not be settled.
    """

    erased: Erased
    at_ms: int
    pending: int
    conversions: int
    left: dict[str, int]
    spools_read: bool
    scrubbed: bool

    @property
    def finished(self) -> bool:
        """True when no store that can be asked from here has anything left."""
        return not self.left and self.spools_read

    @property
    def nothing(self) -> bool:
        """True when no store had anything of the person."""
        return self.erased.nothing and not self.pending and not self.conversions


class Discarder:
    """Discards copies of erased clicks in Redis and in this machine's spools, as SQL has noted them."""

    def __init__(
        self, *, erasures: SqlErasures, redis: RedisStore | None, spools: LocalSpools, clock: Clock
    ) -> None:
        self._erasures = erasures
        self._redis = redis
        self._spools = spools
        self._clock = clock

    async def once(self, *, shared: bool = True) -> dict[str, int]:
        """Discard what can be discarded now; what is left, by store. Raises StoreUnavailable without SQL.

        Without `shared` in this machine's spools alone: another worker sees to Redis and SQL.
        """
        done = {"spool": await self._in_spools()}
        if shared:
            done |= {"redis": await self._in_redis(), "sql": await self._in_sql()}
        if any(done.values()):
            counts = {store: count for store, count in done.items() if count}
            await self._erasures.note("discard", counts, self._clock.now_ms())
        return await self._erasures.left()

    async def scrub(self) -> bool:
        """Take what was removed out of the spools' files and logs too; False when something was in use."""
        return await self._spools.scrub()

    async def _in_spools(self) -> int:
        ids = await self._erasures.to_do("spool")
        if not ids or not await self._spools.discard(ids):
            return 0
        return await self._done("spool", ids)

    async def _in_redis(self) -> int:
        ids = await self._erasures.to_do("redis")
        oldest = self._clock.now_ms() - LONGEST_IN_REDIS_MS
        gone = [click_id for click_id in ids if uuid7_ms(click_id) < oldest]
        if ids and self._redis is not None and await _discarded(self._redis, ids):
            gone = ids
        return await self._done("redis", gone) if gone else 0

    async def _in_sql(self) -> int:
        ids = await self._erasures.to_do("sql")
        if not ids or not await self._erasures.scrub():
            return 0
        return await self._done("sql", ids)

    async def _done(self, store: Copies, ids: Sequence[UUID]) -> int:
        await self._erasures.done(store, ids)
        return len(ids)


class Erasure:
    """The use case behind `trilha privacy erase`."""

    def __init__(
        self,
        *,
        erasures: SqlErasures,
        spools: LocalSpools,
        discarder: Discarder,
        elsewhere: Sequence[Copies],
        person_key: PersonKey,
        clock: Clock,
        journal: ErasureJournal,
    ) -> None:
        self._erasures = erasures
        self._journal = journal
        self._spools = spools
        self._discarder = discarder
        self._elsewhere = elsewhere
        self._person_key = person_key
        self._clock = clock

    async def erase(self, telegram_id: int) -> ErasureReport:
        """Erase, or go on with an erasure. Raises StoreUnavailable when SQL cannot be asked: then nothing is erased yet."""
        waiting, all_read = await self._spools.of_person(telegram_id)
        pending = [record for record in waiting if isinstance(record, Start)]
        now = self._clock.now_ms()
        person_key = self._person_key(telegram_id)
        erased = await self._erasures.erase(
            telegram_id,
            person_key=person_key,
            at_ms=now,
            begun={start.click.id for start in pending if start.click},
            elsewhere=self._elsewhere,
        )
        # After COMMIT. Whoever dies in between leaves it to the worker, which brings the journal what SQL has.
        await asyncio.to_thread(self._journal.add, {person_key: now})
        removed = await self._spools.remove_person(telegram_id, until_ms=now)
        left = await self._discarder.once()
        return ErasureReport(
            erased=erased,
            at_ms=now,
            pending=len(pending),
            conversions=len(waiting) - len(pending),
            left=left,
            spools_read=all_read and removed,
            scrubbed=await self._discarder.scrub(),
        )


class Finisher:
    """The worker's part: discards what an erasure could not, and scrubs this machine's files after every erasure.

    Other machines' erasures too: what is of the person in spools here is dropped when it is settled, so the spools
    are scrubbed at once, and again a minute after the last erasure. Copies in Redis and SQL are the leader's to discard.
    """

    def __init__(
        self,
        *,
        erasures: SqlErasures,
        discarder: Discarder,
        journal: ErasureJournal,
        clock: Clock,
        leads: Callable[[], bool],
    ) -> None:
        self._erasures = erasures
        self._discarder = discarder
        self._journal = journal
        self._clock = clock
        self._leads = leads
        self._journalled: int | None = None
        self._seen = 0
        self._scrubbed = 0

    async def finish_erasures(self) -> None:
        """Called every few seconds. A store that is down is asked again the next time."""
        try:
            last = await self._erasures.last()
            if not last:
                return
            if last != self._journalled:
                # What the journal has already is not written again; machines' clocks differ, so all of SQL's are looked at.
                await asyncio.to_thread(self._journal.add, await self._erasures.all())
                self._journalled = last
            await self._discarder.once(shared=self._leads())
            settled_by_now = self._clock.now_ms() - last > SCRUB_AGAIN_MS
            if last > (self._scrubbed if settled_by_now else self._seen) and await self._discarder.scrub():
                self._seen = last
                self._scrubbed = last if settled_by_now else self._scrubbed
        except StoreUnavailable:
            return


async def _discarded(redis: RedisStore, ids: Sequence[UUID]) -> bool:
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            await redis.probe()
        for click_id in ids:
            async with asyncio.timeout(REDIS_SECONDS):
                await redis.discard(click_id)
    except (StoreUnavailable, TimeoutError):
        return False
    return True
