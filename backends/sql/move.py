"""Moving a Trilha from SQLite to PostgreSQL while clicks arrive (ADR 0040).

Copied and compared beforehand, while everything runs, is what is large; what changes in it meanwhile is tracked. At the switch
this is the one that writes SQLite: what comes is deferred into the spools, as in an outage. What is left is brought over and
compared, the rows of every table are counted on both sides, and one COMMIT on SQLite, after which nobody writes it again, is
the switch itself.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql import move_source, move_target
from backends.sql.engine import transaction
from backends.sql.migrate import current, migrate, newest
from backends.sql.move_source import Source
from backends.sql.move_tables import TRACKED, WHOLE
from backends.sql.move_target import ID, Target
from backends.sql.moved import MOVED
from backends.sql.partitions import DAY_MS, SqlPartitions
from backends.sql.tables import metadata
from domain.clock import Clock
from domain.errors import ConfigError, StoreUnavailable
from domain.ids import uuid7_ms

BATCH = 2000
FEW = 500
ROUNDS = 20
MOST_WHOLE = 50_000


class Told(Protocol):
    """Hears how far it is: of a step, so many more rows."""

    def __call__(self, step: str, table: str, rows: int, /) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the two databases stand before anything is done. rows: of SQLite, by table; begun: a move to here is half done."""

    rows: dict[str, int]
    begun: bool
    moved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One table: how many rows each side has, and how many were looked at that are not the same."""

    table: str
    rows: int
    target_rows: int
    different: int

    @property
    def equal(self) -> bool:
        """Whether both hold the same rows."""
        return self.rows == self.target_rows and not self.different


class _DifferError(Exception):
    """Ends the switch without it."""


class Move:
    """One move. Every step may be repeated, whatever ended it before. Raises StoreUnavailable and ConfigError."""

    def __init__(
        self,
        source: AsyncEngine,
        target: AsyncEngine,
        *,
        clock: Clock,
        click_days: int,
        new_id: Callable[[], str],
        told: Told,
    ) -> None:
        self._clock, self._click_days = clock, click_days
        self._different: Counter[str] = Counter()
        self._from, self._to = source, target
        self._source, self._target = Source(source), Target(target)
        self._new_id = new_id
        self._told = told

    async def look(self) -> Standing:
        """What there is to do. ConfigError: the target is not empty and not half-way of this move, or a schema is of another
        version. Changes nothing.
        """
        state = await self._target.state()
        try:
            schema = await current(self._from)
        except StoreUnavailable as error:
            if str(error) == MOVED and (state or await current(self._to) == newest()):
                return Standing(rows={}, begun=bool(state), moved=True)
            raise
        if schema != newest():
            raise ConfigError(
                f"SQLite's schema is {schema or 'empty'}, this Trilha's {newest()}: trilha migrate"
            )
        ours = await self._source.move_id()
        if state and state.get(ID) != ours:
            raise ConfigError(
                "the target holds part of another move. Drop that database, create an empty one"
            )
        if not state and (table := await self._target.filled()):
            raise ConfigError(f"the target is not empty: there are rows in {table}. Give an empty database")
        rows = {table.name: await self._source.count(table) for table in metadata.sorted_tables}
        return Standing(rows=rows, begun=bool(state), moved=False)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Be the only command that moves to there. ConfigError: another one does."""
        return self._target.held()

    async def copy(self) -> None:
        """Copy what is large while everything runs, and then what has changed meanwhile, until little is left."""
        await migrate(self._to)
        if not await self._target.state():
            await self._make_days()
        # First the tracking, then the first row; and the target's state last: whoever was killed in between begins again.
        if (move_id := await self._source.move_id()) is None:
            move_id = self._new_id()
            await self._source.track(move_id)
        await self._target.begin(move_id)
        for table in TRACKED:
            await self._copy(table)
        await self._target.analyze()
        await self._catch_up()

    async def compare(self) -> bool:
        """Look for every row of SQLite in the target, while everything runs. False: one is not as it is, and none is tracked to
        have changed since. Whatever is not in SQLite any more is found at the switch, where rows are counted.
        """
        self._different.clear()
        for table in TRACKED:
            last, first = None, True
            while first or last is not None:
                rows, last = await self._source.batch(table, last, BATCH)
                first = False
                if wrong := await self._target.unlike(table, rows):
                    self._different[table.name] += len(set(wrong) - await self._source.noted(table, wrong))
                self._told("compare", table.name, len(rows))
        await self._catch_up()
        return not self._different.total()

    async def switch(self) -> list[Compared]:
        """Let nobody write SQLite, bring over what is left, compare that, count; if all is equal, SQLite is never written again.

        After `compare`. Not equal: everything goes on as before, and the answer says where. ConfigError: too much waits to be
        folded for others to wait until it is copied.
        """
        await self._few_wait()
        compared: list[Compared] = []

        async def alone(source: AsyncConnection) -> None:
            await move_source.begin_alone(source)

            async def finish(target: AsyncConnection) -> None:
                wrong = self._different + await self._bring_the_rest(source, target)
                compared.extend(
                    [await _counted(table, source, target, wrong) for table in metadata.sorted_tables]
                )
                if not all(each.equal for each in compared):
                    raise _DifferError
                await move_target.go_on_counting(target, await move_source.highest_user(source))

            await transaction(self._to, finish)
            # In a transaction of its own: what has read a table in the one before still holds it.
            await transaction(self._to, move_target.let_triggers_fire)
            # Here both are equal, and only SQLite is in use. Being killed between the two repeats this step.
            await move_source.leave(source)

        try:
            await transaction(self._from, alone)
        except _DifferError:
            return compared
        await self._target.finish()
        return compared

    async def tidy(self) -> None:
        """After a switch whose end was cut short."""
        await self._target.finish()

    async def abandon(self) -> bool:
        """Let go of SQLite, and empty the target of this move. False: it is not known to be of this move, or cannot be
        asked; whoever is erased later is not erased there.
        """
        ours = await self._source.move_id()
        try:
            async with self.alone():
                emptied = ours is not None and await self._target.state_id() == ours
                if emptied:
                    await self._target.empty()
        except StoreUnavailable:
            emptied = False
        await self._source.forget()
        return emptied

    async def _make_days(self) -> None:
        """Clicks are to lie in their days, as if they had come one by one; in `clicks_before` those that are out of time."""
        now = self._clock.now_ms()
        oldest = await self._source.oldest_click()
        since = now if oldest is None else min(now, uuid7_ms(oldest))
        await SqlPartitions(self._to).make_from(max(since, now - self._click_days * DAY_MS), now)

    async def _few_wait(self) -> None:
        waiting = {table.name: await self._source.count(table) for table in WHOLE}
        if sum(waiting.values()) > MOST_WHOLE:
            most = max(waiting, key=lambda name: waiting[name])
            raise ConfigError(
                f"{waiting[most]} rows in {most} would have to be copied while nobody can write. Let trilha work fold them, "
                "or run trilha rollups fold, then repeat the command"
            )

    async def _copy(self, table: Table) -> None:
        last, done = await self._target.position(table)
        while not done:
            rows, reached = await self._source.batch(table, last, BATCH)
            await self._target.put(table, rows, reached)
            self._told("copy", table.name, len(rows))
            last, done = reached, reached is None

    async def _catch_up(self) -> None:
        """Rounds of what has changed, until little is left."""
        for _ in range(ROUNDS):
            if sum([await self._catch_up_with(table) for table in TRACKED]) <= FEW:
                return

    async def _catch_up_with(self, table: Table) -> int:
        total = 0
        while changed := await self._source.changed(table, BATCH):
            self._different[table.name] += await self._target.apply(table, changed)
            await self._source.done(table, changed.upto)
            self._told("changes", table.name, len(changed.keys))
            total += len(changed.keys)
            if len(changed.keys) < FEW:
                break
        return total

    async def _bring_the_rest(self, source: AsyncConnection, target: AsyncConnection) -> Counter[str]:
        """How many rows are not the same after it, by table."""
        wrong: Counter[str] = Counter()
        for table in TRACKED:
            while changed := await move_source.changed_on(source, table, BATCH):
                wrong[table.name] += await move_target.apply_on(target, table, changed)
                await move_source.done_on(source, table, changed.upto)
                self._told("changes", table.name, len(changed.keys))
        await move_target.empty_whole(target)
        for table in WHOLE:
            async for rows in move_source.all_rows(source, table):
                await move_target.add(target, table, rows)
                wrong[table.name] += await move_target.unlike_on(target, table, rows)
                self._told("copy", table.name, len(rows))
        return wrong


async def _counted(
    table: Table, source: AsyncConnection, target: AsyncConnection, wrong: Counter[str]
) -> Compared:
    return Compared(
        table=table.name,
        rows=await move_source.count_on(source, table),
        target_rows=await move_source.count_on(target, table),
        different=wrong[table.name],
    )
