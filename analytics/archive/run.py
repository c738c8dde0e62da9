"""One run of the archive: which days are looked at, which of them are written anew, and which end (ADR 0041)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from analytics.archive.folder import Folder
from analytics.archive.manifest import Day, Manifest
from analytics.archive.part import Part
from analytics.archive.tables import SCHEMA, TABLES, ArchiveTable, Naming, OwnerKey
from analytics.period import local_date
from backends.sql.archived import Dataset, Erasures, Names, Taken
from domain.clock import Clock
from domain.errors import ConfigError
from domain.rollups import day_begins_ms, day_ends_ms

DAY_MS = 86_400_000
Told = Callable[[str, date, int], None]
"""Hears of each day before it is looked at: of which table, and how many there are in all."""


class Source(Protocol):
    """The base tables (backends/sql/archived.py)."""

    async def rows(self, dataset: Dataset, since_ms: int, until_ms: int, taken: Taken) -> None: ...
    async def names(self) -> Names: ...
    async def erasures(self, zone: ZoneInfo) -> Erasures: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a run is asked for. since: None: so many days up to today, and those that no run has taken since the last one.

    refresh: look at every day that the archive has.
    """

    days: int
    since: date | None = None
    until: date | None = None
    refresh: bool = False


@dataclass(slots=True, kw_only=True)
class Done:
    """What a run has done. same: how many days it has looked at and left as they are."""

    written: list[tuple[Dataset, date, Day]] = field(default_factory=list)
    removed: list[tuple[Dataset, date]] = field(default_factory=list)
    same: int = 0


class Archive:
    """Archives into one folder. `click_days`: how long SQL keeps a click, and so the archive. owner_key: None: no owners.

    Raises StoreUnavailable, OSError and ConfigError; what was written by then is whole, and the next run goes on.
    """

    def __init__(
        self,
        source: Source,
        folder: Folder,
        *,
        zone: ZoneInfo,
        click_days: int,
        owner_key: OwnerKey | None,
        clock: Clock,
        told: Told,
    ) -> None:
        self._source, self._folder = source, folder
        self._zone, self._click_days, self._owner_key = zone, click_days, owner_key
        self._clock, self._told = clock, told

    async def run(self, request: Request) -> Done:
        """Bring the folder up to date."""
        with self._folder.alone():
            manifest = self._manifest()
            # Before any row is read: what is erased from here on, the next run looks for.
            erasures = await self._source.erasures(self._zone)
            naming = Naming(names=await self._source.names(), owner_key=self._owner_key)
            done = Done()
            self._end(manifest, done)
            wanted = [*self._wanted(manifest, erasures, request)]
            for table, day in wanted:
                self._told(table.name, day, len(wanted))
                await self._look(manifest, table, day, naming, done)
            manifest.schema, manifest.erasure = SCHEMA, erasures.line
            manifest.with_owners = self._owner_key is not None
            self._folder.keep(manifest)
            return done

    def _manifest(self) -> Manifest:
        found = self._folder.manifest()
        if found is None:
            return Manifest(zone=self._zone.key, with_owners=self._owner_key is not None)
        if found.zone != self._zone.key:
            raise ConfigError(
                f"the days of this archive are those of {found.zone}, and TRILHA_TIMEZONE says {self._zone.key}. "
                "Give a new folder, and delete the old one"
            )
        return found

    def _end(self, manifest: Manifest, done: Done) -> None:
        """Days all of whose rows SQL has ended."""
        for name, days in manifest.tables.items():
            for day in [each for each in days if self._has_ended(each)]:
                self._remove(manifest, name, day, done)

    def _has_ended(self, day: date) -> bool:
        return day_ends_ms(day, self._zone) <= self._ended_ms

    @property
    def _ended_ms(self) -> int:
        return self._clock.now_ms() - self._click_days * DAY_MS

    def _wanted(
        self, manifest: Manifest, erasures: Erasures, request: Request
    ) -> Iterator[tuple[ArchiveTable, date]]:
        asked = self._asked(manifest, request)
        if request.refresh:
            asked |= self._all(manifest)
        for table in TABLES:
            days = {*asked, *self._suspects(manifest, table.name, erasures)}
            yield from ((table, day) for day in sorted(days) if not self._has_ended(day))

    def _asked(self, manifest: Manifest, request: Request) -> set[date]:
        today = local_date(self._clock.now_ms(), self._zone)
        last = request.until or today
        first = request.since
        if first is None:
            first = today - timedelta(days=request.days - 1)
            # The last day was written before it was over, and no run was there for those after it.
            first = min([first, *(max(days) for days in manifest.tables.values() if days)])
        # Nothing is kept of days before this one.
        first = max(first, local_date(self._ended_ms, self._zone))
        return _days(first, last)

    def _all(self, manifest: Manifest) -> set[date]:
        """From the first day of the archive to today: also days that had nothing, in which something has come late."""
        first = min((day for days in manifest.tables.values() for day in days), default=None)
        today = local_date(self._clock.now_ms(), self._zone)
        return set() if first is None else _days(first, today)

    def _suspects(self, manifest: Manifest, name: Dataset, erasures: Erasures) -> Sequence[date]:
        """Days that may not be what they were."""
        days = manifest.tables[name]
        owners = self._owner_key is not None
        if manifest.schema != SCHEMA or manifest.with_owners != owners:
            return [*days]
        if name == "clicks" and erasures.clicks is not None:
            changed = {day for day, kept in days.items() if kept.erased != erasures.clicks.get(day, 0)}
        elif name == "clicks" or erasures.line != manifest.erasure:
            # No figure of a day tells surely that an erasure was about it: one start may have gone and another come late.
            changed = {*days}
        else:
            changed = set()
        # The oldest day, of which SQL has ended a part.
        return [*changed, *(day for day in days if day_begins_ms(day, self._zone) <= self._ended_ms)]

    async def _look(
        self, manifest: Manifest, table: ArchiveTable, day: date, naming: Naming, done: Done
    ) -> None:
        """Write the day anew, unless it is what the archive has."""
        part = Part(self._folder.half(table.name, day), table, naming)
        since_ms, until_ms = day_begins_ms(day, self._zone), day_ends_ms(day, self._zone)
        try:
            await self._source.rows(table.name, since_ms, until_ms, part.take)
            part.close()
        except BaseException:
            part.discard()
            raise
        before = manifest.tables[table.name].get(day)
        if part.rows == 0:
            if before is not None:
                self._remove(manifest, table.name, day, done)
            return
        size = self._folder.size(table.name, day)
        if before is not None and (before.digest, before.bytes) == (part.digest, size):
            part.discard()
            done.same += 1
            return
        written = Day(
            rows=part.rows,
            bytes=self._folder.put(table.name, day),
            digest=part.digest,
            made_at=f"{datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}",
            erased=part.erased,
        )
        manifest.tables[table.name][day] = written
        self._folder.keep(manifest)
        done.written.append((table.name, day, written))

    def _remove(self, manifest: Manifest, name: Dataset, day: date, done: Done) -> None:
        self._folder.remove(name, day)
        del manifest.tables[name][day]
        self._folder.keep(manifest)
        done.removed.append((name, day))


def _days(first: date, last: date) -> set[date]:
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}
