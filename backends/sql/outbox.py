"""The outbox in SQL: what waits, who has claimed it, and what became of it.

Architecture invariant: nothing here reads a whole queue. Every question begins at `ix_outbox_due` and ends after as
many rows as were asked for, so that a queue of a million costs what one of ten does.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import String, bindparam, func, literal_column, null, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.among import IDS, among, by_index, packer
from backends.sql.attributing import Attributing
from backends.sql.deliveries import delivery_of, due_in_lane
from backends.sql.engine import query, snapshot, transaction, upsert
from backends.sql.lanes import lanes_due, read_lanes, released
from backends.sql.schema import lanes, outbox
from backends.sql.tombstones import open_for_people
from domain.conversions import ERASED, Delivery, DeliveryState, LaneStatus, Touch

REASON, CODE, TRACE, MATCHED, WARNING = 200, 20, 100, 200, 200
"""How long these may be; what is longer is cropped."""


class SqlOutbox:
    """`Outbox` on one engine. A deadlock between two writers ends one of them, which is asked again."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # Built once: making a statement costs more than running it.
        self._due = lanes_due()
        self._due_in_lane = due_in_lane()
        self._ids = packer(engine)
        these = among(engine, outbox.c.event_id) & (outbox.c.lane == bindparam("in_lane"))
        self._claim = update(outbox).where(these).values(next_at=bindparam("until"))
        self._change = update(outbox).where(these, _IS_OPEN)
        self._sent = update(outbox).where(these, _IS_OPEN | _ERASED_ON_ITS_WAY).values(**_SENT)
        self._postpone = self._change.values(**_POSTPONED)
        self._back = self._change.values(**_GIVEN_BACK)
        self._end = self._change.values(**_ENDED)
        self._hold = _held(engine)
        self._accepted = _accepted(engine)
        self._warn = _warned(engine)
        self._attributing = Attributing(engine)

    async def due(self, now_ms: int) -> list[str]:
        async def read(connection: AsyncConnection) -> list[str]:
            await by_index(connection)
            return list((await connection.execute(self._due, {"now": now_ms})).scalars())

        return await query(self._engine, read)

    async def claim(self, lane: str, limit: int, *, now_ms: int, until_ms: int) -> list[Delivery]:
        """Read and then moved in one transaction, as an UPDATE does not return its rows in any order."""
        wanted = {"in_lane": lane, "now": now_ms, "limit": limit}

        async def write(connection: AsyncConnection) -> Sequence[Any]:
            await open_for_people(connection)
            await by_index(connection)
            rows: Sequence[Any] = (await connection.execute(self._due_in_lane, wanted)).all()
            if rows:
                claimed = {IDS: self._ids(row.event_id for row in rows), "in_lane": lane, "until": until_ms}
                await connection.execute(self._claim, claimed)
            return rows

        return [delivery_of(row, lane) for row in await transaction(self._engine, write)]

    async def sent(
        self, lane: str, matched: Mapping[UUID, tuple[str, ...]], *, trace: str | None, at_ms: int
    ) -> None:
        if not matched:
            return
        rows = [
            {
                IDS: self._ids(ids),
                "in_lane": lane,
                "at": at_ms,
                "call": _cropped(trace, TRACE),
                "keys": " ".join(keys)[:MATCHED],
            }
            for keys, ids in _by_value(matched).items()
        ]

        async def write(connection: AsyncConnection) -> None:
            await by_index(connection)
            await connection.execute(self._sent, rows)
            # Last: everybody who sends through this lane waits for its one row.
            await connection.execute(self._accepted, {"lane": lane, "sent_at": at_ms})

        await transaction(self._engine, write)

    async def postpone(
        self,
        lane: str,
        ids: Sequence[UUID],
        *,
        until_ms: int,
        reason: str | None,
        code: str | None = None,
        back: bool = False,
    ) -> None:
        """A claim that is given back leaves the reason of before, unless there is a new one."""
        values = {"until": until_ms, "why": _cropped(reason, REASON), "said": _cropped(code, CODE)}
        await self._changed(self._back if back else self._postpone, lane, ids, values)

    async def end(
        self,
        lane: str,
        ids: Sequence[UUID],
        state: DeliveryState,
        *,
        reason: str,
        code: str | None = None,
        trace: str | None = None,
    ) -> None:
        values = {
            "to": state,
            "why": _cropped(reason, REASON),
            "said": _cropped(code, CODE),
            "call": _cropped(trace, TRACE),
        }
        await self._changed(self._end, lane, ids, values)

    async def hold(self, lane: str, reason: str, *, at_ms: int) -> None:
        values = {"lane": lane, "held_at": at_ms, "hold_reason": _cropped(reason, REASON)}
        await self._note(self._hold, values)

    async def release(self, lane: str) -> None:
        await self._note(released(lane), {})

    async def heard(self, lane: str, warning: str | None) -> None:
        if warning is None:
            await self._note(_NO_WARNING, {"of": lane})
        else:
            await self._note(self._warn, {"lane": lane, "warning": _cropped(warning, WARNING)})

    async def lanes(self) -> list[LaneStatus]:
        return await snapshot(self._engine, read_lanes)

    async def attribute(
        self, limit: int, *, now_ms: int, until_ms: int, give_up_ms: int, touch: Touch
    ) -> int:
        async def write(connection: AsyncConnection) -> int:
            return await self._attributing.pass_(
                connection, limit, now_ms=now_ms, until_ms=until_ms, give_up_ms=give_up_ms, touch=touch
            )

        return await transaction(self._engine, write)

    async def _changed(
        self, statement: Any, lane: str, ids: Sequence[UUID], values: Mapping[str, Any]
    ) -> None:
        async def write(connection: AsyncConnection) -> None:
            await by_index(connection)
            await connection.execute(statement, {IDS: self._ids(ids), "in_lane": lane, **values})

        if ids:
            await transaction(self._engine, write)

    async def _note(self, statement: Any, values: Mapping[str, Any]) -> None:
        await transaction(self._engine, lambda connection: connection.execute(statement, values))


# Pending, said so that no index of what is pending is used: by that, PostgreSQL would look for a few ids in a whole lane.
_IS_OPEN = outbox.c.state.not_in(
    [literal_column(f"'{over}'") for over in ("sent", "rejected", "dead", "skipped")]
)
# It was under way when its person was erased, and has arrived: whoever answers for it has to know. It names nobody any more.
_ERASED_ON_ITS_WAY = (outbox.c.state == "skipped") & (outbox.c.reason == ERASED)
# Counted where it is known what came of it: a claimer that died tells nothing about the event, and must not make it wait.
_TRIED = {"attempts": outbox.c.attempts + 1}
_SENT: Mapping[str, Any] = _TRIED | {
    "state": "sent",
    "reason": null(),
    "code": null(),
    # When it was sent first: from then on a destination tells copies apart.
    "sent_at": func.coalesce(outbox.c.sent_at, bindparam("at", type_=outbox.c.sent_at.type)),
    "trace": bindparam("call"),
    "matched": bindparam("keys"),
}
_POSTPONED: Mapping[str, Any] = _TRIED | {
    "next_at": bindparam("until"),
    "reason": bindparam("why"),
    "code": bindparam("said"),
}
_GIVEN_BACK: Mapping[str, Any] = {
    "next_at": bindparam("until"),
    "reason": func.coalesce(bindparam("why", type_=String), outbox.c.reason),
    "code": func.coalesce(bindparam("said", type_=String), outbox.c.code),
}
_ENDED: Mapping[str, Any] = _TRIED | {
    "state": bindparam("to"),
    "reason": bindparam("why"),
    "code": bindparam("said"),
    "trace": bindparam("call"),
}
_NO_WARNING = (
    update(lanes).where(lanes.c.lane == bindparam("of"), lanes.c.warning.is_not(None)).values(warning=None)
)


def _held(engine: AsyncEngine) -> Any:
    """Since when stays, why is the newest."""
    statement = upsert(engine, lanes)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["lane"],
        set_={"held_at": func.coalesce(lanes.c.held_at, new.held_at), "hold_reason": new.hold_reason},
    )


def _accepted(engine: AsyncEngine) -> Any:
    """The time goes forward only."""
    statement = upsert(engine, lanes)
    new = statement.excluded
    later = lanes.c.sent_at.is_(None) | (lanes.c.sent_at < new.sent_at)
    return statement.on_conflict_do_update(
        index_elements=["lane"], set_={"sent_at": new.sent_at}, where=later
    )


def _warned(engine: AsyncEngine) -> Any:
    """Every answer may bring it: what is known already is not written again."""
    statement = upsert(engine, lanes)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["lane"],
        set_={"warning": new.warning},
        where=lanes.c.warning.is_distinct_from(new.warning),
    )


def _by_value(matched: Mapping[UUID, tuple[str, ...]]) -> dict[tuple[str, ...], list[UUID]]:
    """Few things are matched in many events: one statement for each of them."""
    found: dict[tuple[str, ...], list[UUID]] = {}
    for event_id, keys in matched.items():
        found.setdefault(keys, []).append(event_id)
    return found


def _cropped(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]
