"""Counting everything again, and comparing it with the rollups and what waits: slow, plain, and at one moment."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Column, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import snapshot
from backends.sql.rollup_rows import counted, said
from backends.sql.rollup_schema import CHANGES, ROLLUPS, rollup_state
from backends.sql.rollups import Tally

CHUNK = 20_000
Sums = dict[tuple[Any, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One bucket of a rollup. kept: what the rollup and the changes that wait come to; counted: what there is."""

    rollup: str
    key: tuple[Any, ...]
    kept: tuple[int, ...]
    counted: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was compared: base rows, changes that waited, buckets that there are, and those that differ."""

    zone: str
    rows: int
    waiting: int
    buckets: int
    differences: tuple[Difference, ...]


class SqlRollupCheck:
    """Reads only. It takes as long as reading every row takes; SQLite cannot shorten its log meanwhile."""

    def __init__(self, engine: AsyncEngine, zone: str, tally_in: Callable[[ZoneInfo], Tally]) -> None:
        self._engine = engine
        self._zone = zone
        self._tally_in = tally_in

    async def check(self) -> Checked:
        """Compare by the zone that the rollups are of; before the first fold, by that of the settings."""
        return await snapshot(self._engine, self._check)

    async def _check(self, connection: AsyncConnection) -> Checked:
        zone = (await connection.execute(select(rollup_state.c.zone))).scalar() or self._zone
        tally = self._tally_in(ZoneInfo(zone))
        kept, there = _nothing(), _nothing()
        await _add_rollups(connection, kept)
        waiting = rows = 0
        for which, table in enumerate(CHANGES):
            async for chunk in _chunks(connection, select(*said(table)), table.c.seq):
                _add(kept, tally(*_only(which, chunk)))
                waiting += len(chunk)
        for which, base in enumerate(counted(self._engine)):
            async for chunk in _chunks(connection, base.rows, base.key):
                _add(there, tally(*_only(which, chunk)))
                rows += len(chunk)
        differences = tuple(_differences(kept, there))
        buckets = sum(map(len, there.values()))
        return Checked(zone=zone, rows=rows, waiting=waiting, buckets=buckets, differences=differences)


def _nothing() -> dict[str, Sums]:
    return {table.name: {} for table in ROLLUPS}


async def _add_rollups(connection: AsyncConnection, kept: dict[str, Sums]) -> None:
    for table in ROLLUPS:
        keys = len(table.primary_key.columns)
        async for row in await connection.stream(select(table)):
            kept[table.name][tuple(row[:keys])] = tuple(row[keys:])


async def _chunks(
    connection: AsyncConnection, rows: Select[Any], key: Column[Any]
) -> AsyncIterator[Sequence[Any]]:
    """All rows by that column, which has an index; rows of one value are never parted."""
    last = None
    while True:
        after = rows if last is None else rows.where(key > last)
        beyond = select(key).order_by(key).limit(1).offset(CHUNK)
        beyond = beyond if last is None else beyond.where(key > last)
        end = (await connection.execute(beyond)).scalar()
        found = (await connection.execute(after if end is None else after.where(key <= end))).all()
        yield found
        if end is None:
            return
        last = end


def _only(which: int, chunk: Sequence[Any]) -> list[Sequence[Any]]:
    return [chunk if each == which else () for each in range(len(CHANGES))]


def _add(sums: dict[str, Sums], added: Mapping[str, Mapping[tuple[Any, ...], Sequence[int]]]) -> None:
    for name, table in added.items():
        for key, numbers in table.items():
            before = sums[name].get(key, (0,) * len(numbers))
            sums[name][key] = tuple(a + b for a, b in zip(before, numbers, strict=True))


def _differences(kept: dict[str, Sums], there: dict[str, Sums]) -> Iterator[Difference]:
    for table in ROLLUPS:
        ours, theirs = kept[table.name], there[table.name]
        nothing = (0,) * (len(table.c) - len(table.primary_key.columns))
        for key in sorted({*ours, *theirs}):
            one, other = ours.get(key, nothing), theirs.get(key, nothing)
            if one != other:
                yield Difference(rollup=table.name, key=key, kept=one, counted=other)
