"""Alerts in SQL: what is known of each, and who judges them."""

from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from backends.sql.engine import insert_if_absent, query, transaction, upsert
from backends.sql.operator_schema import alert_judges, alerts
from domain.alerts import AlertKey, AlertState, JudgeStatus

SUBJECT = 100


class SqlAlerts:
    """Raises StoreUnavailable. Of two workers that change the same alert at once, one does, and hears so."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def load(self) -> dict[AlertKey, AlertState]:
        """Everything that is known."""

        async def read(connection: AsyncConnection) -> dict[AlertKey, AlertState]:
            rows = await connection.execute(select(alerts))
            return {AlertKey(row.rule, row.subject): _state(row) for row in rows}

        return await query(self._engine, read)

    async def change(self, key: AlertKey, before: AlertState | None, after: AlertState | None) -> bool:
        """Put one state in another's place (None: no row); False when somebody else has changed it since."""
        if before is None and after is None:
            return True
        statement = self._change(key, before, after)

        async def write(connection: AsyncConnection) -> bool:
            return bool((await connection.execute(statement)).rowcount)

        return await transaction(self._engine, write)

    async def beat(self, status: JudgeStatus) -> None:
        """That this worker judges."""
        given = upsert(self._engine, alert_judges).values(
            node=status.node, judged_at=status.judged_ms, waits_since=status.waits_since_ms
        )
        names = ("judged_at", "waits_since")
        changed = given.on_conflict_do_update(
            index_elements=["node"], set_={name: given.excluded[name] for name in names}
        )

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(changed)

        await transaction(self._engine, write)

    async def judges(self) -> list[JudgeStatus]:
        """Every worker that has judged, by its node."""

        async def read(connection: AsyncConnection) -> list[JudgeStatus]:
            rows = await connection.execute(select(alert_judges).order_by(alert_judges.c.node))
            return [
                JudgeStatus(node=row.node, judged_ms=row.judged_at, waits_since_ms=row.waits_since)
                for row in rows
            ]

        return await query(self._engine, read)

    async def forget_judges(self, before_ms: int) -> int:
        """Delete workers that have judged nothing since then; how many."""
        gone = delete(alert_judges).where(alert_judges.c.judged_at < before_ms)

        async def write(connection: AsyncConnection) -> int:
            return (await connection.execute(gone)).rowcount

        return await transaction(self._engine, write)

    def _change(self, key: AlertKey, before: AlertState | None, after: AlertState | None) -> Any:
        if before is None:
            values = {} if after is None else _values(after) | {"version": 1}
            return insert_if_absent(self._engine, alerts).values(
                rule=key.rule, subject=key.subject[:SUBJECT], **values
            )
        same = (
            alerts.c.rule == key.rule,
            alerts.c.subject == key.subject[:SUBJECT],
            alerts.c.version == before.version,
        )
        if after is None:
            return delete(alerts).where(*same)
        return update(alerts).where(*same).values(**_values(after), version=before.version + 1)


def _values(state: AlertState) -> dict[str, Any]:
    return {
        "since": state.since_ms,
        "fired_at": state.fired_ms,
        "told_at": state.told_ms,
        "cleared_at": state.cleared_ms,
        "resolved_at": state.resolved_ms,
        "flaps": state.flaps,
        "detail": {"measured": state.measured},
    }


def _state(row: Any) -> AlertState:
    return AlertState(
        since_ms=row.since,
        fired_ms=row.fired_at,
        told_ms=row.told_at,
        cleared_ms=row.cleared_at,
        resolved_ms=row.resolved_at,
        flaps=row.flaps,
        measured=float(row.detail.get("measured", 0)),
        version=row.version,
    )
