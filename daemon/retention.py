"""Retention: what the retention table (privacy/retention.py) says, done.

`trilha work` makes a pass every few minutes. A pass does everything that is due, in small steps with rests between
them; what fails holds up nothing else and is tried again in the next pass.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backends.spool import ASIDE
from backends.sql.retention import Deleted, SqlRetention, Waiting
from domain.clock import Clock
from domain.errors import StoreError, TrilhaError
from privacy.retention import ALERT_DAYS, ASIDE_DAYS
from runtime.logs import get_logger
from runtime.settings import Settings

DAY_MS = 86_400_000
RETENTION_SECONDS = 300.0
BATCH = 500
REST_SECONDS = 0.05
_log = get_logger("trilha.retention")


class Keys(Protocol):
    """The keys of days. `destroy_before` destroys, for good, those of the UTC days before that one (days since the epoch); how many."""

    def destroy_before(self, period: int, /) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Before when things are due, UTC milliseconds. `period`: the first UTC day whose keys stay."""

    originals_ms: int
    clicks_ms: int
    aside_ms: int
    alerts_ms: int
    period: int

    @classmethod
    def at(cls, now_ms: int, settings: Settings) -> "Bounds":
        """As the settings say. The keys of a day go when its last click has had all its days."""
        return cls(
            originals_ms=now_ms - settings.sealed_days * DAY_MS,
            clicks_ms=now_ms - settings.click_days * DAY_MS,
            aside_ms=now_ms - ASIDE_DAYS * DAY_MS,
            alerts_ms=now_ms - ALERT_DAYS * DAY_MS,
            period=now_ms // DAY_MS - settings.sealed_days,
        )


@dataclass(slots=True, kw_only=True)
class Done:
    """Counts of what one pass did. `failed` names the parts that could not be finished."""

    keys: int = 0
    originals: int = 0
    digests: int = 0
    clicks: int = 0
    starts: int = 0
    bot_users: int = 0
    events: int = 0
    figures: int = 0
    erasures: int = 0
    sessions: int = 0
    alerts: int = 0
    files: int = 0
    failed: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether there was anything to do."""
        return self != Done(failed=self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What waits for the next pass."""

    originals: Waiting
    digests: Waiting
    clicks: Waiting
    starts: Waiting
    events: Waiting
    bot_users: Waiting
    files: Waiting


Part = Callable[[Bounds, Done], Awaitable[None]]


class Retention:
    """Ends what has had its time, in every store that does not end it by itself (Redis does, and the settler empties spools)."""

    def __init__(
        self,
        sql: SqlRetention,
        settings: Settings,
        clock: Clock,
        *,
        keys: Keys,
        batch: int = BATCH,
        rest: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._sql = sql
        self._settings = settings
        self._clock = clock
        self._keys = keys
        self._batch = batch
        self._rest = rest
        # Whoever was here before may have deleted, and died before the log was cut.
        self._copies_left = True

    async def pass_(self) -> Done:
        """Do all that is due now, and log the counts if there was anything. Raises nothing of ours: see `Done.failed`."""
        # Keys first: that alone makes originals unreadable everywhere, backups included.
        return await self._do(*self._of_this_machine, *self._of_sql)

    async def local(self) -> Done:
        """As `pass_`, of what every machine has for itself: its ring, and the files set aside."""
        return await self._do(*self._of_this_machine)

    async def shared(self) -> Done:
        """As `pass_`, of what all machines share: SQL. One worker at a time does it; two would wait for each other's locks."""
        return await self._do(*self._of_sql)

    @property
    def _of_this_machine(self) -> tuple[Part, ...]:
        return (self._destroy_keys, self._remove_files)

    @property
    def _of_sql(self) -> tuple[Part, ...]:
        return (
            self._forget,
            self._drop,
            self._delete,
            self._delete_sessions,
            self._delete_alerts,
            self._leave_no_copy,
        )

    async def _do(self, *parts: Part) -> Done:
        bounds, done = Bounds.at(self._clock.now_ms(), self._settings), Done()
        for part in parts:
            try:
                await part(bounds, done)
            except TrilhaError as error:
                name = getattr(part, "__name__", "").removeprefix("_").replace("_", " ")
                done.failed = (*done.failed, name)
                _log.warning("retention could not finish", part=name, reason=str(error))
        if done.anything:
            _log.info("retention", counts={name: getattr(done, name) for name in COUNTS})
        return done

    async def due(self) -> Due:
        """What a pass would do in SQL and on disk now. Raises StoreUnavailable; changes nothing."""
        bounds = Bounds.at(self._clock.now_ms(), self._settings)
        return Due(
            originals=await self._sql.originals_due(bounds.originals_ms),
            digests=await self._sql.digests_due(bounds.originals_ms),
            clicks=await self._sql.clicks_due(bounds.clicks_ms),
            starts=await self._sql.direct_starts_due(bounds.clicks_ms),
            events=await self._sql.conversions_due(bounds.clicks_ms),
            bot_users=await self._sql.bot_users_due(bounds.clicks_ms),
            files=await asyncio.to_thread(self._files_due, bounds.aside_ms),
        )

    async def _destroy_keys(self, bounds: Bounds, done: Done) -> None:
        done.keys = await asyncio.to_thread(self._keys.destroy_before, bounds.period)

    async def _forget(self, bounds: Bounds, done: Done) -> None:
        while forgotten := await self._sql.forget_originals(bounds.originals_ms, self._batch):
            done.originals += forgotten
            await self._step()
        while digests := await self._sql.forget_digests(bounds.originals_ms, self._batch):
            done.digests += digests
            await self._step()

    async def _drop(self, bounds: Bounds, done: Done) -> None:
        """Days that have a partition of their own, on PostgreSQL; what is older than the oldest of them goes before it."""
        dropped: Deleted | None = Deleted()
        while dropped is not None:
            await self._delete_clicks(bounds, done)
            if (dropped := await self._sql.drop_oldest(bounds.clicks_ms)) is not None:
                _count(done, dropped)
                await self._step()

    async def _delete_clicks(self, bounds: Bounds, done: Done) -> None:
        while gone := await self._sql.aggregate_and_delete(bounds.clicks_ms, self._batch):
            _count(done, gone)
            await self._step()

    async def _delete(self, bounds: Bounds, done: Done) -> None:
        await self._delete_clicks(bounds, done)
        while direct := await self._sql.delete_direct_starts(bounds.clicks_ms, self._batch):
            done.starts += direct
            await self._step()
        while events := await self._sql.delete_conversions(bounds.clicks_ms, self._batch):
            done.events += events
            await self._step()
        while people := await self._sql.delete_bot_users(bounds.clicks_ms, self._batch):
            done.bot_users += people
            await self._step()
        done.erasures = await self._sql.delete_erasures(bounds.clicks_ms)

    async def _delete_sessions(self, _bounds: Bounds, done: Done) -> None:
        done.sessions = await self._sql.delete_sessions(self._clock.now_ms())

    async def _delete_alerts(self, bounds: Bounds, done: Done) -> None:
        done.alerts = await self._sql.delete_alerts(bounds.alerts_ms)

    async def _remove_files(self, bounds: Bounds, done: Done) -> None:
        done.files = await asyncio.to_thread(self._remove, bounds.aside_ms)

    async def _leave_no_copy(self, _bounds: Bounds, _done: Done) -> None:
        if self._copies_left:
            self._copies_left = not await self._sql.leave_no_copy()

    async def _step(self) -> None:
        """Something was deleted. Let those who wait for a lock go first."""
        self._copies_left = True
        await self._rest(REST_SECONDS)

    def _files_due(self, before_ms: int) -> Waiting:
        times = [time for _, time in self._set_aside() if time < before_ms]
        return Waiting(rows=len(times), oldest_ms=min(times, default=None))

    def _remove(self, before_ms: int) -> int:
        """Records that nobody looked at in time are lost here: what cannot be settled may not be kept for ever either."""
        removed = 0
        for path, time in self._set_aside():
            if time < before_ms:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise StoreError(f"{path.parent} cannot be cleared: {error.strerror}") from error
                removed += 1
        return removed

    def _set_aside(self) -> list[tuple[Path, int]]:
        """The files set aside, with their times in UTC milliseconds."""
        found = []
        for path in (self._settings.spools / ASIDE).glob("*.bin"):
            with suppress(FileNotFoundError):
                found.append((path, path.stat().st_mtime_ns // 1_000_000))
        return found


COUNTS = (
    "keys",
    "originals",
    "digests",
    "clicks",
    "starts",
    "bot_users",
    "events",
    "figures",
    "erasures",
    "sessions",
    "alerts",
    "files",
)


def _count(done: Done, gone: Deleted) -> None:
    done.clicks += gone.clicks
    done.starts += gone.starts
    done.events += gone.events
    done.figures += gone.figures
