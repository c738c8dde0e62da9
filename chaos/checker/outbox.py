"""The outbox to Meta, read with plain SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from chaos.checker.held import ask, hex_of
from chaos.checker.meta import Report

REPORTS = (
    "SELECT event_id, event, click_id, state, reason, code, event_at, sent_at, next_at, attempts "
    "FROM outbox WHERE lane LIKE 'meta/%'"
)


def read_reports(sql_url: str) -> list[Report]:
    """All rows of all lanes to Meta, at one moment. OSError when SQL does not answer."""
    [rows] = ask(sql_url, (REPORTS,))
    return [_report(*row) for row in rows]


def _report(
    number: Any,
    event: str,
    click: Any,
    state: str,
    reason: str | None,
    code: str | None,
    at: Any,
    sent: Any,
    next_at: Any,
    attempts: int,
) -> Report:
    return Report(
        event_id=_dashed(hex_of(number)),
        event=event,
        click="" if click is None else hex_of(click),
        state=state,
        reason=reason or "",
        code=code or "",
        at=_seconds(at),
        sent_at=None if sent is None else _seconds(sent),
        next_at=_seconds(next_at),
        attempts=attempts,
    )


def _dashed(number: str) -> str:
    return "-".join((number[:8], number[8:12], number[12:16], number[16:20], number[20:]))


def _seconds(at: Any) -> float:
    """SQLite keeps a time as text without its zone, which is UTC."""
    moment: datetime = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
