"""Moving a Trilha from SQLite to PostgreSQL while clicks arrive (ADR 0040).

Copied beforehand, while everything runs, is what is large; what changes in it meanwhile is tracked. At the switch this is the
one that writes SQLite: what comes is deferred into the spools, as in an outage. What is left is brought over, both sides
are compared row by row, and one COMMIT on SQLite, after which nobody writes it again, is the switch itself.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql import move_source, move_target
from backends.sql.engine import transaction
from backends.sql.migrate import current, migrate, newest
from backends.sql.move_source import Rows, Source
from backends.sql.move_tables import TRACKED, WHOLE, Digest
from backends.sql.move_target import ID, Target
from backends.sql.moved import MOVED
from backends.sql.tables import metadata
from domain.errors import ConfigError, StoreUnavailable

BATCH = 2000
FEW = 500
ROUNDS = 20


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
    """One table on both sides."""

    table: str
    source: Digest
    target: Digest

    @property
    def equal(self) -> bool:
        """Whether both hold the same rows."""
        return self.source == self.target


class _DifferError(Exception):
    """Ends the switch without it."""


class Move:
    """One move. Every step may be repeated, whatever ended it before. Raises StoreUnavailable and ConfigError."""

    def __init__(
        self, source: AsyncEngine, target: AsyncEngine, *, new_id: Callable[[], str], told: Told
    ) -> None:
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

    async def copy(self) -> None:
        """Copy what is large while everything runs, and then what has changed meanwhile, until little is left."""
        await migrate(self._to)
        # First the tracking, then the first row; and the target's state last: whoever was killed in between begins again.
        if (move_id := await self._source.move_id()) is None:
            move_id = self._new_id()
            await self._source.track(move_id)
        await self._target.begin(move_id)
        for table in TRACKED:
            await self._copy(table)
        await self._target.analyze()
        for _ in range(ROUNDS):
            if await self._catch_up() <= FEW:
                return

    async def switch(self) -> list[Compared]:
        """Let nobody write SQLite, bring over what is left, compare; if all is equal, SQLite is never written again.

        Not equal: everything goes on as before, and the answer says where.
        """
        compared: list[Compared] = []

        async def alone(source: AsyncConnection) -> None:
            await move_source.begin_alone(source)

            async def finish(target: AsyncConnection) -> None:
                await self._bring_the_rest(source, target)
                compared.extend([each async for each in self._compare(source, target)])
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

    async def abandon(self) -> None:
        """Let go of SQLite. What was copied stays in the target, which is to be dropped."""
        await self._source.forget()

    async def _copy(self, table: Table) -> None:
        last, done = await self._target.position(table)
        while not done:
            rows, reached = await self._source.batch(table, last, BATCH)
            await self._target.put(table, rows, reached)
            self._told("copy", table.name, len(rows))
            last, done = reached, reached is None

    async def _catch_up(self) -> int:
        """One round of what has changed; how many rows that was."""
        total = 0
        for table in TRACKED:
            while changed := await self._source.changed(table, BATCH):
                await self._target.apply(table, changed)
                await self._source.done(table, changed.upto)
                self._told("changes", table.name, len(changed.keys))
                total += len(changed.keys)
                if len(changed.keys) < FEW:
                    break
        return total

    async def _bring_the_rest(self, source: AsyncConnection, target: AsyncConnection) -> None:
        for table in TRACKED:
            while changed := await move_source.changed_on(source, table, BATCH):
                await move_target.apply_on(target, table, changed)
                await move_source.done_on(source, table, changed.upto)
                self._told("changes", table.name, len(changed.keys))
        await move_target.empty_whole(target)
        for table in WHOLE:
            async for rows in move_source.all_rows(source, table):
                await move_target.add(target, table, rows)
                self._told("copy", table.name, len(rows))

    async def _compare(self, source: AsyncConnection, target: AsyncConnection) -> AsyncIterator[Compared]:
        for table in metadata.sorted_tables:
            yield Compared(
                table=table.name,
                source=await self._digest(move_source.all_rows(source, table), table),
                target=await self._digest(move_target.all_rows(target, table), table),
            )

    async def _digest(self, pieces: AsyncIterator[Rows], table: Table) -> Digest:
        found = Digest()
        async for rows in pieces:
            found = found.plus(rows)
            self._told("compare", table.name, len(rows))
        return found
